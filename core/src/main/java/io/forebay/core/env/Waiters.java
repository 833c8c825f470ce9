package io.forebay.core.env;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.ArrayDeque;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Threads that wait for a condition under one lock, woken in the order in which they came. The
 * timed part comes from {@link Env#schedule}; parking itself has no time-out (the simulator owns
 * time).
 */
final class Waiters {
  private final Env env;
  private final ReentrantLock lock;
  private final ArrayDeque<Thread> threads = new ArrayDeque<>(); // guarded by lock

  Waiters(Env env, ReentrantLock lock) {
    this.env = env;
    this.lock = lock;
  }

  /** Wakes all; each checks its condition again. Call with the lock held. */
  void wakeAll() {
    for (Thread thread : threads) {
      LockSupport.unpark(thread);
    }
  }

  /**
   * Waits until the condition holds. Call with the lock held; it is held again on return.
   *
   * @param deadlineNanos monotonic; null waits without a bound
   * @return false when the deadline passed first
   */
  boolean await(BooleanSupplier condition, @Nullable Long deadlineNanos) {
    if (condition.getAsBoolean()) {
      return true;
    }
    Thread self = Thread.currentThread();
    Expiry expiry = null;
    Env.Timer timer = null;
    if (deadlineNanos != null) {
      expiry = new Expiry(self);
      timer = env.schedule(Math.max(0, deadlineNanos - env.nanoTime()), expiry);
    }
    threads.add(self);
    try {
      while (!condition.getAsBoolean()) {
        if (expiry != null && expiry.passed) {
          return false;
        }
        lock.unlock();
        try {
          LockSupport.park(this);
        } finally {
          lock.lock();
        }
        if (Thread.currentThread().isInterrupted() && !condition.getAsBoolean()) {
          throw new ForebayException(ErrorCode.CANCELLED, "interrupted while waiting");
        }
      }
      return true;
    } finally {
      threads.remove(self);
      if (timer != null) {
        timer.cancel();
      }
    }
  }
}
