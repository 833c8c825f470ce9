package io.forebay.core.env;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The result of something that is under way: completed once, with a value or with a failure, and
 * awaited by any number of threads. Waiting parks without a time-out; deadlines come from {@link
 * Env#schedule}, so that simulated time governs them too.
 *
 * @param <T> the value's type; a {@code Void} outcome is completed with null
 */
public final class Outcome<T extends @Nullable Object> {
  private final Env env;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private boolean done;
  private @Nullable T value;
  private @Nullable Throwable failure;
  private final List<Thread> waiting = new ArrayList<>(1);
  private @Nullable List<Consumer<Outcome<T>>> callbacks;

  public Outcome(Env env) {
    this.env = env;
  }

  /** An outcome that is complete already. */
  public static <T extends @Nullable Object> Outcome<T> of(Env env, T value) {
    var outcome = new Outcome<T>(env);
    outcome.complete(value);
    return outcome;
  }

  /** An outcome that has failed already. */
  public static <T extends @Nullable Object> Outcome<T> failed(Env env, Throwable failure) {
    var outcome = new Outcome<T>(env);
    outcome.fail(failure);
    return outcome;
  }

  /**
   * Completes with a value; returns false when it was complete before (the value is then dropped).
   */
  public boolean complete(T result) {
    return settle(result, null);
  }

  /** Completes with a failure; returns false when it was complete before. */
  public boolean fail(Throwable cause) {
    return settle(null, cause);
  }

  private boolean settle(@Nullable T result, @Nullable Throwable cause) {
    List<Consumer<Outcome<T>>> toCall;
    lock.lock();
    try {
      if (done) {
        return false;
      }
      done = true;
      value = result;
      failure = cause;
      for (Thread thread : waiting) {
        LockSupport.unpark(thread);
      }
      waiting.clear();
      toCall = callbacks == null ? List.of() : callbacks;
      callbacks = null;
    } finally {
      lock.unlock();
    }
    for (Consumer<Outcome<T>> callback : toCall) {
      callback.accept(this);
    }
    return true;
  }

  /** Whether a value or a failure has arrived. */
  public boolean isDone() {
    lock.lock();
    try {
      return done;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Calls back once when complete, at once if it is. The callback runs on whichever thread
   * completes the outcome and must not block.
   */
  public void whenDone(Consumer<Outcome<T>> callback) {
    lock.lock();
    try {
      if (!done) {
        if (callbacks == null) {
          callbacks = new ArrayList<>(1);
        }
        callbacks.add(callback);
        return;
      }
    } finally {
      lock.unlock();
    }
    callback.accept(this);
  }

  /**
   * Waits without a bound.
   *
   * @throws ForebayException the failure, or CANCELLED when interrupted
   */
  public T await() {
    waitUntilDone(null);
    return get();
  }

  /**
   * Waits until complete or until the monotonic deadline.
   *
   * @return false when the deadline passed first
   * @throws ForebayException CANCELLED when interrupted
   */
  public boolean awaitUntil(long deadlineNanos) {
    if (isDone()) {
      return true;
    }
    long left = deadlineNanos - env.nanoTime();
    if (left <= 0) {
      return false;
    }
    var expired = new Expiry(Thread.currentThread());
    Env.Timer timer = env.schedule(left, expired);
    try {
      return waitUntilDone(expired);
    } finally {
      timer.cancel();
    }
  }

  /**
   * Waits until complete or for so long.
   *
   * @param what was attempted; stands in the message of the TIMEOUT
   * @throws ForebayException the failure; TIMEOUT; CANCELLED when interrupted
   */
  public T await(long timeoutNanos, String what) {
    if (!awaitUntil(env.nanoTime() + timeoutNanos)) {
      throw new ForebayException(
          ErrorCode.TIMEOUT, what + ": no answer within " + timeoutNanos / 1_000_000 + " ms");
    }
    return get();
  }

  /**
   * The value of a complete outcome.
   *
   * @throws ForebayException the failure
   * @throws IllegalStateException when not complete
   */
  @SuppressWarnings("NullAway") // T decides whether the value may be null
  public T get() {
    lock.lock();
    try {
      if (!done) {
        throw new IllegalStateException("outcome is not complete");
      }
      if (failure != null) {
        throw ForebayException.wrap(failure);
      }
      return value;
    } finally {
      lock.unlock();
    }
  }

  /** The failure of a complete outcome; empty while it is under way or when it succeeded. */
  public Optional<Throwable> failure() {
    lock.lock();
    try {
      return Optional.ofNullable(failure);
    } finally {
      lock.unlock();
    }
  }

  private boolean waitUntilDone(@Nullable Expiry expiry) {
    Thread self = Thread.currentThread();
    lock.lock();
    try {
      while (!done) {
        if (expiry != null && expiry.passed) {
          return false;
        }
        waiting.add(self);
        lock.unlock();
        try {
          LockSupport.park(this);
        } finally {
          lock.lock();
          waiting.remove(self);
        }
        if (!done && Thread.currentThread().isInterrupted()) {
          throw new ForebayException(ErrorCode.CANCELLED, "interrupted while waiting");
        }
      }
      return true;
    } finally {
      lock.unlock();
    }
  }
}
