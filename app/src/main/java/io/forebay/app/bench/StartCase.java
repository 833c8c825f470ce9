package io.forebay.app.bench;

import io.forebay.app.demo.Servers;
import io.forebay.app.runtime.Launcher;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * What somebody sees who starts one node as the launcher does without options: how long until its
 * first PUT is answered, and how much memory it has then and under load.
 */
final class StartCase {
  static final String NAME = "start";

  private static final String NODE = "a";
  private static final int STARTS = 5;
  private static final long PATIENCE_NANOS = 60_000_000_000L;
  private static final long POLL_MILLIS = 5;

  /**
   * What it came to; medians over the starts.
   *
   * @param firstPutSeconds from before the process is started until a bucket is made and an object
   *     of 1 KiB in it is acknowledged
   * @param cpuSeconds that the server has taken until then, in all its threads
   * @param idleBytes resident then
   * @param loadedBytes resident after the load, of the last start
   */
  record Result(double firstPutSeconds, double cpuSeconds, double idleBytes, double loadedBytes) {
    Map<String, Object> fields() {
      return Map.of(
          "case", NAME,
          "firstPutSeconds", firstPutSeconds,
          "cpuSeconds", cpuSeconds,
          "idleMiB", idleBytes / (1 << 20),
          "loadedMiB", loadedBytes / (1 << 20));
    }

    String text() {
      return String.format(
          Locale.ROOT,
          "%-16s first PUT after %.2f s and %.2f CPU-s; resident %.0f MiB, loaded %.0f MiB",
          NAME,
          firstPutSeconds,
          cpuSeconds,
          idleBytes / (1 << 20),
          loadedBytes / (1 << 20));
    }
  }

  private StartCase() {}

  /**
   * Starts a node several times, each time with an empty directory; the last one works for a while.
   *
   * @param root for the directories; the caller removes it
   * @param seconds for each kind of load
   * @param shrink divides the sizes of objects
   * @param started gets the servers, for whoever ends them when this is interrupted
   */
  static Result measure(
      Path root,
      String accessKeyId,
      String secretAccessKey,
      int connections,
      double seconds,
      int shrink,
      List<AutoCloseable> started)
      throws IOException, InterruptedException {
    double[] times = new double[STARTS];
    double[] cpu = new double[STARTS];
    double[] idle = new double[STARTS];
    double loaded = 0;
    String given = System.getenv(Launcher.JAVA_OPTIONS);
    for (int i = 0; i < STARTS; i++) {
      int port = Servers.freePort();
      String host = "127.0.0.1:" + port;
      try (var servers =
          new Servers(
              root.resolve("start-" + i),
              List.of(NODE),
              any -> S3Bench.settings(host),
              Map.of(Launcher.JAVA_OPTIONS, given == null ? "" : given))) {
        started.add(servers);
        var end =
            new HttpEnd(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), port), Optional.empty());
        var cases = new S3Cases(host, accessKeyId, secretAccessKey, shrink);
        long begun = System.nanoTime();
        servers.start(NODE);
        firstPut(end, cases, begun);
        times[i] = (System.nanoTime() - begun) / 1e9;
        long pid = servers.pid(NODE);
        cpu[i] = ProcessCpu.seconds(pid);
        idle[i] = ProcessMemory.residentBytes(pid);
        if (i == STARTS - 1) {
          for (S3Cases.Case each : cases.all()) {
            if (each.name().equals("put-8m") || each.name().equals("put-1k")) {
              var _ =
                  HttpLoad.measure(
                      end, each.work(), connections, seconds, S3Bench.MAX_WRITTEN_BYTES, () -> 0);
            }
          }
          loaded = ProcessMemory.residentBytes(pid);
        }
      }
    }
    return new Result(median(times), median(cpu), median(idle), loaded);
  }

  private static double median(double[] values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }

  private static void firstPut(HttpEnd end, S3Cases cases, long begunNanos)
      throws InterruptedException {
    boolean made = false;
    while (true) {
      try (HttpLine line = end.open()) {
        if (!made) {
          cases.makeBucket(line);
          made = true;
        }
        cases.putOne(line, ByteBuffer.allocate(1 << 10));
        return;
      } catch (IOException notYet) {
        if (System.nanoTime() - begunNanos > PATIENCE_NANOS) {
          throw new ForebayException(
              ErrorCode.UNAVAILABLE, "a node that was started takes no PUT", notYet);
        }
        Thread.sleep(POLL_MILLIS);
      }
    }
  }
}
