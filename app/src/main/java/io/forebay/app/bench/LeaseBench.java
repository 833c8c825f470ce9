package io.forebay.app.bench;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.command.Transfers;
import io.forebay.app.demo.Servers;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.WriteOptions;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code bench leases}: HEAD of present keys through a node that does not lead. */
@Command(
    name = "leases",
    description = {
      "HEAD of present keys through the S3 door of a node that does not lead, in a cluster of three voters on this"
          + " machine: once in a bucket where directory leases are off, once in one where they are on. The two take"
          + " turns, round by round; each figure is the median of the rounds. Requests are presigned.",
      "Processor time is that of all three servers. Run it alone on the machine."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExample:%n",
    footer = "  forebay bench leases --connections 16 --json rows.json")
public final class LeaseBench implements Callable<Integer> {
  private static final List<String> NODES = List.of("a", "b", "c");
  private static final String ACCESS_KEY = "BENCHKEY";
  private static final String SECRET_KEY = "bench-key-that-never-leaves-loopback";
  private static final int KEYS = 256;
  private static final long CONNECT_SECONDS = 30;
  private static final String OFF = "leases-off"; // not YAML's false
  private static final String ON = "leases-on";

  @Option(
      names = "--connections",
      paramLabel = "COUNT",
      description = "Connections, each with one request under way (default: ${DEFAULT-VALUE}).")
  private int connections = 8;

  @Option(
      names = "--seconds",
      paramLabel = "SECONDS",
      description = "How long each of the two is measured in a round (default: ${DEFAULT-VALUE}).")
  private double seconds = 2;

  @Option(
      names = "--rounds",
      paramLabel = "COUNT",
      description = "Rounds, after one to warm up (default: ${DEFAULT-VALUE}).")
  private int rounds = 5;

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the rows to a file.")
  private @Nullable Path json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (connections < 1 || rounds < 1 || !(seconds > 0)) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "--connections and --rounds are at least 1, and --seconds is above 0");
    }
    Path root = Files.createTempDirectory("forebay-bench-");
    var hosts = new TreeMap<String, String>();
    for (String name : NODES) {
      hosts.put(name, "127.0.0.1:" + Servers.freePort());
    }
    var servers =
        new Servers(root, NODES, name -> settings(String.valueOf(hosts.get(name))), Map.of());
    var reaper = new Thread(servers::close, "bench-reaper");
    Runtime.getRuntime().addShutdownHook(reaper);
    try {
      for (String name : NODES) {
        servers.start(name);
      }
      NODES.forEach(servers::awaitReady);
      fill(servers);
      String leader = servers.report("a").path("namespaceLeader").asString("");
      String through =
          NODES.stream().filter(name -> !name.equals(leader)).findFirst().orElseThrow();
      measure(servers, through, String.valueOf(hosts.get(through)));
      return 0;
    } finally {
      servers.close();
      Runtime.getRuntime().removeShutdownHook(reaper);
      Servers.remove(root);
    }
  }

  private static List<String> settings(String host) {
    return List.of(
        "s3: {listen: '"
            + host
            + "', accessKeyId: "
            + ACCESS_KEY
            + ", secretAccessKey: "
            + SECRET_KEY
            + "}",
        "capacity: 1GiB",
        "segment: 64MiB",
        "memory: 256MiB",
        "leases: {length: 500ms, except: [" + OFF + "]}");
  }

  private static void fill(Servers servers) {
    for (String bucket : List.of(OFF, ON)) {
      Servers.await(
          "a bucket with keys",
          CONNECT_SECONDS,
          () -> {
            try (Connection connection = servers.connect("a")) {
              if (connection.files().bucket(bucket).isEmpty()) {
                connection
                    .files()
                    .createBucket(
                        new BucketSpec(
                            bucket,
                            new Family(2, 2, Durability.REPLICATED),
                            "",
                            FlushMode.CACHE_ONLY,
                            List.of(),
                            BucketSpec.DEFAULT_CHUNK_BYTES,
                            0,
                            1_000));
              }
              for (int i = 0; i < KEYS; i++) {
                Transfers.put(
                    connection.files(),
                    connection.pool(),
                    bucket,
                    "d/" + i,
                    new ByteArrayInputStream(new byte[1_024]),
                    WriteOptions.DEFAULT,
                    bytes -> {});
              }
              return true;
            } catch (ForebayException notYet) {
              return false;
            }
          });
    }
  }

  private void measure(Servers servers, String through, String host)
      throws IOException, InterruptedException {
    var targets = new PresignedTargets(host, ACCESS_KEY, SECRET_KEY, Instant.now());
    var server =
        new InetSocketAddress(
            InetAddress.getLoopbackAddress(),
            Integer.parseInt(host.substring(host.lastIndexOf(':') + 1)));
    HttpLoad.Clock cpu =
        () -> {
          double sum = 0;
          for (String name : NODES) {
            sum += ProcessCpu.seconds(servers.pid(name));
          }
          return sum;
        };
    var samples = new LinkedHashMap<String, List<HttpLoad.Sample>>();
    for (int round = -1; round < rounds; round++) {
      for (String bucket : List.of(OFF, ON)) {
        HttpLoad.Sample sample =
            HttpLoad.measure(
                HttpEnd.plain(server),
                heads(targets, bucket),
                connections,
                seconds,
                Long.MAX_VALUE,
                cpu);
        if (round >= 0) {
          samples.computeIfAbsent(bucket, any -> new ArrayList<>()).add(sample);
        }
      }
    }
    System.out.printf(
        Locale.ROOT, "%-8s %9s %9s %9s %10s%n", "leases", "ops/s", "p50 us", "p99 us", "CPU us/op");
    var rows = new ArrayList<Map<String, Object>>();
    samples.forEach((bucket, all) -> {
      var row = new LinkedHashMap<String, Object>();
      row.put("leases", bucket);
      row.put("opsPerSecond", median(all, HttpLoad.Sample::operationsPerSecond));
      row.put("p50Micros", median(all, HttpLoad.Sample::p50Micros));
      row.put("p99Micros", median(all, HttpLoad.Sample::p99Micros));
      row.put("cpuMicrosPerOp", median(all, HttpLoad.Sample::cpuMicrosPerOperation));
      rows.add(row);
      System.out.printf(Locale.ROOT, "%-8s %9.0f %9.0f %9.0f %10.1f%n", row.values().toArray());
    });
    System.out.println(
        "answered from leases: "
            + servers.report(through).path("counters").path("leaseHits").asLong(-1));
    if (json != null) {
      Files.writeString(
          json, Json.of(Map.of("rows", rows, "connections", connections, "rounds", rounds)) + "\n");
    }
  }

  private static HttpLoad.Work heads(PresignedTargets targets, String bucket) {
    var requests = new ArrayList<byte[]>();
    for (int i = 0; i < KEYS; i++) {
      String path = "/" + bucket + "/d/" + i;
      requests.add(HttpLine.head("HEAD", targets.of("HEAD", path, Map.of()), targets.host()));
    }
    return (line, connection, turn) -> {
      byte[] request = requests.get((int) ((connection * 31L + turn) % KEYS));
      return line.exchange(request, null, 200, true, null);
    };
  }

  private static double median(
      List<HttpLoad.Sample> samples, ToDoubleFunction<HttpLoad.Sample> figure) {
    return samples.stream()
        .mapToDouble(figure)
        .sorted()
        .skip(samples.size() / 2)
        .findFirst()
        .orElseThrow();
  }
}
