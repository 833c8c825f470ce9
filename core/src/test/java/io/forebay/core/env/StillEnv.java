package io.forebay.core.env;

import java.util.Random;
import java.util.random.RandomGenerator;

/** An {@link Env} whose clocks a test moves. Its timers never fire. */
public final class StillEnv implements Env {
  private static final long MILLI = 1_000_000L;

  private final RandomGenerator random = new Random(1);
  private long nanos;
  private long wallMillis = 1_800_000_000_000L;

  /** Time goes by, for both clocks. */
  public void pass(long millis) {
    nanos += millis * MILLI;
    wallMillis += millis;
  }

  /** The machine stands still: its monotonic clock does not notice. */
  public void stand(long millis) {
    wallMillis += millis;
  }

  @Override
  public long nanoTime() {
    return nanos;
  }

  @Override
  public long wallMillis() {
    return wallMillis;
  }

  @Override
  public RandomGenerator random() {
    return random;
  }

  @Override
  public Thread spawn(String name, Runnable task) {
    throw new UnsupportedOperationException(name);
  }

  @Override
  public Timer schedule(long delayNanos, Runnable callback) {
    return () -> {};
  }
}
