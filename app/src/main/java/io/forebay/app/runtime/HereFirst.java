package io.forebay.app.runtime;

import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Virtual threads that begin on the platform thread that starts them, and go on in the JDK's pool
 * once they have waited. What never waits is done when {@link #start} returns, without a hand-over.
 *
 * <p>The JDK's virtual threads take a scheduler, but not in its public API: it is opened by
 * reflection and needs {@code --add-opens java.base/java.lang=ALL-UNNAMED}. Without it they are
 * ordinary virtual threads.
 */
final class HereFirst implements Executor {
  private static final Logger LOG = LoggerFactory.getLogger(HereFirst.class);
  private static final @Nullable Internals INTERNALS = open();

  private record Internals(Constructor<?> builder, Executor pool) {}

  private final Internals internals;
  // Written by whoever starts the thread, before anybody else can see it.
  private boolean begun;

  private HereFirst(Internals internals) {
    this.internals = internals;
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
  static Thread start(String name, Runnable task) {
    Internals internals = INTERNALS;
    if (internals == null || Thread.currentThread().isVirtual()) {
      return Thread.ofVirtual().name(name).start(task);
    }
    try {
      var builder =
          (Thread.Builder.OfVirtual) internals.builder.newInstance(new HereFirst(internals));
      return builder.name(name).start(task);
    } catch (ReflectiveOperationException failure) {
      throw new IllegalStateException("a virtual thread could not be made", failure);
    }
  }

  @Override
  public void execute(Runnable continuation) {
    if (begun) {
      internals.pool.execute(continuation);
    } else {
      begun = true;
      continuation.run();
    }
  }
}
