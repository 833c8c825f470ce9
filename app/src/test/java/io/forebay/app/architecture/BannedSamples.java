package io.forebay.app.architecture;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;

/** One method for each ban of {@link SimulatedCodeTest}, never run: what each rule must catch. */
@SuppressWarnings({"all", "unused"})
final class BannedSamples {

  private BannedSamples() {}

  static String methodOf(String ban) {
    return switch (ban) {
      case "sleeping" -> "sleeping";
      case "starting threads" -> "threads";
      case "reading a clock" -> "clock";
      case "drawing random numbers" -> "chance";
      case "collections whose order differs from run to run" -> "order";
      case "somebody else's executor" -> "executor";
      case "parallel streams" -> "parallel";
      case "thread locals" -> "threadLocal";
      case "timed waits of java.util.concurrent, which wake from a foreign thread" -> "timedWait";
      case "monitors" -> "monitor";
      default -> throw new IllegalArgumentException("no sample for the ban on " + ban);
    };
  }

  static void sleeping() throws InterruptedException {
    Thread.sleep(1);
  }

  static void threads() {
    Thread.ofVirtual();
  }

  static LongSupplier clock() {
    return System::nanoTime;
  }

  static double chance() {
    return Math.random();
  }

  static Map<String, String> order() {
    return Map.of();
  }

  static Object executor() {
    return CompletableFuture.completedFuture("").thenRunAsync(() -> {});
  }

  static Object parallel() {
    return IntStream.range(0, 2).parallel();
  }

  static Object threadLocal() {
    return new ThreadLocal<String>();
  }

  static boolean timedWait(CountDownLatch latch) throws InterruptedException {
    return latch.await(1, TimeUnit.SECONDS);
  }

  static void monitor(Object lock) {
    lock.notifyAll();
  }

  static synchronized int synchronizedMethod() {
    return 1;
  }

  static int synchronizedBlock(Object lock) {
    synchronized (lock) {
      return 1;
    }
  }
}
