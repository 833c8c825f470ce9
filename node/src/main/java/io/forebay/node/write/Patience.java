package io.forebay.node.write;

import io.forebay.core.rule.Rule;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How long a chunk may be without progress before its writer takes a member for dead (rule R10).
 * Where everything is slow 500 ms without progress say nothing; going elsewhere then only adds to
 * the load, and helps nobody. So the bound is some times what chunks that did arrive have stood at
 * most, and twice as long with each try of the same chunk: those that never arrive have nothing to
 * go by.
 */
final class Patience {
  private static final long LEAST_NANOS = 500_000_000L;
  private static final long MOST_NANOS = 8_000_000_000L;
  private static final int TIMES = 3;
  // The median of so many: a single slow member is waited for no longer than any.
  private static final int KEPT = 15;

  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Long> stoodNanos = new ArrayDeque<>(); // guarded by lock

  /** A chunk has arrived that stood for so long at most. */
  void arrived(long longestNanos) {
    lock.lock();
    try {
      if (stoodNanos.size() == KEPT) {
        stoodNanos.remove();
      }
      stoodNanos.add(longestNanos);
    } finally {
      lock.unlock();
    }
  }

  /**
   * How long a try may stand.
   *
   * @param tries of the same chunk that stood too long
   */
  long nanos(int tries) {
    if (!Rule.SLOW_PATIENCE.holds()) {
      return LEAST_NANOS;
    }
    lock.lock();
    try {
      List<Long> sorted = stoodNanos.stream().sorted().toList();
      long usual = sorted.isEmpty() ? 0 : sorted.get(sorted.size() / 2);
      long first = Math.clamp(TIMES * usual, LEAST_NANOS, MOST_NANOS);
      return Math.min(first << Math.min(tries, 4), MOST_NANOS);
    } finally {
      lock.unlock();
    }
  }
}
