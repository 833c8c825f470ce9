package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.assertj.core.api.InstanceOfAssertFactories;

/** Time goes by while somebody sleeps, and at once; for loops that look and sleep. */
final class Looks implements Env {
  private static final long MILLI = 1_000_000L;

  private final Random random = new Random(1);
  private long nanos;
  private int left;
  private long standsMillis;
  private Runnable meanwhile = () -> {};

  /** Has a loop look so often, with something that happens before each. */
  void looks(int count, Runnable loop, Runnable before) {
    left = count;
    meanwhile = before;
    assertThatThrownBy(loop::run)
        .asInstanceOf(InstanceOfAssertFactories.type(ForebayException.class))
        .extracting(ForebayException::code)
        .isEqualTo(ErrorCode.CANCELLED);
  }

  /** How much longer each sleep takes, as where the process stands. */
  void stands(long millis) {
    standsMillis = millis;
  }

  @Override
  public void sleep(long sleepNanos) {
    if (left-- == 0) {
      throw new ForebayException(ErrorCode.CANCELLED, "enough looks");
    }
    nanos += sleepNanos + standsMillis * MILLI;
    meanwhile.run();
  }

  @Override
  public long nanoTime() {
    return nanos;
  }

  @Override
  public long wallMillis() {
    return 1_800_000_000_000L + nanos / MILLI;
  }

  @Override
  public RandomGenerator random() {
    return random;
  }

  @Override
  public Thread spawn(String name, Runnable task) {
    return new Thread(task); // the log's batcher, which has nothing to do here
  }

  @Override
  public Timer schedule(long delayNanos, Runnable callback) {
    return () -> {};
  }
}
