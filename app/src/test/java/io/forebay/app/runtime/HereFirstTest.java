package io.forebay.app.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.Outcome;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Threads that begin where they are started. */
final class HereFirstTest {
  private final AtomicReference<Throwable> escaped = new AtomicReference<>();
  private final JdkEnv env = new JdkEnv(escaped::set);

  @AfterEach
  void close() {
    env.close();
  }

  @Test
  void whatNeverWaitsIsDoneAtOnceInAVirtualThread() {
    var ran = new AtomicReference<Thread>();
    Thread thread = env.spawnHere("here", () -> ran.set(Thread.currentThread()));
    assertThat(ran.get()).isSameAs(thread);
    assertThat(thread.isVirtual()).isTrue();
    assertThat(thread.getState()).isEqualTo(Thread.State.TERMINATED);
  }

  @Test
  void aWaitLeavesTheStarterAndGoesOnElsewhere() throws Exception {
    var waited = new Outcome<Boolean>(env);
    var begun = new AtomicBoolean();
    var carrier = new AtomicReference<String>();
    var done = new CountDownLatch(1);
    Thread thread =
        env.spawnHere(
            "here",
            () -> {
              begun.set(true);
              waited.await();
              carrier.set(Thread.currentThread().toString());
              done.countDown();
            });
    assertThat(begun.get()).isTrue();
    assertThat(done.getCount()).isEqualTo(1);
    waited.complete(true);
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(carrier.get()).contains("ForkJoinPool");
    thread.join();
  }

  @Test
  void aLongComputationLeavesTheStarterFirst() throws Exception {
    var go = new CountDownLatch(1);
    var done = new CountDownLatch(1);
    env.spawnHere(
        "here",
        () -> {
          env.leaveStarter();
          while (go.getCount() > 0) {
            Thread.onSpinWait(); // a computation, which the starter is not held up by
          }
          done.countDown();
        });
    go.countDown();
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void fromAVirtualThreadItIsAnOrdinaryOne() throws Exception {
    var done = new CountDownLatch(1);
    env.spawn("outer", () -> env.spawnHere("inner", done::countDown));
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(escaped.get()).isNull();
  }

  @Test
  void whatEscapesIsToldAndDoesNotReachTheStarter() {
    var bug = new IllegalStateException("a bug");
    env.spawnHere(
        "here",
        () -> {
          throw bug;
        });
    assertThat(escaped.get()).isSameAs(bug);
  }
}
