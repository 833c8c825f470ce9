package io.forebay.sim.world;

import java.lang.reflect.Constructor;
import java.util.concurrent.Executor;

/**
 * Virtual threads on an executor of ours. The JDK has them, but not in its public API: the
 * constructor of {@code java.lang.ThreadBuilders.VirtualThreadBuilder(Executor)} is opened by
 * reflection, here and nowhere else, and needs {@code --add-opens java.base/java.lang=ALL-UNNAMED}.
 */
final class SimThreads {
  private final Constructor<?> constructor;
  private final Executor executor;

  SimThreads(Executor executor) {
    this.executor = executor;
    try {
      Class<?> builder = Class.forName("java.lang.ThreadBuilders$VirtualThreadBuilder");
      constructor = builder.getDeclaredConstructor(Executor.class);
      constructor.setAccessible(true);
    } catch (ReflectiveOperationException | RuntimeException failure) {
      throw new IllegalStateException(
          "the simulator needs --add-opens java.base/java.lang=ALL-UNNAMED and a JDK whose virtual threads"
              + " take an executor (25 has it)",
          failure);
    }
  }

  Thread unstarted(String name, Runnable task) {
    try {
      var builder = (Thread.Builder.OfVirtual) constructor.newInstance(executor);
      return builder.name(name).unstarted(task);
    } catch (ReflectiveOperationException failure) {
      throw new IllegalStateException("a simulated thread could not be made", failure);
    }
  }
}
