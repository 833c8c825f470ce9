package io.forebay.sim.world;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.BoundedQueue;
import io.forebay.core.env.Outcome;
import org.junit.jupiter.api.Test;

class SimWorldTest {
  /** Two processes that echo to each other with random pauses; returns the digest of the run. */
  private static long echo(long seed) {
    var world = new SimWorld(seed);
    SimEnv a = world.env("a");
    SimEnv b = world.env("b");
    var toB = new BoundedQueue<Integer>(b, 4);
    var toA = new BoundedQueue<Integer>(a, 4);
    b.spawn(
        "echo",
        () -> {
          for (int i = 0; i < 100; i++) {
            int value = toB.take();
            b.sleep(b.random().nextLong(1_000, 1_000_000));
            world.log().add(b.nanoTime(), "b echoes " + value);
            toA.put(value, b.nanoTime() + 1_000_000_000L);
          }
        });
    for (int caller = 0; caller < 4; caller++) {
      int base = caller * 1000;
      a.spawn(
          "caller",
          () -> {
            for (int i = 0; i < 25; i++) {
              toB.put(base + i, a.nanoTime() + 60_000_000_000L);
              int answer = toA.take();
              world.log().add(a.nanoTime(), "a hears " + answer);
              a.sleep(a.random().nextLong(1_000));
            }
          });
    }
    assertThat(world.run(Long.MAX_VALUE)).isTrue();
    assertThat(world.log().last()).hasSize(200);
    return world.log().digest();
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    for (long seed = 0; seed < 20; seed++) {
      assertThat(echo(seed)).isEqualTo(echo(seed));
    }
    assertThat(echo(1)).isNotEqualTo(echo(2));
  }

  @Test
  void aTimedWaitEndsAtItsSimulatedDeadline() {
    var world = new SimWorld(7);
    SimEnv env = world.env("a");
    var never = new Outcome<Boolean>(env);
    var ended = new long[1];
    env.spawn(
        "waiter",
        () -> {
          assertThat(never.awaitUntil(env.nanoTime() + 5_000_000_000L)).isFalse();
          ended[0] = env.nanoTime();
        });
    assertThat(world.run(Long.MAX_VALUE)).isTrue();
    assertThat(ended[0]).isEqualTo(5_000_000_001L);
  }

  @Test
  void aKilledProcessDoesNothingMore() {
    var world = new SimWorld(3);
    SimEnv env = world.env("a");
    var count = new int[1];
    env.spawn(
        "worker",
        () -> {
          while (true) {
            env.sleep(1_000_000);
            count[0]++;
          }
        });
    world.run(10_500_000);
    env.kill();
    int before = count[0];
    assertThat(before).isEqualTo(10);
    world.run(100_000_000);
    assertThat(count[0]).isEqualTo(before);
  }
}
