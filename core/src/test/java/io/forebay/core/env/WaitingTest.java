package io.forebay.core.env;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Outcome, BoundedQueue, Permits and Scope, on real threads. */
final class WaitingTest {
  private static final long LONG_NANOS = 30_000_000_000L;

  private final TestEnv env = new TestEnv();

  @AfterEach
  void close() {
    env.close();
  }

  @Test
  void theFirstResultStays() {
    var outcome = new Outcome<String>(env);
    var seen = new ArrayList<String>();
    outcome.whenDone(done -> seen.add(done.get()));
    assertThat(outcome.complete("a")).isTrue();
    assertThat(outcome.complete("b")).isFalse();
    assertThat(outcome.fail(new IllegalStateException())).isFalse();
    outcome.whenDone(done -> seen.add(done.get()));
    assertThat(outcome.await()).isEqualTo("a");
    assertThat(seen).containsExactly("a", "a");
  }

  @Test
  void aFailureKeepsItsCodeForEveryWaiter() {
    var outcome = new Outcome<String>(env);
    try (var scope = new Scope(env, "waiters")) {
      List<Outcome<ErrorCode>> codes = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        codes.add(scope.fork(() -> codeOf(outcome::await)));
      }
      outcome.fail(new ForebayException(ErrorCode.NO_SPACE, "full"));
      scope.join();
      assertThat(codes).allSatisfy(code -> assertThat(code.get()).isEqualTo(ErrorCode.NO_SPACE));
    }
  }

  @Test
  void aDeadlineEndsTheWaitButNotTheOutcome() {
    var outcome = new Outcome<String>(env);
    assertThat(outcome.awaitUntil(env.nanoTime() + 1_000_000)).isFalse();
    assertThatThrownBy(() -> outcome.await(1_000_000, "fetching x"))
        .isInstanceOfSatisfying(
            ForebayException.class, late -> assertThat(late.code()).isEqualTo(ErrorCode.TIMEOUT))
        .hasMessageContaining("fetching x");
    outcome.complete("late");
    assertThat(outcome.awaitUntil(env.nanoTime() - 1)).isTrue();
  }

  @Test
  void anInterruptCancelsAndStaysSet() {
    var outcome = new Outcome<String>(env);
    var interrupted = new Outcome<Boolean>(env);
    Thread thread =
        env.spawn(
            "interrupted",
            () -> {
              ErrorCode code = codeOf(outcome::await);
              interrupted.complete(
                  code == ErrorCode.CANCELLED && Thread.currentThread().isInterrupted());
            });
    thread.interrupt();
    assertThat(interrupted.await(LONG_NANOS, "the interrupt")).isTrue();
  }

  @Test
  void aQueueIsBoundedAndKeepsTheOrder() {
    var queue = new BoundedQueue<Integer>(env, 2);
    assertThat(queue.offer(1)).isTrue();
    assertThat(queue.offer(2)).isTrue();
    assertThat(queue.offer(3)).isFalse();
    assertThat(queue.put(3, env.nanoTime() + 1_000_000)).isFalse();
    assertThat(queue.take()).isEqualTo(1);
    assertThat(queue.poll()).contains(2);
    assertThat(queue.poll()).isEmpty();
    assertThat(queue.take(env.nanoTime() + 1_000_000)).isEmpty();
  }

  @Test
  void everythingPutIsTakenOnceWhateverTheThreadsDo() {
    var queue = new BoundedQueue<Integer>(env, 3);
    var sum = new AtomicLong();
    int threads = 8;
    int each = 2_000;
    try (var scope = new Scope(env, "queue")) {
      for (int t = 0; t < threads; t++) {
        int first = t * each;
        scope.fork(() -> {
          for (int i = 0; i < each; i++) {
            assertThat(queue.put(first + i, env.nanoTime() + LONG_NANOS)).isTrue();
          }
          return true;
        });
        scope.fork(() -> {
          for (int i = 0; i < each; i++) {
            sum.addAndGet(queue.take());
          }
          return true;
        });
      }
      scope.join();
    }
    long count = (long) threads * each;
    assertThat(sum.get()).isEqualTo(count * (count - 1) / 2);
    assertThat(queue.size()).isZero();
  }

  @Test
  void permitsAreNeverExceeded() {
    var permits = new Permits(env, 10);
    var taken = new AtomicLong();
    try (var scope = new Scope(env, "permits")) {
      for (int t = 0; t < 8; t++) {
        var random = new SplittableRandom(t);
        scope.fork(() -> {
          for (int i = 0; i < 1_000; i++) {
            int count = 1 + random.nextInt(10);
            permits.acquire(count);
            if (taken.addAndGet(count) > 10) {
              throw new IllegalStateException("too many");
            }
            taken.addAndGet(-count);
            permits.release(count);
          }
          return true;
        });
      }
      scope.join();
    }
    assertThat(permits.available()).isEqualTo(10);
    assertThat(permits.tryAcquire(50)).as("clipped to all").isTrue();
    assertThat(permits.tryAcquire(1)).isFalse();
    assertThat(permits.acquire(1, env.nanoTime() + 1_000_000)).isFalse();
    permits.release(50);
    assertThatThrownBy(() -> permits.release(1)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void whoTriesDoesNotOvertakeWhoWaits() {
    var permits = new Permits(env, 2);
    permits.acquire(1);
    try (var scope = new Scope(env, "fair")) {
      scope.fork(() -> {
        permits.acquire(2);
        return true;
      });
      while (permits.tryAcquire(1)) {
        permits.release(1); // nobody waits yet
      }
      assertThat(permits.available()).isEqualTo(1);
      permits.release(1);
      scope.join();
    }
    assertThat(permits.available()).isZero();
    permits.release(2);
    assertThat(permits.tryAcquire(2)).isTrue();
  }

  @Test
  void aScopeThrowsTheFirstFailureAfterAllHaveEnded() {
    var ended = new AtomicLong();
    try (var scope = new Scope(env, "failing")) {
      scope.fork(ended::incrementAndGet);
      scope.fork(() -> {
        throw new ForebayException(ErrorCode.IO_ERROR, "disk");
      });
      scope.fork(ended::incrementAndGet);
      assertThat(codeOf(scope::join)).isEqualTo(ErrorCode.IO_ERROR);
      assertThat(ended.get()).isEqualTo(2);
    }
  }

  @Test
  void closingAScopeInterruptsWhatStillRuns() {
    var never = new Outcome<String>(env);
    Outcome<ErrorCode> code;
    try (var scope = new Scope(env, "closed")) {
      code = scope.fork(() -> codeOf(never::await));
    }
    assertThat(code.isDone()).isTrue();
    assertThat(code.get()).isEqualTo(ErrorCode.CANCELLED);
  }

  @Test
  void aCancelledTimerStaysSilent() {
    var fired = new AtomicLong();
    Env.Timer timer = env.schedule(LONG_NANOS, fired::incrementAndGet);
    timer.cancel();
    timer.cancel();
    var later = new Outcome<Boolean>(env);
    env.schedule(1_000_000, () -> later.complete(true));
    assertThat(later.await(LONG_NANOS, "the timer")).isTrue();
    assertThat(fired.get()).isZero();
  }

  private static ErrorCode codeOf(Runnable task) {
    try {
      task.run();
    } catch (ForebayException failure) {
      return failure.code();
    }
    throw new IllegalStateException("did not fail");
  }
}
