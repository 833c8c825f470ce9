package io.forebay.app.bench;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.runtime.Launcher;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/**
 * {@code bench checkpoint}: checkpoints over NICs of a known speed, beside iperf3 and a plain file
 * copy.
 */
@Command(
    name = "checkpoint",
    description = {
      "Three servers in network namespaces with shaped NICs and writers beside them; then a fourth, which holds"
          + " nothing, restores from its peers. Clients are warm before the clock starts. Rates as a share of what"
          + " iperf3 reaches in the same run. Needs root, iproute2 and iperf3; run it alone on the machine."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExample:%n",
    footer = "  forebay bench checkpoint --json rows.json")
public final class CheckpointBench implements Callable<Integer> {
  /** The voters; one more host joins for the restores. */
  private static final int HOSTS = 3;

  private static final int READER = HOSTS;
  private static final int WARM_UP_MIB = 128;
  private static final int PORT = 7100;
  private static final int RAFT_PORT = 7200;
  private static final String SECRET = "bench-secret-that-never-leaves-this-host";
  private static final List<String> NODES = List.of("a", "b", "c", "d");

  @Option(
      names = "--nic",
      paramLabel = "MBIT",
      description = "Speed of each NIC in Mbit/s (default: ${DEFAULT-VALUE}).")
  private int megabits = 2_000;

  @Option(
      names = "--size",
      paramLabel = "MIB",
      description = "MiB per writer and case (default: ${DEFAULT-VALUE}).")
  private int mebibytes = 512;

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the rows to a file.")
  private @Nullable Path json;

  @Option(
      names = "--worker",
      hidden = true,
      arity = "5",
      description = "For its own child processes.")
  private @Nullable List<String> worker;

  /**
   * One case.
   *
   * @param nicShare wire bytes of the busiest direction as a share of iperf3's rate
   * @param cpuSecondsPerGB of servers and clients, per GB of application bytes
   * @param baselineCpuSecondsPerGB iperf3 for each copy that crosses a wire, and a direct-I/O copy
   *     for each replica
   * @param cpuByKind the same seconds by what they were spent on
   */
  record Row(
      String name,
      int replicas,
      double applicationMBps,
      double nicShare,
      double cpuSecondsPerGB,
      double baselineCpuSecondsPerGB,
      Map<ThreadCpu.Kind, Double> cpuByKind) {}

  private double iperfBytesPerSecond;
  private double iperfCpuPerGB;
  private double copyCpuPerGB;
  private final List<Process> servers = new ArrayList<>();

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (worker != null) {
      work(worker);
      return 0;
    }
    Path root = Files.createTempDirectory("forebay-bench-");
    try (ShapedHosts hosts = new ShapedHosts(HOSTS + 1, megabits)) {
      baseline(hosts, root);
      System.out.printf(
          Locale.ROOT,
          "iperf3: %.0f MB/s, %.2f CPU-s/GB (both ends); direct-I/O copy: %.2f CPU-s/GB%n",
          iperfBytesPerSecond / 1e6,
          iperfCpuPerGB,
          copyCpuPerGB);
      for (int i = 0; i < HOSTS; i++) {
        startServer(hosts, root, i);
      }
      awaitServers(root);
      var rows = new ArrayList<Row>();
      for (int replicas : new int[] {2, 3}) {
        run(hosts, "bucket", replicas, List.of(new Client(0, "make", 0)));
        // The first pass makes segments and warms the servers; it is not reported.
        run(hosts, "warm-up", replicas, writers(HOSTS));
        rows.add(run(hosts, "one-writer", replicas, writers(1)));
        rows.add(run(hosts, "all-writing", replicas, writers(HOSTS)));
      }
      startServer(hosts, root, READER);
      awaitServers(root);
      for (int replicas : new int[] {2, 3}) {
        var readers = new ArrayList<Client>();
        for (int i = 0; i < HOSTS; i++) {
          readers.add(new Client(READER, "read", i));
        }
        run(hosts, "warm-up", replicas, readers);
        rows.add(run(hosts, "restore", replicas, readers));
        rows.add(run(hosts, "restore-one-stream", replicas, readers.subList(0, 1)));
      }
      System.out.printf(
          Locale.ROOT,
          "%-20s %8s %10s %9s %12s %12s   %s%n",
          "case",
          "replicas",
          "app MB/s",
          "NIC share",
          "CPU-s/GB",
          "baseline",
          "of the CPU");
      for (Row row : rows) {
        System.out.printf(
            Locale.ROOT,
            "%-20s %8d %10.0f %9.2f %12.2f %12.2f   %s%n",
            row.name(),
            row.replicas(),
            row.applicationMBps(),
            row.nicShare(),
            row.cpuSecondsPerGB(),
            row.baselineCpuSecondsPerGB(),
            row.cpuByKind().entrySet().stream()
                .map(each ->
                    String.format(Locale.ROOT, "%s %.2f", lower(each.getKey()), each.getValue()))
                .collect(Collectors.joining(", ")));
      }
      if (json != null) {
        var out = new ArrayList<Map<String, Object>>();
        for (Row row : rows) {
          var fields = new LinkedHashMap<String, Object>();
          fields.put("case", row.name());
          fields.put("replicas", row.replicas());
          fields.put("applicationMBps", row.applicationMBps());
          fields.put("nicShare", row.nicShare());
          fields.put("cpuSecondsPerGB", row.cpuSecondsPerGB());
          fields.put("baselineCpuSecondsPerGB", row.baselineCpuSecondsPerGB());
          var kinds = new LinkedHashMap<String, Double>();
          row.cpuByKind().forEach((kind, each) -> kinds.put(lower(kind), each));
          fields.put("cpuSecondsPerGBByKind", kinds);
          out.add(fields);
        }
        Files.writeString(
            json,
            Json.of(Map.of("rows", out, "nicMbit", megabits, "mebibytesPerWriter", mebibytes))
                + "\n");
      }
      return 0;
    } finally {
      servers.forEach(Process::destroyForcibly);
      remove(root);
    }
  }

  private void baseline(ShapedHosts hosts, Path root) throws IOException, InterruptedException {
    Process server =
        start(hosts.on(1), List.of("iperf3", "-s", "-1"), root.resolve("iperf-server"));
    Thread.sleep(500);
    Process client =
        start(
            hosts.on(0),
            List.of("iperf3", "-c", hosts.address(1), "-t", "5", "-J"),
            root.resolve("iperf.json"));
    if (client.waitFor() != 0) {
      server.destroyForcibly();
      throw new ForebayException(
          ErrorCode.CONFIGURATION, "iperf3 did not run (Debian: apt-get install iperf3)");
    }
    server.waitFor();
    JsonNode end = Json.parse(Files.readString(root.resolve("iperf.json"))).path("end");
    JsonNode received = end.path("sum_received");
    iperfBytesPerSecond = received.path("bits_per_second").asDouble() / 8;
    JsonNode cpu = end.path("cpu_utilization_percent");
    double cpuSeconds =
        (cpu.path("host_total").asDouble() + cpu.path("remote_total").asDouble())
            / 100
            * received.path("seconds").asDouble();
    iperfCpuPerGB = cpuSeconds / (received.path("bytes").asDouble() / 1e9);
    Path file = root.resolve("copy");
    Process copy =
        start(
            List.of(),
            List.of(
                "bash",
                "-c",
                "dd if=/dev/zero of="
                    + file
                    + " bs=1M count=512 oflag=direct 2>/dev/null; TIMEFORMAT='%U %S';"
                    + " time dd if=/dev/zero of="
                    + file
                    + " bs=1M count=512 oflag=direct conv=notrunc 2>/dev/null"),
            root.resolve("copy.time"));
    copy.waitFor();
    String[] times = Files.readString(root.resolve("copy.time")).strip().split(" ", -1);
    copyCpuPerGB =
        (Double.parseDouble(times[0]) + Double.parseDouble(times[1])) / (512 * 1.048576e-3);
    Files.deleteIfExists(file);
  }

  private static Process start(List<String> prefix, List<String> command, Path output)
      throws IOException {
    var full = new ArrayList<>(prefix);
    full.addAll(command);
    return withOptions(
            new ProcessBuilder(full).redirectErrorStream(true).redirectOutput(output.toFile()))
        .start();
  }

  /** The caller's own options, for a profiler for example, come last and win. */
  private static ProcessBuilder withOptions(ProcessBuilder builder) {
    builder
        .environment()
        .merge(
            Launcher.JAVA_OPTIONS,
            "-Xms384m -Xmx384m -XX:MaxDirectMemorySize=1g",
            (given, ours) -> ours + " " + given);
    return builder;
  }

  private void startServer(ShapedHosts hosts, Path root, int i) throws IOException {
    Path directory = Files.createDirectories(root.resolve(NODES.get(i)));
    var lines = new ArrayList<String>();
    lines.add("node: " + NODES.get(i));
    lines.add("secret: " + SECRET);
    if (i >= HOSTS) {
      lines.add("listen: '" + hosts.address(i) + ":" + PORT + "'");
    }
    lines.add("voters:");
    for (int k = 0; k < HOSTS; k++) {
      lines.add(
          String.format(
              Locale.ROOT,
              "  %s: {address: '%s:%d', consensus: '%s:%d'}",
              NODES.get(k),
              hosts.address(k),
              PORT,
              hosts.address(k),
              RAFT_PORT));
    }
    lines.add("data: '" + directory.resolve("disk0") + "'");
    lines.add("meta: '" + directory.resolve("meta") + "'");
    Files.write(directory.resolve("forebay.yaml"), lines);
    servers.add(
        start(
            hosts.on(i),
            List.of(
                Launcher.path(), "serve", "--config", directory.resolve("forebay.yaml").toString()),
            directory.resolve("log")));
  }

  private void awaitServers(Path root) throws IOException, InterruptedException {
    long end = System.nanoTime() + 60_000_000_000L;
    for (int i = 0; i < servers.size(); i++) {
      while (!Files.exists(root.resolve(NODES.get(i)).resolve("endpoint.json"))) {
        if (System.nanoTime() > end || !servers.get(i).isAlive()) {
          throw new ForebayException(
              ErrorCode.UNAVAILABLE,
              "a server did not start: "
                  + Files.readString(root.resolve(NODES.get(i)).resolve("log")));
        }
        Thread.sleep(100);
      }
    }
  }

  /**
   * A client process.
   *
   * @param host it runs on, and whose server it asks
   * @param what it does: make, write, read
   * @param rank whose object it writes or reads
   */
  private record Client(int host, String what, int rank) {}

  private static List<Client> writers(int count) {
    var all = new ArrayList<Client>();
    for (int i = 0; i < count; i++) {
      all.add(new Client(i, "write", i));
    }
    return all;
  }

  private Row run(ShapedHosts hosts, String name, int replicas, List<Client> clients)
      throws IOException, InterruptedException {
    var workers = new ArrayList<Process>();
    try {
      for (Client client : clients) {
        var command = new ArrayList<>(hosts.on(client.host()));
        command.addAll(
            List.of(
                Launcher.path(),
                "bench",
                "checkpoint",
                "--worker",
                client.what(),
                Integer.toString(client.rank()),
                Integer.toString(replicas),
                Integer.toString(mebibytes),
                hosts.address(client.host()) + ":" + PORT));
        workers.add(
            withOptions(new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT))
                .start());
      }
      for (Process each : workers) {
        expect(each, name);
      }
      var cpu = new EnumMap<ThreadCpu.Kind, Double>(ThreadCpu.Kind.class);
      addServers(cpu, -1);
      long[] sent = new long[HOSTS + 1];
      long[] received = new long[HOSTS + 1];
      for (int i = 0; i <= HOSTS; i++) {
        sent[i] = hosts.sentBytes(i);
        received[i] = hosts.receivedBytes(i);
      }
      for (Process each : workers) {
        each.outputWriter(StandardCharsets.UTF_8).write("go\n");
        each.outputWriter(StandardCharsets.UTF_8).flush();
      }
      double seconds = 0;
      double bytes = 0;
      for (Process each : workers) {
        JsonNode result = Json.parse(expect(each, name));
        seconds = Math.max(seconds, result.path("seconds").asDouble());
        for (ThreadCpu.Kind kind : ThreadCpu.Kind.values()) {
          cpu.merge(kind, result.path("cpu").path(lower(kind)).asDouble(), Double::sum);
        }
        bytes += result.path("bytes").asDouble();
      }
      if (bytes == 0) {
        return new Row(name, replicas, 0, 0, 0, 0, cpu);
      }
      addServers(cpu, 1);
      double gigabytes = bytes / 1e9;
      cpu.replaceAll((kind, each) -> each / gigabytes);
      long busiest = 0;
      for (int i = 0; i <= HOSTS; i++) {
        busiest = Math.max(busiest, hosts.sentBytes(i) - sent[i]);
        busiest = Math.max(busiest, hosts.receivedBytes(i) - received[i]);
      }
      // iperf3's rate is of application bytes; 1,448 of 1,514 on the wire are.
      double share = busiest * (1448.0 / 1514) / seconds / iperfBytesPerSecond;
      boolean write = clients.getFirst().what().equals("write");
      int wires = write ? replicas - 1 : 1;
      double baseline = wires * iperfCpuPerGB + (write ? replicas : 1) * copyCpuPerGB;
      double sum = cpu.values().stream().mapToDouble(each -> each).sum();
      return new Row(name, replicas, bytes / 1e6 / seconds, share, sum, baseline, cpu);
    } finally {
      workers.forEach(Process::destroyForcibly);
    }
  }

  private static String expect(Process worker, String name) throws IOException {
    String line = worker.inputReader(StandardCharsets.UTF_8).readLine();
    if (line == null) {
      throw new ForebayException(
          ErrorCode.INTERNAL, name + ": a client failed; its words are above");
    }
    return line;
  }

  private void addServers(Map<ThreadCpu.Kind, Double> sum, double sign) throws IOException {
    for (Process server : servers) {
      ThreadCpu.add(sum, ThreadCpu.of(server.pid()), sign);
    }
  }

  private static String lower(ThreadCpu.Kind kind) {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  /**
   * What a child process does on its host: arguments are what, rank, replicas, MiB, address. Says a
   * line when it is warm, waits for one, does it, and says what it took.
   */
  private static void work(List<String> arguments) throws IOException {
    String what = arguments.get(0);
    String key = "rank-" + arguments.get(1);
    int replicas = Integer.parseInt(arguments.get(2));
    int mebibytes = Integer.parseInt(arguments.get(3));
    String bucket = "bench-" + replicas;
    try (Connection connection = Connection.open(arguments.get(4), SECRET)) {
      switch (what) {
        case "make" ->
            connection
                .files()
                .createBucket(
                    BucketSpec.of(bucket, new Family(replicas, 2, Durability.REPLICATED), ""));
        case "write" -> write(connection, bucket, "warm-" + arguments.get(1), WARM_UP_MIB);
        case "read" -> read(connection, bucket, key, WARM_UP_MIB);
        default -> throw new IllegalArgumentException(what);
      }
      System.out.println("ready");
      if (new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine()
          == null) {
        return;
      }
      long begun = System.nanoTime();
      long self = ProcessHandle.current().pid();
      Map<ThreadCpu.Kind, Double> cpu = new EnumMap<>(ThreadCpu.Kind.class);
      ThreadCpu.add(cpu, ThreadCpu.of(self), -1);
      long bytes =
          switch (what) {
            case "write" -> write(connection, bucket, key, mebibytes);
            case "read" -> read(connection, bucket, key, mebibytes);
            default -> 0;
          };
      double seconds = (System.nanoTime() - begun) / 1e9;
      ThreadCpu.add(cpu, ThreadCpu.of(self), 1);
      var kinds = new LinkedHashMap<String, Double>();
      cpu.forEach((kind, each) -> kinds.put(lower(kind), each));
      System.out.println(Json.line(Map.of("bytes", bytes, "seconds", seconds, "cpu", kinds)));
    }
  }

  private static long write(Connection connection, String bucket, String key, int mebibytes) {
    long bytes = 0;
    Slab slab = connection.pool().take();
    byte[] noise = new byte[slab.capacity()];
    ThreadLocalRandom.current().nextBytes(noise);
    slab.buffer().put(noise);
    try (BodyWriter<ObjectInfo> writer =
        connection.files().create(bucket, key, WriteOptions.DEFAULT)) {
      while (bytes < (long) mebibytes << 20) {
        Bytes slice = slab.bytes(0, slab.capacity());
        writer.write(slice);
        slice.release();
        bytes += slab.capacity();
      }
      writer.publish(Optional.empty());
    }
    slab.release();
    return bytes;
  }

  private static long read(Connection connection, String bucket, String key, int mebibytes) {
    long bytes = 0;
    try (ObjectReader reader = connection.files().open(bucket, key, ReadConditions.NONE)) {
      long end = Math.min(reader.info().lengthBytes(), (long) mebibytes << 20);
      while (bytes < end) {
        Bytes slice = reader.read(bytes, 1 << 20);
        bytes += slice.length();
        slice.release();
      }
    }
    return bytes;
  }

  private static void remove(Path directory) throws IOException {
    List<Path> all;
    try (Stream<Path> tree = Files.walk(directory)) {
      all = tree.toList();
    }
    for (Path path : all.reversed()) {
      Files.deleteIfExists(path);
    }
  }
}
