package io.forebay.app.chaos;

import java.util.ArrayDeque;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Knows when this JVM did not run: a thread looks at the clock every few milliseconds, and what
 * lies between two looks beyond that is time in which the machine had no processor for it.
 */
final class Ticker implements AutoCloseable {
  private static final long TICK_NANOS = 5_000_000L;
  private static final long GAP_NANOS = 20_000_000L;
  private static final int MOST_GAPS = 10_000;

  private final ReentrantLock lock = new ReentrantLock();
  // Guarded by lock; the oldest go first.
  private final ArrayDeque<Gap> gaps = new ArrayDeque<>();
  private final Thread thread = new Thread(this::tick, "ticker");
  private volatile boolean closed;

  /** From one look at the clock to the next. */
  private record Gap(long fromNanos, long toNanos) {
    long within(long from, long to) {
      return Math.max(0, Math.min(to, toNanos) - Math.max(from, fromNanos));
    }
  }

  void start() {
    thread.setDaemon(true);
    thread.start();
  }

  private void tick() {
    long last = System.nanoTime();
    while (!closed) {
      LockSupport.parkNanos(TICK_NANOS);
      long now = System.nanoTime();
      if (now - last > GAP_NANOS) {
        lock.lock();
        try {
          if (gaps.size() == MOST_GAPS) {
            gaps.removeFirst();
          }
          gaps.addLast(new Gap(last + TICK_NANOS, now));
        } finally {
          lock.unlock();
        }
      }
      last = now;
    }
  }

  /** How much of the time from one moment to another this JVM did not run. */
  long stoodStillNanos(long from, long to) {
    lock.lock();
    try {
      return gaps.stream().mapToLong(gap -> gap.within(from, to)).sum();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
  }
}
