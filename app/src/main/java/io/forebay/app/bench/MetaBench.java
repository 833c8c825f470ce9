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
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code bench meta}: what the namespace takes, holds and gives. */
@Command(
    name = "meta",
    description = {
      "Creates small files in a cluster of one voter and in one of three (server processes on this machine, over the"
          + " wire protocol), lists them, renames a directory, kills -9 the one voter and times its return.",
      "Processor time is that of the servers; what the JIT compilers took of it is told. Run it alone on the machine."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExample:%n",
    footer = "  forebay bench meta --files 1000000 --json rows.json")
public final class MetaBench implements Callable<Integer> {
  private static final String BUCKET = "meta";
  private static final int CONNECTIONS = 4;
  private static final int BODY_BYTES = 100;
  private static final WriteOptions OPTIONS =
      new WriteOptions(
          ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.of(BODY_BYTES), false);
  private static final int PER_DIRECTORY = 1_000;
  private static final long PATIENCE_SECONDS = 120;

  @Option(
      names = "--files",
      paramLabel = "COUNT",
      description = "Files on one voter (default: ${DEFAULT-VALUE}).")
  private int files = 1_000_000;

  @Option(
      names = "--files-of-three",
      paramLabel = "COUNT",
      description = "Files on three voters (default: ${DEFAULT-VALUE}).")
  private int filesOfThree = 100_000;

  @Option(
      names = "--renamed",
      paramLabel = "COUNT",
      description = "Of them in the directory that is renamed (default: ${DEFAULT-VALUE}).")
  private int renamed = 100_000;

  @Option(
      names = "--writers",
      paramLabel = "COUNT",
      description = "Clients that create, one file each at a time (default: ${DEFAULT-VALUE}).")
  private int writers = 64;

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the rows to a file.")
  private @Nullable Path json;

  private final List<Map<String, Object>> rows = new ArrayList<>();

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (writers < 1 || renamed < 1 || files < renamed || filesOfThree < 1) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "--writers, --renamed and --files-of-three are at least 1, and --files at least --renamed");
    }
    one();
    three();
    if (json != null) {
      Files.writeString(json, Json.of(Map.of("rows", rows)) + "\n");
    }
    return 0;
  }

  private void row(String name, int voters, Map<String, Object> facts) {
    var row = new LinkedHashMap<String, Object>();
    row.put("case", name);
    row.put("voters", voters);
    row.putAll(facts);
    rows.add(row);
    System.out.println(name + ", " + voters + " voter(s): " + facts);
  }

  private void one() throws IOException, InterruptedException {
    try (var cluster = new Cluster(List.of("a"))) {
      long emptyBytes = ProcessMemory.residentBytes(cluster.servers.pid("a"));
      row("create", 1, created(cluster, files, renamed));
      long fullBytes = ProcessMemory.residentBytes(cluster.servers.pid("a"));
      row(
          "memory",
          1,
          Map.of(
              "files", files,
              "emptyMiB", emptyBytes >> 20,
              "fullMiB", fullBytes >> 20,
              "metaDirectoryMiB", directoryBytes(cluster.servers.root().resolve("a/meta")) >> 20));
      try (Connection connection = cluster.servers.connect("a")) {
        list(connection, ""); // warms up
        long begun = System.nanoTime();
        int keys = list(connection, "");
        double seconds = (System.nanoTime() - begun) / 1e9;
        require(keys == files, "the list has " + keys + " keys, not " + files);
        row("list", 1, Map.of("keys", keys, "keysPerSecond", Math.round(keys / seconds)));
        begun = System.nanoTime();
        connection.files().rename(BUCKET, "renamed/", "moved/");
        double millis = (System.nanoTime() - begun) / 1e6;
        int moved = list(connection, "moved/");
        require(moved == renamed, "moved/ has " + moved + " keys, not " + renamed);
        require(list(connection, "renamed/") == 0, "renamed/ is still there");
        row("rename-directory", 1, Map.of("files", renamed, "millis", rounded(millis)));
      }
      cluster.servers.kill("a");
      long begun = System.nanoTime();
      cluster.servers.start("a");
      Servers.await(
          "an answer after the restart",
          PATIENCE_SECONDS,
          () -> {
            try (Connection connection = cluster.servers.connect("a")) {
              return connection.files().stat(BUCKET, "moved/0").isPresent();
            } catch (ForebayException notYet) {
              return false;
            }
          });
      double seconds = (System.nanoTime() - begun) / 1e9;
      row("restart", 1, Map.of("files", files, "seconds", rounded(seconds)));
    }
  }

  private void three() throws IOException, InterruptedException {
    try (var cluster = new Cluster(List.of("a", "b", "c"))) {
      row("create", 3, created(cluster, filesOfThree, 0));
    }
  }

  /** Servers with a bucket, and what they leave goes with them. */
  private static final class Cluster implements AutoCloseable {
    final Servers servers;
    private final Path root;
    private final Thread reaper;

    Cluster(List<String> names) throws IOException {
      root = Files.createTempDirectory("forebay-bench-");
      servers =
          new Servers(root, names, any -> List.of("segment: 64MiB", "memory: 256MiB"), Map.of());
      reaper = new Thread(servers::close, "bench-reaper");
      Runtime.getRuntime().addShutdownHook(reaper);
      for (String name : names) {
        servers.start(name);
      }
      names.forEach(servers::awaitReady);
      Servers.await(
          "a bucket",
          PATIENCE_SECONDS,
          () -> {
            try (Connection connection = servers.connect("a")) {
              connection
                  .files()
                  .createBucket(
                      new BucketSpec(
                          BUCKET,
                          new Family(names.size() == 1 ? 1 : 2, 1, Durability.REPLICATED),
                          "",
                          FlushMode.CACHE_ONLY,
                          List.of(),
                          BucketSpec.DEFAULT_CHUNK_BYTES,
                          0,
                          1_000));
              return true;
            } catch (ForebayException notYet) {
              return false;
            }
          });
    }

    @Override
    public void close() throws IOException {
      servers.close();
      Runtime.getRuntime().removeShutdownHook(reaper);
      Servers.remove(root);
    }
  }

  private static String key(int number, int inRenamed) {
    return number < inRenamed ? "renamed/" + number : "d" + number / PER_DIRECTORY + "/" + number;
  }

  /** Creates files; what is told is of the second half, when the servers are warm. */
  private Map<String, Object> created(Cluster cluster, int count, int inRenamed)
      throws IOException, InterruptedException {
    var names = cluster.servers.names();
    var connections = new ArrayList<Connection>();
    try {
      for (int i = 0; i < CONNECTIONS; i++) {
        connections.add(cluster.servers.connect(names.get(i % names.size())));
      }
      create(connections, 0, count / 2, inRenamed);
      var cpu = new EnumMap<ThreadCpu.Kind, Double>(ThreadCpu.Kind.class);
      for (String name : names) {
        ThreadCpu.add(cpu, ThreadCpu.of(cluster.servers.pid(name)), -1);
      }
      long begun = System.nanoTime();
      long[] nanos = create(connections, count / 2, count, inRenamed);
      double seconds = (System.nanoTime() - begun) / 1e9;
      for (String name : names) {
        ThreadCpu.add(cpu, ThreadCpu.of(cluster.servers.pid(name)), 1);
      }
      Arrays.sort(nanos);
      var facts = new LinkedHashMap<String, Object>();
      facts.put("files", nanos.length);
      facts.put("createsPerSecond", Math.round(nanos.length / seconds));
      facts.put("p50Millis", rounded(nanos[nanos.length / 2] / 1e6));
      facts.put("p99Millis", rounded(nanos[(int) (nanos.length * 0.99)] / 1e6));
      facts.put(
          "cpuMicrosPerOp",
          rounded(cpu.values().stream().mapToDouble(each -> each).sum() * 1e6 / nanos.length));
      facts.put("compilerShare", rounded(ThreadCpu.compilerShare(cpu)));
      return facts;
    } finally {
      connections.forEach(Connection::close);
    }
  }

  private long[] create(List<Connection> connections, int from, int to, int inRenamed)
      throws InterruptedException {
    var nanos = new long[to - from];
    var next = new AtomicInteger(from);
    var failed = new AtomicReference<@Nullable RuntimeException>();
    var threads = new ArrayList<Thread>();
    for (int i = 0; i < writers; i++) {
      Connection connection = connections.get(i % connections.size());
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                for (int number = next.getAndIncrement();
                    number < to && failed.get() == null;
                    number = next.getAndIncrement()) {
                  long begun = System.nanoTime();
                  try {
                    create(connection, key(number, inRenamed));
                  } catch (RuntimeException failure) {
                    failed.set(failure);
                  }
                  nanos[number - from] = System.nanoTime() - begun;
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    RuntimeException failure = failed.get();
    if (failure != null) {
      throw failure;
    }
    return nanos;
  }

  private static void create(Connection connection, String key) {
    Transfers.put(
        connection.files(),
        connection.pool(),
        BUCKET,
        key,
        new ByteArrayInputStream(new byte[BODY_BYTES]),
        OPTIONS,
        bytes -> {});
  }

  private static int list(Connection connection, String prefix) {
    int keys = 0;
    Optional<String> after = Optional.of("");
    while (after.isPresent()) {
      ListPage page =
          connection.files().list(BUCKET, new ListQuery(prefix, "", after.get(), ListQuery.MAX));
      keys += page.objects().size();
      after = page.next();
    }
    return keys;
  }

  private static void require(boolean held, String otherwise) {
    if (!held) {
      throw new ForebayException(ErrorCode.INTERNAL, otherwise);
    }
  }

  private static double rounded(double value) {
    return Double.parseDouble(String.format(Locale.ROOT, "%.3g", value));
  }

  private static long directoryBytes(Path directory) throws IOException {
    try (var all = Files.walk(directory)) {
      return all.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
    }
  }
}
