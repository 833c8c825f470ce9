package io.forebay.core.env;

import io.forebay.core.error.ForebayException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A set of tasks that end together: whoever forks joins. Closing interrupts what still runs and
 * waits for it. Used by one thread.
 */
public final class Scope implements AutoCloseable {
  private final Env env;
  private final String name;
  private final List<Thread> threads = new ArrayList<>();
  private final List<Outcome<?>> outcomes = new ArrayList<>();

  /**
   * @param name for thread dumps
   */
  public Scope(Env env, String name) {
    this.env = env;
    this.name = name;
  }

  /** Runs the task on a virtual thread of its own; its failure is the outcome's. */
  public <T extends @Nullable Object> Outcome<T> fork(Supplier<T> task) {
    var outcome = new Outcome<T>(env);
    outcomes.add(outcome);
    threads.add(
        env.spawn(
            name,
            () -> {
              try {
                outcome.complete(task.get());
              } catch (Throwable failure) {
                outcome.fail(failure);
              }
            }));
    return outcome;
  }

  /**
   * Waits for all tasks.
   *
   * @throws ForebayException the first failure in the order of forking, after all have ended
   */
  public void join() {
    ForebayException first = null;
    for (Outcome<?> outcome : outcomes) {
      try {
        outcome.await();
      } catch (ForebayException failure) {
        first = first == null ? failure : first;
      }
    }
    if (first != null) {
      throw first;
    }
  }

  @Override
  public void close() {
    for (Thread thread : threads) {
      thread.interrupt();
    }
    boolean interrupted = Thread.interrupted();
    for (Outcome<?> outcome : outcomes) {
      var settled = new Outcome<Boolean>(env);
      outcome.whenDone(done -> settled.complete(true));
      settled.await();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
