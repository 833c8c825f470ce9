package io.forebay.core.env;

import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/**
 * An {@link Env} for tests that run in real time: the JDK's clock and virtual threads, one timer
 * thread, chance from a seed. What escapes a task fails the test at {@link #close()}.
 */
public final class TestEnv implements Env, AutoCloseable {
  private final ScheduledThreadPoolExecutor timers;
  private final RandomGenerator random;
  private final ConcurrentLinkedQueue<Throwable> escaped = new ConcurrentLinkedQueue<>();

  public TestEnv() {
    this(1);
  }

  /**
   * @param seed of {@link #random()}; threads make runs differ all the same
   */
  public TestEnv(long seed) {
    random = new Random(seed); // safe for many threads
    timers =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().name("test-timer").daemon(true).factory());
    timers.setRemoveOnCancelPolicy(true);
    timers.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
  }

  @Override
  public long nanoTime() {
    return System.nanoTime();
  }

  @Override
  public long wallMillis() {
    return System.currentTimeMillis();
  }

  @Override
  public RandomGenerator random() {
    return random;
  }

  @Override
  public Thread spawn(String name, Runnable task) {
    return Thread.ofVirtual().name(name).start(() -> guarded(task));
  }

  @Override
  public Timer schedule(long delayNanos, Runnable callback) {
    ScheduledFuture<?> future =
        timers.schedule(() -> guarded(callback), delayNanos, TimeUnit.NANOSECONDS);
    return () -> future.cancel(false);
  }

  /** Stops the timer; fails when something escaped a task or callback. */
  @Override
  public void close() {
    timers.shutdownNow();
    Throwable first = escaped.poll();
    if (first != null) {
      throw new AssertionError("an exception escaped a task", first);
    }
  }

  private void guarded(Runnable task) {
    try {
      task.run();
    } catch (Throwable thrown) {
      escaped.add(thrown);
    }
  }
}
