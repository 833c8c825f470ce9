package io.forebay.app.bench;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Connections that each send one request after the other, a thread for each, for some time: a
 * closed loop. Reads and writes block, which is the cheapest way to drive a few connections.
 */
final class HttpLoad {
  /** How much longer than planned a measurement may take before it is given up. */
  private static final long PATIENCE_SECONDS = 120;

  /** What one connection does over and over. */
  @FunctionalInterface
  interface Work {
    /**
     * Does it once.
     *
     * @param connection from 0
     * @param turn from 0, of this connection
     * @return bytes of bodies that went over the connection
     */
    long once(HttpLine line, int connection, long turn) throws IOException;
  }

  /** Where processor time is looked up. */
  @FunctionalInterface
  interface Clock {
    double seconds() throws IOException;
  }

  /**
   * What a measurement found.
   *
   * @param cpuSeconds of the server
   */
  record Sample(
      long operations,
      double bytes,
      double seconds,
      double cpuSeconds,
      double p50Micros,
      double p99Micros) {
    double operationsPerSecond() {
      return operations / seconds;
    }

    double gbPerSecond() {
      return bytes / 1e9 / seconds;
    }

    double cpuMicrosPerOperation() {
      return cpuSeconds * 1e6 / operations;
    }

    double cpuSecondsPerGB() {
      return cpuSeconds / (bytes / 1e9);
    }
  }

  private HttpLoad() {}

  /**
   * Measures. Each connection does its work at least once.
   *
   * @param seconds after which no work is begun
   * @param maxBytes likewise, of all connections together
   * @param cpu of the server
   * @throws ForebayException INTERNAL with what the server answered; TIMEOUT when it hangs
   */
  static Sample measure(
      HttpEnd server, Work work, int connections, double seconds, long maxBytes, Clock cpu)
      throws IOException, InterruptedException {
    var lines = new ArrayList<HttpLine>();
    var failure = new AtomicReference<@Nullable Throwable>();
    var bytes = new AtomicLong();
    var go = new CountDownLatch(1);
    var done = new CountDownLatch(connections);
    List<Latencies> latencies = new ArrayList<>();
    var end = new AtomicLong();
    try {
      for (int i = 0; i < connections; i++) {
        var line = server.open();
        lines.add(line);
        var mine = new Latencies();
        latencies.add(mine);
        int connection = i;
        Thread.ofPlatform()
            .daemon()
            .name("load-" + i)
            .start(() -> {
              try {
                go.await();
                long before = System.nanoTime();
                for (long turn = 0;
                    turn == 0 || (before - end.get() < 0 && bytes.get() < maxBytes);
                    turn++) {
                  bytes.addAndGet(work.once(line, connection, turn));
                  long after = System.nanoTime();
                  mine.add(after - before);
                  before = after;
                }
              } catch (Throwable broken) {
                failure.compareAndSet(null, broken);
              } finally {
                done.countDown();
              }
            });
      }
      double cpuBefore = cpu.seconds();
      long begun = System.nanoTime();
      end.set(begun + (long) (seconds * 1e9));
      go.countDown();
      boolean ended = done.await((long) seconds + PATIENCE_SECONDS, TimeUnit.SECONDS);
      long taken = System.nanoTime() - begun;
      double cpuTaken = cpu.seconds() - cpuBefore;
      Throwable broken = failure.get();
      if (broken != null) {
        throw new ForebayException(
            ErrorCode.INTERNAL, "a request failed: " + broken.getMessage(), broken);
      }
      if (!ended) {
        throw new ForebayException(
            ErrorCode.TIMEOUT,
            server.address() + " did not answer within " + PATIENCE_SECONDS + " s");
      }
      long[] sorted = Latencies.sorted(latencies);
      return new Sample(
          sorted.length,
          bytes.get(),
          taken / 1e9,
          cpuTaken,
          percentile(sorted, 0.50),
          percentile(sorted, 0.99));
    } finally {
      for (HttpLine line : lines) {
        line.close();
      }
    }
  }

  private static double percentile(long[] sortedNanos, double share) {
    return sortedNanos[(int) Math.min(sortedNanos.length - 1, sortedNanos.length * share)] / 1e3;
  }

  /** How long each piece of work took, in nanoseconds. */
  private static final class Latencies {
    private long[] nanos = new long[1 << 10];
    private int count;

    void add(long taken) {
      if (count == nanos.length) {
        nanos = Arrays.copyOf(nanos, 2 * count);
      }
      nanos[count++] = taken;
    }

    static long[] sorted(List<Latencies> all) {
      return all.stream()
          .flatMapToLong(each -> Arrays.stream(each.nanos, 0, each.count))
          .sorted()
          .toArray();
    }
  }
}
