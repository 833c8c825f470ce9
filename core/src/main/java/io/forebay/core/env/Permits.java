package io.forebay.core.env;

import java.util.concurrent.locks.ReentrantLock;

/**
 * A number of permits (bytes, slots) that threads take and give back; the bound of every pool and
 * window.
 */
public final class Permits {
  private final ReentrantLock lock = new ReentrantLock();
  private final Waiters changed;
  private final long total;
  private long free; // guarded by lock
  private int waiting; // guarded by lock

  /**
   * @param total permits there are, at least 1
   */
  public Permits(Env env, long total) {
    if (total < 1) {
      throw new IllegalArgumentException("there must be at least 1 permit: " + total);
    }
    this.total = total;
    this.free = total;
    this.changed = new Waiters(env, lock);
  }

  /**
   * Takes permits, waiting without a bound. {@code count} is clipped to the total, so that it can
   * succeed.
   */
  public void acquire(long count) {
    lock.lock();
    try {
      long wanted = Math.min(count, total);
      waiting++;
      changed.await(() -> free >= wanted, null);
      free -= wanted;
    } finally {
      waiting--;
      lock.unlock();
    }
  }

  /** Takes permits, waiting until the monotonic deadline; false when it passed first. */
  public boolean acquire(long count, long deadlineNanos) {
    lock.lock();
    try {
      long wanted = Math.min(count, total);
      waiting++;
      if (!changed.await(() -> free >= wanted, deadlineNanos)) {
        return false;
      }
      free -= wanted;
      return true;
    } finally {
      waiting--;
      lock.unlock();
    }
  }

  /** Takes permits if they are free now, and nobody waits for some. */
  public boolean tryAcquire(long count) {
    lock.lock();
    try {
      long wanted = Math.min(count, total);
      if (waiting > 0 || free < wanted) {
        return false;
      }
      free -= wanted;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Gives permits back; the same count that was taken. */
  public void release(long count) {
    lock.lock();
    try {
      free += Math.min(count, total);
      if (free > total) {
        throw new IllegalStateException(
            "more permits given back than taken: " + free + " of " + total);
      }
      changed.wakeAll();
    } finally {
      lock.unlock();
    }
  }

  /** Permits not taken at the moment. */
  public long available() {
    lock.lock();
    try {
      return free;
    } finally {
      lock.unlock();
    }
  }
}
