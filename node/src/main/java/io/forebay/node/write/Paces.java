package io.forebay.node.write;

import io.forebay.core.env.Env;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.Hop;
import io.forebay.core.rule.Rule;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How many times longer than others a volume takes for a chunk, as this node's writers see it: a
 * disk at its end, or a NIC that fell back to a lower speed, makes progress all the time and holds
 * up every body that has a chunk there.
 *
 * <p>What is measured is the time from when all of a chunk is here until every member has it, for
 * the bytes that were still owed then (so a slow client counts for nothing), shared among the
 * chunks that this node had under way there. A chain is as slow as its slowest member, and the
 * others look as slow in it; therefore a slow chunk counts only for those that were seen to be
 * behind, and a volume is judged by the <em>best</em> of its last few chunks: the others have good
 * ones, from chains without it. It is compared with the median of all, so that a load that slows
 * all of them down makes none of them slow.
 *
 * <p>What was measured fades, so that a volume to which nothing is sent any more is looked at
 * again, with a chunk or two.
 */
final class Paces {
  /** Volumes that take fewer times as long as others are as good as they. */
  static final int SLOW_TIMES = 4;

  private static final int MOST_TIMES = 64;
  private static final int KEPT = 4;
  // One chunk may meet anything; two have to agree.
  private static final int LEAST_KEPT = 2;
  private static final int LEAST_VOLUMES = 3;
  private static final int LEAST_BYTES = 256 << 10; // fewer say nothing of a speed
  private static final long LEAST_NANOS = 100_000_000L; // what is quicker is slow for nobody
  private static final long HALF_NANOS = 15_000_000_000L; // what was measured counts half then
  private static final long FORGET_NANOS = 60_000_000_000L;
  // To put a node out takes more than to pass it by, which costs nothing and is undone by itself.
  private static final int SAID_TIMES = 8;
  private static final long SAID_LEAST_NANOS = 500_000_000L;
  private static final long SAID_NANOS = 10_000_000_000L;
  // One of so many volumes. Where more hold chunks up it is this node, or the load.
  private static final int MOST_HELD_PART = 3;
  private static final long LATE_NANOS = 1_000_000_000L;
  // Re-homes for lateness: one for so many chunks that were acknowledged, and six in any case, as
  // many as a body has under way. A load that makes everything late is not doubled by it.
  private static final int CHUNKS_FOR_EACH = 8;
  private static final int MAX_REHOMES = 6;
  // This node's own volume is in all chains as a rule, and has nothing to be compared with. So
  // after a chunk that took long one goes to others only.
  private static final long COMPARE_AFTER_NANOS = 500_000_000L;
  private static final long COMPARE_EVERY_NANOS = 5_000_000_000L;

  /**
   * A chunk that was waited for.
   *
   * @param nanosPerKib shared among the chunks that were under way there
   */
  private record Sample(long nanosPerKib, long nanos) {}

  private static final class Measured {
    final ArrayDeque<Sample> samples = new ArrayDeque<>();
    long atNanos;

    Sample best() {
      return samples.stream().min(Comparator.comparingLong(Sample::nanosPerKib)).orElseThrow();
    }
  }

  private final Env env;
  private final LinkRates rates;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<VolumeId, Measured> volumes = new TreeMap<>(); // guarded by lock
  // In nanoseconds per KiB, the median; empty while few are known. Guarded by lock, which is told
  // when it has to be found anew.
  private Optional<Long> usual = Optional.empty();
  private boolean changed; // guarded by lock
  private int chunks = MAX_REHOMES * CHUNKS_FOR_EACH; // guarded by lock
  private boolean compare; // guarded by lock
  private long comparedNanos; // guarded by lock

  Paces(Env env) {
    this.env = env;
    this.rates = new LinkRates(env);
    this.comparedNanos = env.nanoTime() - COMPARE_EVERY_NANOS;
  }

  /**
   * Every member of a chain has a chunk.
   *
   * @param behind those of them that may have held it up
   * @param nanos since all of it was there
   * @param bytes that were owed then
   * @param load chunks that were under way there, at least 1
   */
  void took(Collection<Hop> chain, Collection<Hop> behind, long nanos, long bytes, int load) {
    lock.lock();
    try {
      chunks = Math.min(chunks + 1, MAX_REHOMES * CHUNKS_FOR_EACH);
      compare |= nanos >= COMPARE_AFTER_NANOS;
      if (bytes >= LEAST_BYTES) {
        long cost = cost(nanos, bytes, load);
        count(isUnusual(cost) ? behind : chain, new Sample(cost, nanos));
      }
    } finally {
      lock.unlock();
    }
  }

  /** What links take while they hold chunks up. */
  LinkRates rates() {
    return rates;
  }

  private boolean isUnusual(long cost) {
    return usual().filter(each -> cost >= SLOW_TIMES * each).isPresent();
  }

  private void count(Collection<Hop> hops, Sample sample) {
    long now = env.nanoTime();
    volumes.values().removeIf(each -> now - each.atNanos > FORGET_NANOS);
    for (Hop hop : hops) {
      Measured measured = volumes.computeIfAbsent(hop.volume(), any -> new Measured());
      if (measured.samples.size() == KEPT) {
        measured.samples.remove();
      }
      measured.samples.add(sample);
      measured.atNanos = now;
    }
    changed = true;
  }

  private static long cost(long nanos, long bytes, int load) {
    return Math.max(1, nanos / (bytes >> 10) / load);
  }

  private Optional<Long> usual() {
    if (changed) {
      changed = false;
      List<Long> all =
          volumes.values().stream().map(each -> each.best().nanosPerKib()).sorted().toList();
      usual = all.size() < LEAST_VOLUMES ? Optional.empty() : Optional.of(all.get(all.size() / 2));
    }
    return usual;
  }

  /** As it was when it was measured last; 1 for all that are not slow. */
  private long measuredTimes(Measured measured) {
    Sample best = measured.best();
    return measured.samples.size() < LEAST_KEPT || best.nanos() < LEAST_NANOS
        ? 1
        : usual()
            .map(each -> best.nanosPerKib() / each)
            .filter(times -> times >= SLOW_TIMES)
            .map(times -> Math.min(times, MOST_TIMES))
            .orElse(1L);
  }

  /** How many times longer than others a volume takes; 1 for all that are about as good. */
  long times(VolumeId volume) {
    lock.lock();
    try {
      Measured measured = volumes.get(volume);
      return measured == null || !Rule.SLOW_PASSED.holds() ? 1 : faded(measured);
    } finally {
      lock.unlock();
    }
  }

  private long faded(Measured measured) {
    long halves = Math.min((env.nanoTime() - measured.atNanos) / HALF_NANOS, Long.SIZE - 1);
    return Math.max(1, measuredTimes(measured) >> halves);
  }

  /** Whether the next chunk should go to other nodes only, to have something to compare with. */
  boolean compares() {
    lock.lock();
    try {
      long now = env.nanoTime();
      if (!compare || now - comparedNanos < COMPARE_EVERY_NANOS) {
        return false;
      }
      compare = false;
      comparedNanos = now;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Whether a chunk takes so much longer than is usual that it should go elsewhere; if so, it does.
   *
   * @param behind those who may hold it up
   * @param nanos since all of it was there
   * @param bytes that were owed then
   * @param load chunks that were under way there, at least 1
   */
  boolean late(Collection<Hop> behind, long nanos, long bytes, int load) {
    if (nanos < LATE_NANOS || bytes < LEAST_BYTES || !Rule.SLOW_PASSED.holds()) {
      return false;
    }
    lock.lock();
    try {
      long cost = cost(nanos, bytes, load);
      if (chunks < CHUNKS_FOR_EACH || !isUnusual(cost)) {
        return false;
      }
      chunks -= CHUNKS_FOR_EACH;
      compare = true;
      // The next one is not to go there, too; where it is clear which one it is.
      if (behind.size() == 1) {
        behind.forEach(hop -> volumes.remove(hop.volume()));
      }
      for (int i = 0; i < LEAST_KEPT; i++) {
        count(behind, new Sample(cost, nanos));
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Volumes that all of the last few chunks have found much slower than others, or that hold chunks
   * up ({@link LinkRates}), in the last few seconds: what they take for a MiB, in microseconds, at
   * least. What is less, or older, is nobody's word against them.
   */
  Map<VolumeId, Long> slow() {
    lock.lock();
    try {
      long now = env.nanoTime();
      var slow = new TreeMap<VolumeId, Long>();
      volumes.forEach((volume, measured) -> {
        Sample best = measured.best();
        if (measured.samples.size() == KEPT
            && best.nanos() >= SAID_LEAST_NANOS
            && measuredTimes(measured) >= SAID_TIMES
            && now - measured.atNanos < SAID_NANOS) {
          slow.put(volume, best.nanosPerKib() * 1_024 / 1_000);
        }
      });
      Map<VolumeId, Long> held = rates.slow();
      if (held.size() <= Math.max(1, volumes.size() / MOST_HELD_PART)) {
        held.forEach((volume, micros) -> slow.merge(volume, micros, Math::max));
      }
      return slow;
    } finally {
      lock.unlock();
    }
  }
}
