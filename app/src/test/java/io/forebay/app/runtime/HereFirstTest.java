package io.forebay.app.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.Outcome;
import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Threads that begin where they are started. */
final class HereFirstTest {
  private final AtomicReference<Throwable> escaped = new AtomicReference<>();
  private final JdkEnv env = new JdkEnv(escaped::set);
  private final Deque<Runnable> later = new ConcurrentLinkedDeque<>();
  private final Executor loop = later::add;

  @AfterEach
  void close() {
    env.close();
  }

  @Test
  void whatNeverWaitsIsDoneAtOnceInAVirtualThread() {
    var ran = new AtomicReference<Thread>();
    Thread thread = env.spawnHere("here", loop, () -> ran.set(Thread.currentThread()));
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
            loop,
            () -> {
              begun.set(true);
              waited.await();
              carrier.set(Thread.currentThread().toString());
              done.countDown();
            });
    assertThat(begun.get()).isTrue();
    assertThat(done.getCount()).isEqualTo(1);
    Thread.ofPlatform().start(() -> waited.complete(true)).join();
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(carrier.get()).contains("ForkJoinPool");
    assertThat(later).isEmpty();
    thread.join();
  }

  @Test
  void aWaitThatTheStarterEndsGoesOnThereLater() {
    var waited = new Outcome<Boolean>(env);
    var carrier = new AtomicReference<String>();
    Thread thread =
        env.spawnHere(
            "here",
            loop,
            () -> {
              waited.await();
              carrier.set(Thread.currentThread().toString());
            });
    waited.complete(true);
    assertThat(carrier.get()).isNull();
    later.remove().run();
    assertThat(carrier.get()).doesNotContain("ForkJoinPool");
    assertThat(thread.getState()).isEqualTo(Thread.State.TERMINATED);
  }

  @Test
  void aLoopAndItsThreadsAndOthersMayUseOneLock() throws Exception {
    int requests = 20_000;
    var lock = new ReentrantLock();
    var done = new CountDownLatch(requests);
    var ended = new AtomicBoolean();
    Runnable use =
        () -> {
          lock.lock();
          try {
            Thread.onSpinWait();
          } finally {
            lock.unlock();
          }
        };
    Thread other =
        Thread.ofPlatform()
            .start(() -> {
              while (!ended.get()) {
                use.run();
              }
            });
    ExecutorService turns = Executors.newSingleThreadExecutor();
    try {
      for (int i = 0; i < requests; i++) {
        var waited = new Outcome<Boolean>(env);
        turns.execute(() -> {
          use.run();
          env.spawnHere(
              "request",
              turns,
              () -> {
                use.run();
                waited.await();
                use.run();
                done.countDown();
              });
          use.run();
        });
        turns.execute(() -> {
          waited.complete(true);
          use.run();
        });
      }
      assertThat(done.await(60, TimeUnit.SECONDS)).isTrue();
    } finally {
      ended.set(true);
      other.join();
      turns.shutdownNow();
    }
  }

  @Test
  @SuppressWarnings("LockNotBeforeTry") // it is given back while another thread waits for it
  void aLockThatTheStarterGivesBackIsTakenElsewhere() throws Exception {
    var lock = new ReentrantLock();
    var done = new CountDownLatch(1);
    lock.lock();
    env.spawnHere(
        "here",
        loop,
        () -> {
          lock.lock();
          lock.unlock();
          done.countDown();
        });
    lock.unlock();
    // Were it queued here, nobody could take the lock behind it while this thread waits for it.
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(later).isEmpty();
  }

  @Test
  void whatItStartsBelongsToThePool() throws Exception {
    var waited = new Outcome<Boolean>(env);
    var begun = new CountDownLatch(1);
    var carrier = new AtomicReference<String>();
    var done = new CountDownLatch(1);
    env.spawnHere(
        "here",
        loop,
        () ->
            env.spawn(
                "child",
                () -> {
                  begun.countDown();
                  waited.await();
                  carrier.set(Thread.currentThread().toString());
                  done.countDown();
                }));
    assertThat(begun.await(10, TimeUnit.SECONDS)).isTrue();
    waited.complete(true);
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(carrier.get()).contains("ForkJoinPool");
    assertThat(later).isEmpty();
  }

  @Test
  void whoHasLeftStaysInThePool() throws Exception {
    var waited = new Outcome<Boolean>(env);
    var done = new CountDownLatch(1);
    env.spawnHere(
        "here",
        loop,
        () -> {
          env.leaveStarter();
          waited.await();
          done.countDown();
        });
    waited.complete(true);
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(later).isEmpty();
  }

  @Test
  void aLoopThatHasEndedHoldsNobodyUp() throws Exception {
    var waited = new Outcome<Boolean>(env);
    var done = new CountDownLatch(1);
    env.spawnHere(
        "here",
        task -> {
          throw new RejectedExecutionException("ended");
        },
        () -> {
          waited.await();
          done.countDown();
        });
    waited.complete(true);
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void aLongComputationLeavesTheStarterFirst() throws Exception {
    var go = new CountDownLatch(1);
    var done = new CountDownLatch(1);
    env.spawnHere(
        "here",
        loop,
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
    env.spawn("outer", () -> env.spawnHere("inner", loop, done::countDown));
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(escaped.get()).isNull();
  }

  @Test
  void whatEscapesIsToldAndDoesNotReachTheStarter() {
    var bug = new IllegalStateException("a bug");
    env.spawnHere(
        "here",
        loop,
        () -> {
          throw bug;
        });
    assertThat(escaped.get()).isSameAs(bug);
  }
}
