package io.forebay.sim.preempt;

import java.util.concurrent.locks.Lock;
import org.jspecify.annotations.Nullable;

/** What the rewritten classes call instead of their locks. */
public final class Preemption {
  /** A simulated thread, as far as it matters here. */
  public static final class Held {
    private final Runnable point;
    private int locks;

    private Held(Runnable point) {
      this.point = point;
    }
  }

  private static final ThreadLocal<@Nullable Held> HELD = new ThreadLocal<>();

  private Preemption() {}

  /**
   * The calling thread may be interrupted from now on.
   *
   * @param point called wherever that may be: holds the thread up, or not
   */
  public static void enter(Runnable point) {
    HELD.set(new Held(point));
  }

  /**
   * A point where others may come between, unless the calling thread holds a lock: who waits for a
   * lock in a callback of the world's would wait for ever.
   */
  public static void point() {
    Held held = HELD.get();
    if (held != null && held.locks == 0) {
      held.point.run();
    }
  }

  /** Instead of {@code lock.lock()}. */
  public static void lock(Lock lock) {
    point();
    hold(lock);
  }

  /** Instead of {@code lock.lock()} in what is the world's: nobody comes between there. */
  public static void hold(Lock lock) {
    lock.lock();
    Held held = HELD.get();
    if (held != null) {
      held.locks++;
    }
  }

  /** Instead of {@code lock.tryLock()}. */
  public static boolean tryLock(Lock lock) {
    point();
    boolean taken = lock.tryLock();
    Held held = HELD.get();
    if (taken && held != null) {
      held.locks++;
    }
    return taken;
  }

  /** Instead of {@code lock.unlock()}. */
  public static void unlock(Lock lock) {
    lock.unlock();
    Held held = HELD.get();
    if (held != null) {
      held.locks--;
    }
  }
}
