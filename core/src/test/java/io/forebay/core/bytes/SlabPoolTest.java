package io.forebay.core.bytes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class SlabPoolTest {
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 8_192, 2);

  @AfterEach
  void close() {
    env.close();
  }

  @Test
  void anEmptyPoolSaysSo() {
    Slab one = pool.take();
    Slab other = pool.take();
    assertThat(pool.tryTake()).isEqualTo(Optional.empty());
    assertThatThrownBy(() -> pool.take(env.nanoTime()))
        .isInstanceOfSatisfying(
            ForebayException.class, busy -> assertThat(busy.code()).isEqualTo(ErrorCode.BUSY));
    one.release();
    assertThat(pool.available()).isEqualTo(1);
    assertThat(pool.take()).as("memory is recycled").isSameAs(one);
    one.release();
    other.release();
  }

  @Test
  void whoWaitsGetsWhatIsReleased() {
    Slab one = pool.take();
    Slab other = pool.take();
    var got = new Outcome<Slab>(env);
    env.spawn("waiter", () -> got.complete(pool.take()));
    one.release();
    assertThat(got.await(10_000_000_000L, "a slab")).isSameAs(one);
    one.release();
    other.release();
    assertThat(pool.available()).isEqualTo(2);
  }

  @Test
  void aPartKeepsItsSlabUntilItsOwnRelease() {
    Slab slab = pool.take();
    slab.buffer().put(100, (byte) 42);
    Bytes part = slab.bytes(100, 50);
    Bytes slice = part.slice(0, 1);
    slab.release();
    part.release();
    assertThat(pool.available()).isEqualTo(1);
    assertThat(slice.toArray()).containsExactly(42);
    slice.release();
    assertThat(pool.available()).isEqualTo(2);
    assertThatThrownBy(slice::toArray).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(slice::retain).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> part.slice(49, 2)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aReleaseTooManyIsABug() {
    Slab slab = pool.take();
    slab.release();
    assertThatThrownBy(slab::release).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void sizesAreMultiplesOfADiskBlock() {
    assertThatThrownBy(() -> new SlabPool(env, 5_000, 1))
        .isInstanceOf(IllegalArgumentException.class);
    Slab slab = pool.take();
    assertThat(slab.buffer().alignmentOffset(0, 4_096)).isZero();
    slab.release();
  }
}
