package io.forebay.core.log;

import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Network;
import java.util.List;
import java.util.Optional;

/**
 * Raises the levels of the logs that a voter leads: to the newest that every voter knows, by its
 * own word, given to this leader. One that is away, or of a version that does not know the
 * question, holds the level back. One that is replaced by an older version after its word meets a
 * level that it does not know, and stops by that name.
 */
public final class Levels {
  private static final long LOOK_NANOS = 200_000_000L;
  private static final long ASK_NANOS = 700_000_000L;

  private final Env env;
  private final Network network;
  private final List<NodeId> voters;
  private final List<LogService> logs;
  private final int known;

  /**
   * @param voters of the logs
   * @param known the newest level that this voter knows
   */
  public Levels(Env env, Network network, List<NodeId> voters, List<LogService> logs, int known) {
    this.env = env;
    this.network = network;
    this.voters = List.copyOf(voters);
    this.logs = List.copyOf(logs);
    this.known = known;
  }

  /** The newest level that this voter knows. */
  public int known() {
    return known;
  }

  /** The lowest level of this voter's logs, as far as it has applied them. */
  public int lowest() {
    return logs.stream().mapToInt(LogService::level).min().orElse(known);
  }

  /**
   * What is to run, each for itself until it returns: one log does not wait for another one's
   * answer, for what is published meanwhile is of the lower level for ever.
   */
  public List<Runnable> loops() {
    return logs.stream().<Runnable>map(log -> () -> run(log)).toList();
  }

  /**
   * Looks until the log is at the level that this voter knows: it will not know more.
   *
   * @throws ForebayException CANCELLED
   */
  private void run(LogService log) {
    while (log.level() < known) {
      try {
        if (log.leadership().self()) {
          raise(log);
        }
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // A voter is away or does not know the question, or this one leads no more.
      }
      env.sleep(LOOK_NANOS);
    }
  }

  private void raise(LogService log) {
    int present = log.level();
    int all = known;
    for (NodeId voter : voters) {
      all = Math.min(all, ask(voter));
    }
    if (all > present) {
      log.raise(all);
    }
  }

  private int ask(NodeId voter) {
    return network
                .call(voter, new ControlMessage.AskLevel(), Optional.empty(), ASK_NANOS)
                .await()
                .message()
            instanceof ControlMessage.KnownLevel(int level)
        ? level
        : 0;
  }
}
