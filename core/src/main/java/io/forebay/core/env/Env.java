package io.forebay.core.env;

import java.util.concurrent.Executor;
import java.util.random.RandomGenerator;

/**
 * Everything that deciding code wants from the machine it runs on: time, chance and threads.
 * Production wires it to the JDK, the simulator to an event queue and a seed; nothing that the
 * simulator runs reads a clock, draws a number or starts a thread by any other way.
 *
 * <p>Blocking is done with {@link Outcome}, {@link BoundedQueue}, {@link Permits} and {@link
 * Scope}, which are built on these few methods and on untimed parking, so that one implementation
 * serves both worlds.
 */
public interface Env {
  /** Monotonic time in nanoseconds since an arbitrary origin. Never goes back. */
  long nanoTime();

  /**
   * Wall-clock time in milliseconds since 1970. May jump; no rule of the data path depends on it.
   */
  long wallMillis();

  /** The only source of chance. Safe to call from any thread of this Env. */
  RandomGenerator random();

  /**
   * Starts a virtual thread. An exception that escapes the task is reported by the Env and stops
   * the node: whoever expects failures catches them inside.
   *
   * @param name for thread dumps and logs; needs not be unique
   */
  Thread spawn(String name, Runnable task);

  /**
   * As {@link #spawn}, for a calling thread that must not block, such as an event loop: the task
   * may begin on it, before this returns, and after a wait that it has ended it may go on there.
   * Saves the hand-overs where the two mostly talk to each other, and finds what the loop has read
   * in the processor's cache. A wait of the task does not hold up the loop, but its computing does:
   * before a long one comes {@link #leaveStarter}.
   *
   * @param loop runs what it is given on the calling thread, later
   */
  default Thread spawnHere(String name, Executor loop, Runnable task) {
    return spawn(name, task);
  }

  /** The calling virtual thread goes on elsewhere, if it is on the thread that started it. */
  default void leaveStarter() {}

  /**
   * Runs a callback once after a delay, on a thread that must not block: a callback completes an
   * outcome, unparks or spawns, and returns.
   *
   * @param delayNanos at least 0
   */
  Timer schedule(long delayNanos, Runnable callback);

  /** A scheduled callback. */
  interface Timer {
    /** Prevents the callback if it has not begun. Idempotent. */
    void cancel();
  }

  /** Blocks the calling virtual thread. Interruption ends it early with {@code CANCELLED}. */
  default void sleep(long nanos) {
    new Outcome<Void>(this).awaitUntil(nanoTime() + nanos);
  }
}
