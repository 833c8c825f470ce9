package io.forebay.app.runtime;

import io.forebay.core.env.Env;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/** The production {@link Env}: the JDK's clock, virtual threads, and one timer thread. */
public final class JdkEnv implements Env, AutoCloseable {
  private static final RandomGenerator RANDOM = () -> ThreadLocalRandom.current().nextLong();

  private final ScheduledThreadPoolExecutor timers;
  private final Consumer<Throwable> onEscape;

  /**
   * @param onEscape told what escaped a task: a bug of ours, which stops the node
   */
  public JdkEnv(Consumer<Throwable> onEscape) {
    this.onEscape = onEscape;
    timers =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().name("forebay-timer").daemon(true).factory());
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
    return RANDOM;
  }

  @Override
  public Thread spawn(String name, Runnable task) {
    return Thread.ofVirtual()
        .name(name)
        .start(() -> {
          try {
            task.run();
          } catch (Throwable escaped) {
            onEscape.accept(escaped);
          }
        });
  }

  @Override
  public Thread spawnHere(String name, Executor loop, Runnable task) {
    return HereFirst.start(
        name,
        loop,
        () -> {
          try {
            task.run();
          } catch (Throwable escaped) {
            onEscape.accept(escaped);
          }
        });
  }

  @Override
  public void leaveStarter() {
    HereFirst.leave();
  }

  @Override
  public Timer schedule(long delayNanos, Runnable callback) {
    ScheduledFuture<?> future =
        timers.schedule(
            () -> {
              try {
                callback.run();
              } catch (Throwable escaped) {
                onEscape.accept(escaped);
              }
            },
            delayNanos,
            TimeUnit.NANOSECONDS);
    return () -> future.cancel(false);
  }

  /** Stops the timer; scheduled callbacks are dropped. */
  @Override
  public void close() {
    timers.shutdownNow();
  }
}
