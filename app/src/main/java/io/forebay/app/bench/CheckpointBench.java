package io.forebay.app.bench;

import io.forebay.app.bench.CheckpointWorker.Job;
import io.forebay.app.bench.CheckpointWorker.What;
import io.forebay.app.command.Json;
import io.forebay.app.demo.Servers;
import io.forebay.app.hosts.ShapedHosts;
import io.forebay.app.runtime.Launcher;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
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
    footer = {
      "  forebay bench checkpoint --json rows.json",
      "  forebay bench checkpoint --cases one-writer,one-chunk --replicas 3 --size 2048"
    })
public final class CheckpointBench implements Callable<Integer> {
  /** The voters; one more host joins for the restores. */
  private static final int HOSTS = 3;

  private static final int READER = HOSTS;

  /** The host of the store, whose NIC is the uplink of all. */
  private static final int STORE = HOSTS + 1;

  private static final String ONE_WRITER = "one-writer";
  private static final String ALL_WRITING = "all-writing";
  private static final String ONE_CHUNK = "one-chunk";
  private static final String RESTORE = "restore";
  private static final String RESTORE_ONE_STREAM = "restore-one-stream";
  private static final String FLUSH = "flush";
  private static final List<String> NAMES =
      List.of(ONE_WRITER, ALL_WRITING, ONE_CHUNK, RESTORE, RESTORE_ONE_STREAM, FLUSH);
  private static final int WARM_UP_PASSES = 16;
  private static final int WARM_UP_MIB = 256;
  // Of the processes' time; then a pass that warms up was the last.
  private static final double COMPILER_RESTS = 0.05;
  private static final int PORT = 7100;
  private static final int RAFT_PORT = 7200;
  static final String SECRET = "bench-secret-that-never-leaves-this-host";
  private static final int STORE_PORT = 9000;
  private static final Map<String, String> STORE_KEYS =
      Map.of("AWS_ACCESS_KEY_ID", "AKIAFOREBAYBENCH0000", "AWS_SECRET_ACCESS_KEY", SECRET);
  private static final List<String> NODES = List.of("a", "b", "c", "d", "store");

  @Option(
      names = "--nic",
      paramLabel = "MBIT",
      description =
          "Speed of each NIC in Mbit/s; 0: as fast as the machine (default: ${DEFAULT-VALUE}).")
  private int megabits = 2_000;

  @Option(
      names = "--uplink",
      paramLabel = "MBIT",
      description =
          "Speed of the way to the object store, which all nodes share, in Mbit/s (default: ${DEFAULT-VALUE}).")
  private int uplinkMegabits = 400;

  @Option(
      names = "--size",
      paramLabel = "MIB",
      description = "MiB per writer and case (default: ${DEFAULT-VALUE}).")
  private int mebibytes = 512;

  @Option(
      names = "--cases",
      paramLabel = "NAME",
      split = ",",
      description = "Only these cases: ${COMPLETION-CANDIDATES} (default: all).",
      completionCandidates = CaseNames.class)
  private List<String> cases = NAMES;

  @Option(
      names = "--replicas",
      paramLabel = "COUNT",
      split = ",",
      description = "Only these numbers of replicas: 2, 3 (default: both).")
  private List<Integer> replicaCounts = List.of(2, 3);

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the rows to a file.")
  private @Nullable Path json;

  @Option(names = "--worker", hidden = true, description = "For its own child processes.")
  private @Nullable String worker;

  /** For the help. */
  static final class CaseNames implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return NAMES.iterator();
    }
  }

  /** A line of the table. */
  private sealed interface Row {
    /** For the JSON file. */
    Map<String, Object> fields();

    /** For people. */
    String text();
  }

  /**
   * What bytes cost.
   *
   * @param nicShare what the busiest NIC counts in its busier direction, as a share of what it
   *     counts for iperf3
   * @param cpuSecondsPerGB of servers and clients, per GB of application bytes
   * @param baselineCpuSecondsPerGB iperf3 for each copy that crosses a wire, and a direct-I/O copy
   *     for each replica
   * @param cpuByKind the same seconds by what they were spent on
   */
  private record Throughput(
      String name,
      int replicas,
      double applicationMBps,
      double nicShare,
      double cpuSecondsPerGB,
      double baselineCpuSecondsPerGB,
      Map<ThreadCpu.Kind, Double> cpuByKind)
      implements Row {
    @Override
    public Map<String, Object> fields() {
      var fields = new LinkedHashMap<String, Object>();
      fields.put("case", name);
      fields.put("replicas", replicas);
      fields.put("applicationMBps", applicationMBps);
      fields.put("nicShare", nicShare);
      fields.put("cpuSecondsPerGB", cpuSecondsPerGB);
      fields.put("baselineCpuSecondsPerGB", baselineCpuSecondsPerGB);
      var kinds = new LinkedHashMap<String, Double>();
      cpuByKind.forEach((kind, each) -> kinds.put(lower(kind), each));
      fields.put("cpuSecondsPerGBByKind", kinds);
      return fields;
    }

    @Override
    public String text() {
      return String.format(
          Locale.ROOT,
          "%-20s %8d %10.0f %9.2f %12.2f %12.2f   %s",
          name,
          replicas,
          applicationMBps,
          nicShare,
          cpuSecondsPerGB,
          baselineCpuSecondsPerGB,
          cpuByKind.entrySet().stream()
              .map(each ->
                  String.format(Locale.ROOT, "%s %.2f", lower(each.getKey()), each.getValue()))
              .collect(Collectors.joining(", ")));
    }
  }

  /** From the first byte of an object of one chunk to the answer of its publish, one at a time. */
  private record Latency(int replicas, double p50Millis, double p99Millis) implements Row {
    @Override
    public Map<String, Object> fields() {
      var fields = new LinkedHashMap<String, Object>();
      fields.put("case", "one-chunk");
      fields.put("replicas", replicas);
      fields.put("p50Millis", p50Millis);
      fields.put("p99Millis", p99Millis);
      return fields;
    }

    @Override
    public String text() {
      return String.format(
          Locale.ROOT,
          "%-20s %8d   16 MiB in %.1f ms (p50), %.1f ms (p99)",
          "one-chunk",
          replicas,
          p50Millis,
          p99Millis);
    }
  }

  /**
   * A flush over the uplink while a node writes to its peers.
   *
   * @param uplinkShare of the rate that iperf3 reaches over the uplink by itself
   * @param busyMBps application bytes that were written meanwhile
   */
  private record Uplink(int replicas, double flushedMBps, double uplinkShare, double busyMBps)
      implements Row {
    @Override
    public Map<String, Object> fields() {
      var fields = new LinkedHashMap<String, Object>();
      fields.put("case", "flush");
      fields.put("replicas", replicas);
      fields.put("applicationMBps", flushedMBps);
      fields.put("uplinkShare", uplinkShare);
      fields.put("busyMBps", busyMBps);
      return fields;
    }

    @Override
    public String text() {
      return String.format(
          Locale.ROOT,
          "%-20s %8d %10.0f %9.2f of the uplink, while %.0f MB/s are written",
          "flush",
          replicas,
          flushedMBps,
          uplinkShare,
          busyMBps);
    }
  }

  /** What one run of some clients came to. */
  private record Run(
      List<JsonNode> results,
      double bytes,
      double seconds,
      Map<ThreadCpu.Kind, Double> cpu,
      double wireBytes) {}

  /**
   * What iperf3 reaches.
   *
   * @param countedPerByte what the sender's NIC counts for each byte that arrives; whether headers
   *     of packets are among it depends on who cuts them
   */
  private record Line(double bytesPerSecond, double cpuSecondsPerGB, double countedPerByte) {}

  private Line nic = new Line(0, 0, 1);
  private Line uplink = new Line(0, 0, 1);
  private double copyBytesPerSecond;
  private double copyCpuPerGB;
  private final List<Row> rows = new ArrayList<>();
  private final Map<String, Process> servers = new LinkedHashMap<>();
  private final Map<String, Process> workers = new TreeMap<>();

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (worker != null) {
      CheckpointWorker.run(worker);
      return 0;
    }
    check();
    Path root = Files.createTempDirectory("forebay-bench-");
    var speeds = new ArrayList<>(Collections.nCopies(HOSTS + 1, megabits));
    speeds.add(uplinkMegabits);
    try (ShapedHosts hosts = new ShapedHosts(speeds)) {
      nic = iperf(hosts, 0, 1, root);
      uplink = iperf(hosts, 0, STORE, root);
      copy(root);
      System.out.printf(
          Locale.ROOT,
          "iperf3: %.0f MB/s, %.2f CPU-s/GB (both ends); over the uplink %.0f MB/s; direct-I/O copy: %.0f MB/s, %.2f CPU-s/GB%n",
          nic.bytesPerSecond() / 1e6,
          nic.cpuSecondsPerGB(),
          uplink.bytesPerSecond() / 1e6,
          copyBytesPerSecond / 1e6,
          copyCpuPerGB);
      try {
        measure(hosts, root);
      } finally {
        tell();
      }
      if (json != null) {
        var out = new LinkedHashMap<String, Object>();
        out.put("rows", rows.stream().map(Row::fields).toList());
        out.put("nicMbit", megabits);
        out.put("uplinkMbit", uplinkMegabits);
        out.put("mebibytesPerWriter", mebibytes);
        out.put("iperfMBps", nic.bytesPerSecond() / 1e6);
        out.put("countedPerByte", nic.countedPerByte());
        out.put("uplinkIperfMBps", uplink.bytesPerSecond() / 1e6);
        out.put("directCopyMBps", copyBytesPerSecond / 1e6);
        Files.writeString(json, Json.of(out) + "\n");
      }
      return 0;
    } finally {
      workers.values().forEach(Process::destroyForcibly);
      servers.values().forEach(Process::destroyForcibly);
      Servers.remove(root);
    }
  }

  private void check() {
    if ((megabits != ShapedHosts.UNSHAPED && megabits < 10) || uplinkMegabits < 10) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "--nic and --uplink are Mbit/s, at least 10 (--nic also 0, for as fast as the machine); given are "
              + megabits
              + " and "
              + uplinkMegabits);
    }
    for (String name : cases) {
      if (!NAMES.contains(name)) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "--cases: there is no case '" + name + "'; there are " + NAMES);
      }
    }
    if (!List.of(2, 3).containsAll(replicaCounts)) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION, "--replicas: 2 and 3 are measured, not " + replicaCounts);
    }
    if (mebibytes < 1) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION, "--size is MiB, at least 1; given is " + mebibytes);
    }
  }

  /** What was measured, also when something ended the run before the last case. */
  private void tell() {
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
    rows.forEach(row -> System.out.println(row.text()));
  }

  private void measure(ShapedHosts hosts, Path root) throws IOException, InterruptedException {
    for (int i = 0; i < HOSTS; i++) {
      startServer(hosts, root, i);
    }
    awaitServers(root);
    boolean restores = wanted(RESTORE) || wanted(RESTORE_ONE_STREAM);
    for (int replicas : replicaCounts) {
      run(hosts, List.of(client(0, What.MAKE, 0, replicas)));
      if (restores || wanted(ONE_WRITER) || wanted(ALL_WRITING) || wanted(ONE_CHUNK)) {
        warmUp(hosts, "writing", writers(HOSTS, replicas));
      }
      if (wanted(ONE_WRITER)) {
        rows.add(throughput(hosts, ONE_WRITER, replicas, writers(1, replicas)));
      }
      if (wanted(ALL_WRITING)) {
        rows.add(throughput(hosts, ALL_WRITING, replicas, writers(HOSTS, replicas)));
      } else if (restores) {
        run(hosts, writers(HOSTS, replicas)); // what they read
      }
      if (wanted(ONE_CHUNK)) {
        JsonNode chunks =
            run(hosts, List.of(client(0, What.CHUNKS, 0, replicas))).results().getFirst();
        rows.add(
            new Latency(
                replicas,
                chunks.path("p50Millis").asDouble(),
                chunks.path("p99Millis").asDouble()));
      }
    }
    if (restores) {
      startServer(hosts, root, READER);
      awaitServers(root);
    }
    for (int replicas : restores ? replicaCounts : List.<Integer>of()) {
      var readers = new ArrayList<Client>();
      for (int i = 0; i < HOSTS; i++) {
        readers.add(client(READER, What.READ, i, replicas));
      }
      warmUp(hosts, "restoring", readers);
      if (wanted(RESTORE)) {
        rows.add(throughput(hosts, RESTORE, replicas, readers));
      }
      if (wanted(RESTORE_ONE_STREAM)) {
        rows.add(throughput(hosts, RESTORE_ONE_STREAM, replicas, readers.subList(0, 1)));
      }
    }
    if (wanted(FLUSH)) {
      startStore(hosts, root);
      awaitServers(root);
      rows.add(flush(hosts));
    }
  }

  private boolean wanted(String name) {
    return cases.contains(name);
  }

  /** What makes segments and compiles code is not reported. */
  private void warmUp(ShapedHosts hosts, String what, List<Client> clients)
      throws IOException, InterruptedException {
    List<Client> shorter =
        clients.stream().map(each -> each.of(Math.min(mebibytes, WARM_UP_MIB))).toList();
    double share = 1;
    for (int pass = 0; pass < WARM_UP_PASSES && share >= COMPILER_RESTS; pass++) {
      share = ThreadCpu.compilerShare(run(hosts, shorter).cpu());
      System.out.printf(
          Locale.ROOT,
          "  warm-up %d, %s: the compilers took %.0f%% of the time%n",
          pass + 1,
          what,
          100 * share);
    }
  }

  private Row flush(ShapedHosts hosts) throws IOException, InterruptedException {
    int replicas = 2;
    String store = storeUrl(hosts);
    List<Client> clients =
        List.of(
            client(0, What.FLUSH, 0, replicas).to(store),
            client(1, What.FLUSH, 1, replicas).to(store),
            client(2, What.BUSY, 2, replicas));
    run(hosts, List.of(client(0, What.MAKE, 0, replicas).to(store)));
    warmUp(hosts, "flushing", clients.subList(0, 2));
    Run run = run(hosts, clients);
    double flushed = 0;
    double seconds = 0;
    for (JsonNode each : run.results().subList(0, 2)) {
      flushed += each.path("bytes").asDouble();
      seconds = Math.max(seconds, each.path("seconds").asDouble());
    }
    JsonNode busy = run.results().getLast();
    return new Uplink(
        replicas,
        flushed / 1e6 / seconds,
        flushed / seconds / uplink.bytesPerSecond(),
        busy.path("bytes").asDouble() / 1e6 / busy.path("seconds").asDouble());
  }

  private static Line iperf(ShapedHosts hosts, int from, int to, Path root)
      throws IOException, InterruptedException {
    Process server =
        start(hosts.on(to), List.of("iperf3", "-s", "-1"), root.resolve("iperf-server"));
    Thread.sleep(500);
    long sent = hosts.sentBytes(from);
    Process client =
        start(
            hosts.on(from),
            List.of("iperf3", "-c", hosts.address(to), "-t", "5", "-J"),
            root.resolve("iperf.json"));
    if (client.waitFor() != 0) {
      server.destroyForcibly();
      throw new ForebayException(
          ErrorCode.CONFIGURATION, "iperf3 did not run (Debian: apt-get install iperf3)");
    }
    server.waitFor();
    long counted = hosts.sentBytes(from) - sent;
    JsonNode end = Json.parse(Files.readString(root.resolve("iperf.json"))).path("end");
    JsonNode received = end.path("sum_received");
    JsonNode cpu = end.path("cpu_utilization_percent");
    double cpuSeconds =
        (cpu.path("host_total").asDouble() + cpu.path("remote_total").asDouble())
            / 100
            * received.path("seconds").asDouble();
    return new Line(
        received.path("bits_per_second").asDouble() / 8,
        cpuSeconds / (received.path("bytes").asDouble() / 1e9),
        counted / received.path("bytes").asDouble());
  }

  private void copy(Path root) throws IOException, InterruptedException {
    Path file = root.resolve("copy");
    Process copy =
        start(
            List.of(),
            List.of(
                "bash",
                "-c",
                "dd if=/dev/zero of="
                    + file
                    + " bs=1M count=512 oflag=direct 2>/dev/null; TIMEFORMAT='%R %U %S';"
                    + " time dd if=/dev/zero of="
                    + file
                    + " bs=1M count=512 oflag=direct conv=notrunc 2>/dev/null"),
            root.resolve("copy.time"));
    copy.waitFor();
    String[] times = Files.readString(root.resolve("copy.time")).strip().split(" ", -1);
    double gigabytes = 512 * 1.048576e-3;
    copyBytesPerSecond = gigabytes * 1e9 / Double.parseDouble(times[0]);
    copyCpuPerGB = (Double.parseDouble(times[1]) + Double.parseDouble(times[2])) / gigabytes;
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
    builder.environment().putAll(STORE_KEYS);
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
    servers.put(
        NODES.get(i),
        start(
            hosts.on(i),
            List.of(
                Launcher.path(), "serve", "--config", directory.resolve("forebay.yaml").toString()),
            directory.resolve("log")));
  }

  /** Another node, by itself, whose S3 door is the store behind the uplink. */
  private void startStore(ShapedHosts hosts, Path root) throws IOException {
    Path directory = Files.createDirectories(root.resolve(NODES.get(STORE)));
    Files.write(
        directory.resolve("forebay.yaml"),
        List.of(
            "node: " + NODES.get(STORE),
            "secret: " + SECRET,
            "voters: {"
                + NODES.get(STORE)
                + ": {address: '127.0.0.1:7100', consensus: '127.0.0.1:7200'}}",
            "data: '" + directory.resolve("disk0") + "'",
            "meta: '" + directory.resolve("meta") + "'",
            "s3: {listen: '"
                + hosts.address(STORE)
                + ":"
                + STORE_PORT
                + "', accessKeyId: "
                + STORE_KEYS.get("AWS_ACCESS_KEY_ID")
                + ", secretAccessKey: "
                + SECRET
                + "}"));
    servers.put(
        NODES.get(STORE),
        start(
            hosts.on(STORE),
            List.of(
                Launcher.path(), "serve", "--config", directory.resolve("forebay.yaml").toString()),
            directory.resolve("log")));
  }

  private static String storeUrl(ShapedHosts hosts) {
    return "s3://bench?endpoint=http://"
        + hosts.address(STORE)
        + ":"
        + STORE_PORT
        + "&region=us-east-1&create=true";
  }

  private void awaitServers(Path root) throws IOException, InterruptedException {
    long end = System.nanoTime() + 60_000_000_000L;
    for (var server : servers.entrySet()) {
      Path directory = root.resolve(server.getKey());
      while (!Files.exists(directory.resolve("endpoint.json"))) {
        if (System.nanoTime() > end || !server.getValue().isAlive()) {
          throw new ForebayException(
              ErrorCode.UNAVAILABLE,
              "a server did not start: " + Files.readString(directory.resolve("log")));
        }
        Thread.sleep(100);
      }
    }
  }

  /**
   * A client's part in a case.
   *
   * @param host it runs on, and whose server it asks
   */
  private record Client(int host, Job job) {
    Client of(int mebibytes) {
      return new Client(
          host, new Job(job.what(), job.rank(), job.replicas(), mebibytes, job.store()));
    }

    Client to(String store) {
      return new Client(
          host, new Job(job.what(), job.rank(), job.replicas(), job.mebibytes(), store));
    }
  }

  private Client client(int host, What what, int rank, int replicas) {
    return new Client(host, new Job(what, rank, replicas, mebibytes, Job.NO_STORE));
  }

  private List<Client> writers(int count, int replicas) {
    var all = new ArrayList<Client>();
    for (int i = 0; i < count; i++) {
      all.add(client(i, What.WRITE, i, replicas));
    }
    return all;
  }

  private Row throughput(ShapedHosts hosts, String name, int replicas, List<Client> clients)
      throws IOException, InterruptedException {
    Run run = run(hosts, clients);
    double gigabytes = run.bytes() / 1e9;
    var cpu = new EnumMap<ThreadCpu.Kind, Double>(run.cpu());
    cpu.replaceAll((kind, each) -> each / gigabytes);
    double share = run.wireBytes() / nic.countedPerByte() / run.seconds() / nic.bytesPerSecond();
    boolean write = clients.getFirst().job().what() == What.WRITE;
    int wires = write ? replicas - 1 : 1;
    double baseline = wires * nic.cpuSecondsPerGB() + (write ? replicas : 1) * copyCpuPerGB;
    double sum = cpu.values().stream().mapToDouble(each -> each).sum();
    return new Throughput(
        name, replicas, run.bytes() / 1e6 / run.seconds(), share, sum, baseline, cpu);
  }

  private Run run(ShapedHosts hosts, List<Client> clients)
      throws IOException, InterruptedException {
    var working = new ArrayList<Process>();
    for (Client client : clients) {
      working.add(worker(hosts, client));
    }
    for (int i = 0; i < clients.size(); i++) {
      tell(working.get(i), clients.get(i).job().line());
      expect(working.get(i));
    }
    var measured = new ArrayList<Process>(servers.values());
    measured.addAll(working);
    var cpu = new EnumMap<ThreadCpu.Kind, Double>(ThreadCpu.Kind.class);
    for (Process each : measured) {
      ThreadCpu.add(cpu, ThreadCpu.of(each.pid()), -1);
    }
    long[] sent = new long[HOSTS + 1];
    long[] received = new long[HOSTS + 1];
    for (int i = 0; i <= HOSTS; i++) {
      sent[i] = hosts.sentBytes(i);
      received[i] = hosts.receivedBytes(i);
    }
    for (Process each : working) {
      tell(each, "go");
    }
    double seconds = 0;
    double bytes = 0;
    var results = new ArrayList<JsonNode>();
    for (int i = 0; i < clients.size(); i++) {
      if (clients.get(i).job().what() == What.BUSY) {
        tell(working.get(i), "stop");
      }
      JsonNode result = Json.parse(expect(working.get(i)));
      results.add(result);
      seconds = Math.max(seconds, result.path("seconds").asDouble());
      bytes += result.path("bytes").asDouble();
    }
    for (Process each : measured) {
      ThreadCpu.add(cpu, ThreadCpu.of(each.pid()), 1);
    }
    long busiest = 0;
    for (int i = 0; i <= HOSTS; i++) {
      busiest = Math.max(busiest, hosts.sentBytes(i) - sent[i]);
      busiest = Math.max(busiest, hosts.receivedBytes(i) - received[i]);
    }
    return new Run(results, bytes, seconds, cpu, busiest);
  }

  /** The process of the client's host and rank. */
  private Process worker(ShapedHosts hosts, Client client) throws IOException {
    String name = client.host() + "/" + client.job().rank();
    Process known = workers.get(name);
    if (known != null) {
      return known;
    }
    var command = new ArrayList<>(hosts.on(client.host()));
    command.addAll(
        List.of(
            Launcher.path(),
            "bench",
            "checkpoint",
            "--worker",
            hosts.address(client.host()) + ":" + PORT));
    Process made =
        withOptions(new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT))
            .start();
    workers.put(name, made);
    return made;
  }

  private static void tell(Process worker, String word) throws IOException {
    worker.outputWriter(StandardCharsets.UTF_8).write(word + "\n");
    worker.outputWriter(StandardCharsets.UTF_8).flush();
  }

  private static String expect(Process worker) throws IOException {
    String line = worker.inputReader(StandardCharsets.UTF_8).readLine();
    if (line == null) {
      throw new ForebayException(
          ErrorCode.INTERNAL, "a client of the bench failed; its words are above");
    }
    return line;
  }

  private static String lower(ThreadCpu.Kind kind) {
    return kind.name().toLowerCase(Locale.ROOT);
  }
}
