package io.forebay.app.chaos;

import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How long the steady writer stood, from one acknowledged step to the next, by the fault that came
 * last. Time in which this JVM did not run either ({@link Ticker}) does not count: a machine that
 * stands still stalls nobody. One thread writes, another makes faults.
 */
final class Stalls implements AutoCloseable {
  private static final String BEFORE_ALL = "none";

  private final Ticker ticker = new Ticker();
  private final ReentrantLock lock = new ReentrantLock();
  // All of these are guarded by lock: the longest by fault, of all seeds and of the current one.
  private final Map<String, Long> longestMillis = new TreeMap<>();
  private Optional<Stall> bounded = Optional.empty();
  private Optional<Stall> longest = Optional.empty();
  private Optional<Fault> fault = Optional.empty();
  private long unboundedUntil; // when the next fault began after one that is not judged
  private boolean over;
  private final Map<String, Moved> moved = new TreeMap<>();
  private volatile long underWaySince;

  /** What was written, and in how long. */
  private record Moved(long bytes, long nanos) {
    Moved plus(Moved other) {
      return new Moved(bytes + other.bytes, nanos + other.nanos);
    }

    double megabytesPerSecond() {
      return bytes * 1e3 / Math.max(1, nanos);
    }
  }

  /** One of them. */
  record Stall(long millis, String words) {}

  Stalls() {
    ticker.start();
  }

  /** A seed begins. */
  void begin() {
    lock.lock();
    try {
      fault = Optional.empty();
      unboundedUntil = System.nanoTime();
      bounded = Optional.empty();
      longest = Optional.empty();
    } finally {
      lock.unlock();
    }
  }

  /** A fault begins, to which longer steps are put down until the next one. */
  void begins(Fault next) {
    lock.lock();
    try {
      if (fault.isPresent() && !fault.get().bounded()) {
        unboundedUntil = System.nanoTime();
      }
      fault = Optional.of(next);
      over = false;
    } finally {
      lock.unlock();
    }
  }

  /** The fault is over. What is slower than usual from now on is still put down to it. */
  void isOver() {
    lock.lock();
    try {
      over = true;
    } finally {
      lock.unlock();
    }
  }

  /** So much was written and acknowledged as a whole, in so long. */
  void moved(long bytes, long nanos) {
    lock.lock();
    try {
      String word = over ? BEFORE_ALL : fault.map(Fault::word).orElse(BEFORE_ALL);
      moved.merge(word, new Moved(bytes, nanos), Moved::plus);
    } finally {
      lock.unlock();
    }
  }

  /**
   * How fast was written while a fault was there, of all seeds; {@code none}: without one. MB/s.
   */
  Map<String, Double> megabytesPerSecond() {
    lock.lock();
    try {
      var speeds = new TreeMap<String, Double>();
      moved.forEach((word, all) -> speeds.put(word, all.megabytesPerSecond()));
      return speeds;
    } finally {
      lock.unlock();
    }
  }

  /** A write begins now. */
  long start() {
    underWaySince = System.nanoTime();
    return underWaySince;
  }

  /**
   * A step was acknowledged now.
   *
   * @param sinceNanos the begin, or the step before
   * @param what for the message
   * @return now
   */
  long step(long sinceNanos, String what) {
    long now = System.nanoTime();
    underWaySince = now;
    long millis =
        TimeUnit.NANOSECONDS.toMillis(now - sinceNanos - ticker.stoodStillNanos(sinceNanos, now));
    lock.lock();
    try {
      String word = fault.map(Fault::word).orElse(BEFORE_ALL);
      longestMillis.merge(word, millis, Math::max);
      Optional<Stall> stall =
          Optional.of(new Stall(millis, millis + " ms in " + what + " (" + word + ")"));
      longest = longer(longest, stall);
      // What stood already while nobody could write says nothing about this fault.
      if (fault.map(Fault::bounded).orElse(true) && sinceNanos - unboundedUntil >= 0) {
        bounded = longer(bounded, stall);
      }
    } finally {
      lock.unlock();
    }
    return now;
  }

  private static Optional<Stall> longer(Optional<Stall> one, Optional<Stall> other) {
    return one.isPresent() && one.get().millis() >= other.map(Stall::millis).orElse(0L)
        ? one
        : other;
  }

  /** Nothing is written for now. */
  void rest() {
    underWaySince = 0;
  }

  /** For how long the step that is under way has been, in milliseconds; 0 without one. */
  long underWayMillis() {
    long since = underWaySince;
    return since == 0 ? 0 : TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - since);
  }

  /** The longest of this seed. */
  Optional<Stall> longest() {
    lock.lock();
    try {
      return longest;
    } finally {
      lock.unlock();
    }
  }

  /** The longest of this seed while all was there that a write needs. */
  Optional<Stall> longestBounded() {
    lock.lock();
    try {
      return bounded;
    } finally {
      lock.unlock();
    }
  }

  /** The longest of all seeds, by fault. */
  Map<String, Long> longestMillis() {
    lock.lock();
    try {
      return new TreeMap<>(longestMillis);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    ticker.close();
  }
}
