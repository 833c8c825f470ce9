package io.forebay.core.env;

import io.forebay.core.rule.Rule;
import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How long something may stand before whoever waits takes the other end for dead. Where everything
 * is slow a fixed bound says nothing; asking again, or elsewhere, then only adds to the load. So
 * the bound is some times what those that did arrive have stood, and twice as long with each try of
 * the same one: those that never arrive have nothing to go by.
 */
public final class Patience {
  private static final int TIMES = 3;
  // The median of so many: a single slow member is waited for no longer than any.
  private static final int KEPT = 15;
  private static final int MOST_DOUBLINGS = 4;

  private final long leastNanos;
  private final long mostNanos;
  private final ReentrantLock lock = new ReentrantLock();
  private final long[] stoodNanos = new long[KEPT]; // a ring; guarded by lock
  private long arrived; // guarded by lock

  /**
   * @param leastNanos of what was never slow
   * @param mostNanos whatever was seen
   */
  public Patience(long leastNanos, long mostNanos) {
    this.leastNanos = leastNanos;
    this.mostNanos = mostNanos;
  }

  /** One has arrived that stood for so long at most. */
  public void arrived(long longestNanos) {
    lock.lock();
    try {
      stoodNanos[(int) (arrived % KEPT)] = longestNanos;
      arrived++;
    } finally {
      lock.unlock();
    }
  }

  /**
   * How long a try may stand.
   *
   * @param tries of the same one that stood too long
   */
  public long nanos(int tries) {
    if (!Rule.SLOW_PATIENCE.holds()) {
      return leastNanos;
    }
    long first = Math.clamp(TIMES * usualNanos(), leastNanos, mostNanos);
    return Math.min(first << Math.min(tries, MOST_DOUBLINGS), mostNanos);
  }

  private long usualNanos() {
    lock.lock();
    try {
      long[] sorted = Arrays.copyOf(stoodNanos, (int) Math.min(arrived, KEPT));
      Arrays.sort(sorted);
      return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
    } finally {
      lock.unlock();
    }
  }
}
