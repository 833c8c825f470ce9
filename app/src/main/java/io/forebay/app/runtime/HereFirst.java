package io.forebay.app.runtime;

import io.forebay.core.env.Outcome;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Virtual threads that begin on the platform thread that starts them, and go on there after waits
 * that this thread has ended; after others, in the JDK's pool. What never waits is done when {@link
 * #start} returns.
 *
 * <p>The JDK's virtual threads take a scheduler, but not in its public API: it is opened by
 * reflection and needs {@code --add-opens java.base/java.lang=ALL-UNNAMED}. Without it they are
 * ordinary virtual threads.
 */
final class HereFirst implements Executor {
  private static final Logger LOG = LoggerFactory.getLogger(HereFirst.class);
  private static final @Nullable Internals INTERNALS = open();

  private record Internals(Constructor<?> builder, Executor pool) {}

  private static final ThreadLocal<@Nullable HereFirst> OF_THREAD = new ThreadLocal<>();

  private final Internals internals;
  private final Thread starter = Thread.currentThread();
  private final Executor loop;
  private volatile @Nullable Thread thread;
  // Written by whoever starts the thread, before anybody else can see it.
  private @Nullable Runnable own;
  private volatile boolean left;

  private HereFirst(Internals internals, Executor loop) {
    this.internals = internals;
    this.loop = loop;
  }

  private static @Nullable Internals open() {
    try {
      Constructor<?> builder =
          Class.forName("java.lang.ThreadBuilders$VirtualThreadBuilder")
              .getDeclaredConstructor(Executor.class);
      builder.setAccessible(true);
      Method pool = Class.forName("java.lang.VirtualThread").getDeclaredMethod("defaultScheduler");
      pool.setAccessible(true);
      return new Internals(builder, (Executor) pool.invoke(null));
    } catch (ReflectiveOperationException | RuntimeException absent) {
      LOG.info("threads.here.unavailable reason={}", absent.toString());
      return null;
    }
  }

  /** Starts a thread. When the caller is a virtual thread itself, it begins in the pool. */
  static Thread start(String name, Executor loop, Runnable task) {
    Internals internals = INTERNALS;
    if (internals == null || Thread.currentThread().isVirtual()) {
      return Thread.ofVirtual().name(name).start(task);
    }
    try {
      var scheduler = new HereFirst(internals, loop);
      var builder = (Thread.Builder.OfVirtual) internals.builder.newInstance(scheduler);
      Thread thread =
          builder
              .name(name)
              .unstarted(() -> {
                OF_THREAD.set(scheduler);
                task.run();
              });
      scheduler.thread = thread;
      thread.start();
      return thread;
    } catch (ReflectiveOperationException failure) {
      throw new IllegalStateException("a virtual thread could not be made", failure);
    }
  }

  /** The calling thread goes on in the pool from now on, if it is one of these. */
  @SuppressWarnings("ThreadPriorityCheck") // nothing relies on who goes on first
  static void leave() {
    HereFirst mine = OF_THREAD.get();
    if (mine != null) {
      mine.left = true;
      Thread.yield();
    }
  }

  /** Of the one thread, and of those that it starts: they inherit it, and belong to the pool. */
  @Override
  public void execute(Runnable continuation) {
    if (own == null) {
      own = continuation;
      continuation.run();
    } else if (continuation.equals(own) && belongsHere()) {
      try {
        loop.execute(continuation);
      } catch (RejectedExecutionException ending) {
        internals.pool.execute(continuation);
      }
    } else {
      internals.pool.execute(continuation);
    }
  }

  /**
   * Whether the starter has ended a wait for an {@link Outcome}. Never one for a lock: the thread
   * would be the lock's next owner while it waits for the starter, which may block on that lock.
   */
  private boolean belongsHere() {
    Thread waiter = thread;
    return !left
        && waiter != null
        && Thread.currentThread().equals(starter)
        && LockSupport.getBlocker(waiter) instanceof Outcome;
  }
}
