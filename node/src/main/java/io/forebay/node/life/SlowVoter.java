package io.forebay.node.life;

import io.forebay.core.env.Env;
import io.forebay.core.log.LogService;
import java.util.List;
import java.util.OptionalLong;

/**
 * A voter whose disk is slow has others lead: an entry is committed when it is on its leader's
 * disk, whoever else has it (Ratis), so all commands of the cluster would wait for that. Not one
 * that is only out for being slow: who leads next knows of nobody who is, and lets it in again
 * (decision 0033).
 */
public final class SlowVoter {
  private static final long LOOK_NANOS = 100_000_000L;
  private static final long TIMEOUT_NANOS = 1_000_000_000L;
  // As long as a writer waits for progress before it goes elsewhere.
  private static final long PATIENCE_NANOS = 500_000_000L;
  // Each time commands wait for an election, or for the time-out where nobody takes over.
  private static final long PAUSE_NANOS = 5_000_000_000L;

  private final Env env;
  private final List<Seat> seats;

  /** One log, and for which entry its leader's disk has been waited for, since when. */
  private static final class Seat {
    final LogService log;
    OptionalLong entry = OptionalLong.empty();
    long sinceNanos;
    OptionalLong triedNanos = OptionalLong.empty();

    Seat(LogService log) {
      this.log = log;
    }

    boolean waitsTooLong(long now) {
      OptionalLong awaited = log.awaitsOwnDisk();
      if (!awaited.equals(entry)) {
        entry = awaited;
        sinceNanos = now;
      }
      return entry.isPresent() && now - sinceNanos >= PATIENCE_NANOS;
    }

    boolean mayTry(long now) {
      return triedNanos.isEmpty() || now - triedNanos.getAsLong() >= PAUSE_NANOS;
    }
  }

  public SlowVoter(Env env, List<LogService> logs) {
    this.env = env;
    this.seats = logs.stream().map(Seat::new).toList();
  }

  /** Looks ten times a second; until interrupted. */
  public void run() {
    while (true) {
      env.sleep(LOOK_NANOS);
      for (Seat seat : seats) {
        boolean waits = seat.waitsTooLong(env.nanoTime());
        if (waits && seat.mayTry(env.nanoTime()) && seat.log.leadership().self()) {
          seat.triedNanos = OptionalLong.of(env.nanoTime());
          seat.log.handOver(TIMEOUT_NANOS);
        }
      }
    }
  }
}
