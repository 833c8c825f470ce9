package io.forebay.app.bench;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.demo.Servers;
import io.forebay.app.runtime.Launcher;
import io.forebay.app.runtime.LoopbackTrust;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code bench s3}: the S3 door of one node beside nginx, which serves the same files. */
@Command(
    name = "s3",
    description = {
      "The S3 door of one node, one server process, beside nginx, which serves the same files over the same kind of"
          + " connections: what HTTP costs on this machine. The two take turns, round by round; each figure is the"
          + " median of the rounds. Requests are signed (presigned URLs), where the case does not say unsigned.",
      "Processor time is the server's alone, user and system; it says more than rates do where load generator and"
          + " server share the processors, as they do here. Before a case is measured the server is warmed up until"
          + " its compiler rests.",
      "Needs the Debian package nginx-light, or --no-nginx. Run it alone on the machine."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExamples:%n",
    footer = {
      "  forebay bench s3 --json rows.json",
      "  forebay bench s3 --cases get-1k,range-128k --connections 32 --rounds 5",
      "  forebay bench s3 --cases get-1k,get-8m,put-8m --no-nginx --tls",
      "  forebay bench s3 --cases get-8m --no-nginx --seconds 30 --rounds 1"
    })
public final class S3Bench implements Callable<Integer> {
  private static final String NODE = "a";
  private static final long CONNECT_SECONDS = 30;
  private static final String ACCESS_KEY = "BENCHKEY";
  private static final String SECRET_KEY = "bench-key-that-never-leaves-loopback";

  /** What a measurement of writes sends at most, so that disks do not fill up. */
  static final long MAX_WRITTEN_BYTES = 1L << 30;

  /** And a warm-up: what is overwritten makes room meanwhile. */
  private static final int WARM_UP_FACTOR = 12;

  /** The compiler rests when it takes less of the server's time than this. */
  private static final double RESTING_COMPILER_SHARE = 0.05;

  @Option(
      names = "--connections",
      paramLabel = "COUNT",
      description =
          "Connections of the load generator, each with one request under way (default: ${DEFAULT-VALUE};"
              + " put-64m at most 4, multipart at most 2).")
  private int connections = 8;

  @Option(
      names = "--seconds",
      paramLabel = "SECONDS",
      description =
          "How long a case is measured on a server in a round (default: ${DEFAULT-VALUE}; writes end after"
              + " 1 GiB).")
  private double seconds = 1.5;

  @Option(
      names = "--rounds",
      paramLabel = "COUNT",
      description = "Rounds of each case (default: ${DEFAULT-VALUE}).")
  private int rounds = 3;

  @Option(
      names = "--warm-up",
      paramLabel = "SECONDS",
      description =
          "How long a case is warmed up at most before it is measured (default: ${DEFAULT-VALUE}). Ends earlier when"
              + " the server's compiler rests.")
  private double warmUpSeconds = 8;

  @Option(
      names = "--cases",
      paramLabel = "NAME",
      split = ",",
      description = "Only these cases: ${COMPLETION-CANDIDATES} (default: all).",
      completionCandidates = CaseNames.class)
  private List<String> cases = List.of();

  @Option(
      names = "--tls",
      description = "The node's door speaks TLS; nginx does not. Take turns with a run without it.")
  private boolean tls;

  @Option(names = "--no-nginx", description = "Measures the node alone, without what to compare.")
  private boolean withoutNginx;

  @Option(
      names = "--shrink",
      paramLabel = "FACTOR",
      description =
          "Divides the sizes of objects, for a quick look whether all of it runs; the figures then mean nothing"
              + " (default: ${DEFAULT-VALUE}).")
  private int shrink = 1;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description =
          "On the disk that is to be measured; some 20 GiB must be free. What is made there is removed at the end"
              + " (default: the directory for temporary files).")
  private @Nullable Path parent;

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the rows to a file.")
  private @Nullable Path json;

  /** For the help. */
  static final class CaseNames implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return S3Cases.NAMES.iterator();
    }
  }

  /**
   * One case.
   *
   * @param connections that it was measured with
   * @param nginx empty where nginx has nothing like it
   * @param warmUpSeconds it took until the compiler rested, or all that was allowed
   * @param compilerShare of the server's time while it was measured
   */
  private record Row(
      String name,
      int connections,
      Figures forebay,
      Optional<Figures> nginx,
      double warmUpSeconds,
      double compilerShare) {}

  /** Medians over the rounds. */
  private record Figures(
      double opsPerSecond,
      double gbPerSecond,
      double p50Micros,
      double p99Micros,
      double cpuMicrosPerOp,
      double cpuSecondsPerGB) {
    static Figures of(List<HttpLoad.Sample> rounds) {
      return new Figures(
          median(rounds, HttpLoad.Sample::operationsPerSecond),
          median(rounds, HttpLoad.Sample::gbPerSecond),
          median(rounds, HttpLoad.Sample::p50Micros),
          median(rounds, HttpLoad.Sample::p99Micros),
          median(rounds, HttpLoad.Sample::cpuMicrosPerOperation),
          median(rounds, HttpLoad.Sample::cpuSecondsPerGB));
    }
  }

  private static double median(
      List<HttpLoad.Sample> rounds, ToDoubleFunction<HttpLoad.Sample> figure) {
    double[] sorted = rounds.stream().mapToDouble(figure).sorted().toArray();
    int half = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    check();
    Optional<Path> nginxProgram = withoutNginx ? Optional.empty() : Optional.of(requireNginx());
    long begun = System.nanoTime();
    Path root =
        parent == null
            ? Files.createTempDirectory("forebay-bench-")
            : Files.createTempDirectory(parent.toAbsolutePath(), "forebay-bench-");
    int port = Servers.freePort();
    String host = "127.0.0.1:" + port;
    String listen = (tls ? "https://" : "") + host;
    Servers servers = new Servers(root, List.of(NODE), any -> settings(listen), environment());
    List<AutoCloseable> started = new ArrayList<>(List.of(servers));
    var reaper = new Thread(() -> close(started), "bench-reaper");
    Runtime.getRuntime().addShutdownHook(reaper);
    try {
      startServer(servers, root);
      createBucket(servers);
      Path files = Files.createDirectories(root.resolve("files"));
      Optional<Nginx> nginx = Optional.empty();
      if (nginxProgram.isPresent()) {
        nginx =
            Optional.of(
                Nginx.start(nginxProgram.get(), root.resolve("nginx"), files, Servers.freePort()));
        started.add(nginx.get());
      }
      var forebay =
          new HttpEnd(
              new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
              tls ? Optional.of(LoopbackTrust.context()) : Optional.empty());
      var made = new S3Cases(host, ACCESS_KEY, SECRET_KEY, shrink);
      made.fill(forebay, files);
      long pid = servers.pid(NODE);
      System.out.printf(
          Locale.ROOT,
          "server %d, ready and filled after %.0f s; %d connections, %d rounds of %.1f s%n",
          pid,
          secondsSince(begun),
          connections,
          rounds,
          seconds);
      System.out.printf(
          Locale.ROOT,
          "%-16s %9s %7s %9s %9s %9s %8s | %s%n",
          "case",
          "ops/s",
          "GB/s",
          "p50 us",
          "p99 us",
          "CPU us/op",
          "CPU-s/GB",
          "nginx: ops/s    p50 us CPU us/op CPU-s/GB; ratio of CPU");
      List<Map<String, Object>> rows = new ArrayList<>();
      for (S3Cases.Case each : made.all()) {
        if (cases.isEmpty() || cases.contains(each.name())) {
          Row row = run(each, forebay, pid, nginx, root);
          print(row);
          rows.add(fields(row));
        }
      }
      if (cases.isEmpty() || cases.contains(StartCase.NAME)) {
        var start =
            StartCase.measure(
                root, ACCESS_KEY, SECRET_KEY, connections, 3 * seconds, shrink, started);
        System.out.println(start.text());
        rows.add(start.fields());
      }
      if (json != null) {
        Files.writeString(json, Json.of(document(rows, secondsSince(begun))) + "\n");
      }
      return 0;
    } finally {
      close(started);
      try {
        Runtime.getRuntime().removeShutdownHook(reaper);
      } catch (IllegalStateException ending) {
        // The hook runs, and ends what was started.
      }
      Servers.remove(root);
    }
  }

  private static double secondsSince(long begunNanos) {
    return (System.nanoTime() - begunNanos) / 1e9;
  }

  private void check() {
    if (connections < 1 || rounds < 1 || shrink < 1 || !(seconds > 0) || !(warmUpSeconds >= 0)) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "--connections, --rounds and --shrink are at least 1, --seconds is above 0 and --warm-up"
              + " not below it");
    }
    for (String name : cases) {
      if (!S3Cases.NAMES.contains(name)) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "--cases: there is no case '" + name + "'; there are " + S3Cases.NAMES);
      }
    }
  }

  private static Path requireNginx() {
    return Nginx.find()
        .orElseThrow(() ->
            new ForebayException(
                ErrorCode.CONFIGURATION,
                "bench s3 measures beside nginx, which is not here (Debian: apt-get install nginx-light);"
                    + " install it, or measure the node alone with --no-nginx"));
  }

  static List<String> settings(String listen) {
    return List.of(
        "s3: {listen: '"
            + listen
            + "', anonymous: true, accessKeyId: "
            + ACCESS_KEY
            + ", secretAccessKey: "
            + SECRET_KEY
            + "}");
  }

  /** The caller's own options, for a profiler for example, come last and win. */
  private static Map<String, String> environment() {
    String ours = "-Xms384m -Xmx384m -XX:+AlwaysPreTouch -XX:MaxDirectMemorySize=1g";
    String given = System.getenv(Launcher.JAVA_OPTIONS);
    return Map.of(Launcher.JAVA_OPTIONS, given == null ? ours : ours + " " + given);
  }

  /** Its log goes with the directory, so that a failure tells it. */
  private static void startServer(Servers servers, Path root) throws IOException {
    servers.start(NODE);
    try {
      servers.awaitReady(NODE);
    } catch (ForebayException failure) {
      throw new ForebayException(
          failure.code(),
          failure.getMessage()
              + ", which says: "
              + Files.readString(root.resolve(NODE).resolve("log")).strip(),
          failure);
    }
  }

  /** Cache only, and what is overwritten is garbage after a second: nothing else is measured. */
  private static void createBucket(Servers servers) {
    // On a crowded machine a handshake may take longer than a connection waits for it.
    Servers.await(
        "a connection to the node that was started",
        CONNECT_SECONDS,
        () -> {
          try (Connection connection = servers.connect(NODE)) {
            connection.files().createBucket(bucket());
            return true;
          } catch (ForebayException failure) {
            if (failure.code() != ErrorCode.PEER_UNREACHABLE) {
              throw failure;
            }
            return false;
          }
        });
  }

  private static BucketSpec bucket() {
    return new BucketSpec(
        S3Cases.BUCKET,
        new Family(1, 1, Durability.REPLICATED),
        "",
        FlushMode.CACHE_ONLY,
        List.of(),
        BucketSpec.DEFAULT_CHUNK_BYTES,
        BucketSpec.DEFAULT_FLUSH_DELAY_MILLIS,
        1_000);
  }

  private Row run(S3Cases.Case what, HttpEnd forebay, long pid, Optional<Nginx> nginx, Path root)
      throws IOException, InterruptedException {
    int lines = Math.min(connections, what.maxConnections());
    long maxBytes = what.writes() ? MAX_WRITTEN_BYTES / shrink : Long.MAX_VALUE;
    Optional<Nginx> other =
        nginx.filter(server -> what.onNginx() && (!what.writes() || server.takesPuts()));
    HttpLoad.Clock cpu = () -> ProcessCpu.seconds(pid);
    double warm = warmUp(what, forebay, pid, lines, maxBytes);
    if (other.isPresent()) {
      var _ =
          HttpLoad.measure(
              other.get().address(),
              what.work(),
              lines,
              Math.min(seconds, 0.5),
              maxBytes,
              other.get()::cpuSeconds);
    }
    List<HttpLoad.Sample> ours = new ArrayList<>();
    List<HttpLoad.Sample> theirs = new ArrayList<>();
    double compiled = 0;
    double taken = 0;
    for (int round = 0; round < rounds; round++) {
      double before = ThreadCpu.compilerSeconds(pid);
      HttpLoad.Sample sample =
          HttpLoad.measure(forebay, what.work(), lines, seconds, maxBytes, cpu);
      compiled += Math.max(0, ThreadCpu.compilerSeconds(pid) - before);
      taken += sample.cpuSeconds();
      ours.add(sample);
      if (other.isPresent()) {
        theirs.add(
            HttpLoad.measure(
                other.get().address(),
                what.work(),
                lines,
                seconds,
                maxBytes,
                other.get()::cpuSeconds));
        if (what.writes()) {
          settle(root);
        }
      }
    }
    return new Row(
        what.name(),
        lines,
        Figures.of(ours),
        other.map(server -> Figures.of(theirs)),
        warm,
        taken == 0 ? 0 : compiled / taken);
  }

  /** Lasts until the compiler rests; gives how long that was. */
  private double warmUp(S3Cases.Case what, HttpEnd forebay, long pid, int lines, long maxBytes)
      throws IOException, InterruptedException {
    double warm = 0;
    double bytes = 0;
    double compilerShare = 1;
    double slice = Math.min(1, warmUpSeconds);
    while (warm < warmUpSeconds
        && bytes < WARM_UP_FACTOR * (double) maxBytes
        && compilerShare > RESTING_COMPILER_SHARE) {
      double before = ThreadCpu.compilerSeconds(pid);
      HttpLoad.Sample sample =
          HttpLoad.measure(
              forebay, what.work(), lines, slice, maxBytes, () -> ProcessCpu.seconds(pid));
      compilerShare =
          (ThreadCpu.compilerSeconds(pid) - before) / Math.max(0.01, sample.cpuSeconds());
      warm += sample.seconds();
      bytes += sample.bytes();
    }
    return warm;
  }

  /** What nginx has left in the page cache goes to the disk now, not while the node is measured. */
  private static void settle(Path root) throws IOException, InterruptedException {
    new ProcessBuilder("sync", "-f", root.toString()).inheritIO().start().waitFor();
  }

  private static void print(Row row) {
    Figures ours = row.forebay();
    System.out.printf(
        Locale.ROOT,
        "%-16s %9.0f %7.3f %9.0f %9.0f %9.1f %8.2f | %s%n",
        row.name(),
        ours.opsPerSecond(),
        ours.gbPerSecond(),
        ours.p50Micros(),
        ours.p99Micros(),
        ours.cpuMicrosPerOp(),
        ours.cpuSecondsPerGB(),
        row.nginx()
            .map(theirs ->
                String.format(
                    Locale.ROOT,
                    "%12.0f %9.0f %9.1f %8.2f; %.2f",
                    theirs.opsPerSecond(),
                    theirs.p50Micros(),
                    theirs.cpuMicrosPerOp(),
                    theirs.cpuSecondsPerGB(),
                    ours.cpuMicrosPerOp() / theirs.cpuMicrosPerOp()))
            .orElse("-"));
  }

  private static Map<String, Object> fields(Row row) {
    var fields = new LinkedHashMap<String, Object>();
    fields.put("case", row.name());
    fields.put("connections", row.connections());
    put(fields, "", row.forebay());
    row.nginx().ifPresent(theirs -> put(fields, "nginx", theirs));
    fields.put("warmUpSeconds", row.warmUpSeconds());
    fields.put("compilerShare", row.compilerShare());
    return fields;
  }

  private Map<String, Object> document(List<Map<String, Object>> rows, double tookSeconds) {
    var document = new LinkedHashMap<String, Object>();
    document.put("rows", rows);
    document.put("rounds", rounds);
    document.put("secondsPerRound", seconds);
    document.put("shrink", shrink);
    document.put("tls", tls);
    document.put("processors", Runtime.getRuntime().availableProcessors());
    document.put("tookSeconds", tookSeconds);
    return document;
  }

  private static void put(Map<String, Object> fields, String prefix, Figures figures) {
    var each = new LinkedHashMap<String, Double>();
    each.put("opsPerSecond", figures.opsPerSecond());
    each.put("gbPerSecond", figures.gbPerSecond());
    each.put("p50Micros", figures.p50Micros());
    each.put("p99Micros", figures.p99Micros());
    each.put("cpuMicrosPerOp", figures.cpuMicrosPerOp());
    each.put("cpuSecondsPerGB", figures.cpuSecondsPerGB());
    each.forEach((name, value) ->
        fields.put(
            prefix.isEmpty()
                ? name
                : prefix + name.substring(0, 1).toUpperCase(Locale.ROOT) + name.substring(1),
            value));
  }

  private static void close(List<AutoCloseable> started) {
    for (AutoCloseable each : List.copyOf(started).reversed()) {
      try {
        each.close();
      } catch (Exception failure) {
        System.err.println("forebay: ending a server went wrong: " + failure);
      }
    }
  }
}
