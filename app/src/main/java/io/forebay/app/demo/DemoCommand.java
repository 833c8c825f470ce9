package io.forebay.app.demo;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.command.Progress;
import io.forebay.app.command.Transfers;
import io.forebay.app.config.Size;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.WriteOptions;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/** {@code demo}: the main job, before your eyes, on real processes. */
@Command(
    name = "demo",
    description = {
      "Writes a checkpoint to three server processes, kills one in the middle, reads everything back, brings it"
          + " back, stops another, replaces the third's disk, waits for the object store, and compares every"
          + " byte. Takes about a minute; ends with a table, and with exit code 0 only when all of it held."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExample:%n",
    footer = "  forebay demo --json facts.json")
public final class DemoCommand implements Callable<Integer> {
  private static final List<String> NODES = List.of("a", "b", "c");
  private static final String FIRST = "checkpoints";
  private static final String SECOND = "scratch";
  // Without an object that arrives: emulators of stores are slow.
  private static final long FLUSH_NANOS = 180_000_000_000L;

  @Option(
      names = "--store",
      description =
          "dir (a directory), azurite (an Azure Blob emulator from npm) or s3 (MiniStack, an S3 emulator from PyPI)."
              + " Default: dir.")
  private String store = "dir";

  @Option(
      names = "--size",
      paramLabel = "SIZE",
      description = "Size of the first checkpoint (default: ${DEFAULT-VALUE}).")
  private String size = "1GiB";

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the facts to a file.")
  private @Nullable Path json;

  @Option(names = "--keep", description = "Leaves the directories and logs behind.")
  private boolean keep;

  private final DemoFacts facts = new DemoFacts();
  private final Map<String, String> expected = new LinkedHashMap<>(); // bucket/key → SHA-256
  private final AtomicLong longestStallNanos = new AtomicLong();
  private int step;

  @Override
  public Integer call() throws IOException {
    long begun = System.nanoTime();
    Path root = Files.createTempDirectory("forebay-demo-");
    boolean held = false;
    facts.store = store;
    try (DemoStore target = DemoStore.start(store, root, Servers.Place.LOOPBACK.host());
        Servers servers =
            new Servers(
                root,
                NODES,
                any ->
                    List.of(
                        "store: '" + target.url() + "'",
                        "capacity: 6GiB",
                        "memory: 256MiB",
                        "grace: 30s",
                        "flushDelay: 2s"),
                target.environment())) {
      run(servers, target);
      held = verdict();
    } catch (ForebayException failure) {
      System.out.println("FAILED: " + failure.code() + ": " + failure.getMessage());
      System.out.println("logs are in " + root);
      keep = true;
    } finally {
      facts.seconds = seconds(begun);
      table(held);
      if (json != null) {
        Files.writeString(json, Json.of(facts) + "\n");
      }
      if (!keep) {
        Servers.remove(root);
      }
    }
    return held ? 0 : 1;
  }

  private void run(Servers servers, DemoStore target) throws IOException {
    say("Start three server processes (each one a voter of the control plane)");
    long start = System.nanoTime();
    for (String name : NODES) {
      servers.start(name);
    }
    NODES.forEach(servers::awaitReady);
    proves(
        "a cluster of three took its first write permission after %.1f s"
            .formatted(seconds(start)));

    String killed = servers.report("a").path("leader").asString("a");
    List<String> others = NODES.stream().filter(name -> !name.equals(killed)).toList();
    String writer = others.getFirst();
    String third = others.getLast();
    long total = Size.parse("--size", size);
    int files = 8;
    try (Connection connection = servers.connect(writer)) {
      createBucket(connection, FIRST, 3, target.url());
      createBucket(connection, SECOND, 2, target.url());
    }
    long firstBytes = total / files * files;

    say(
        ("Write a checkpoint of %s in %d files through node %s into a bucket with 3 replicas (at least 2);"
                + " kill -9 the control plane's leader (%s) in the middle")
            .formatted(Size.format(firstBytes), files, writer, killed));
    var watch = new Watch(servers, writer, killed);
    write(
        servers,
        writer,
        FIRST,
        "step-1000/rank-",
        files,
        total / files,
        firstBytes * 2 / 5,
        () -> {
          servers.kill(killed);
          facts.nodesKilled++;
          watch.begin();
        });
    facts.detectSeconds = watch.await();
    facts.longestWriteStallSeconds = longestStallNanos.get() / 1e9;
    proves(
        ("writing went on without node %s; its loss was known after %.1f s, the longest stall of a write was"
                + " %.1f s")
            .formatted(killed, facts.detectSeconds, facts.longestWriteStallSeconds));

    say("Read everything back through node %s and compare SHA-256".formatted(third));
    readBack(servers, third, FIRST);
    proves("every published byte is there with one of three nodes dead");

    say("Start node %s again and wait until it has exactly what it missed".formatted(killed));
    servers.start(killed);
    servers.awaitReady(killed);
    awaitFullStrength(servers, killed);
    JsonNode resync = servers.report(killed).path("resync");
    facts.resyncMissedBytes = resync.path("missedBytes").asLong();
    facts.resyncMovedBytes = resync.path("movedBytes").asLong();
    proves(
        "it missed %s and %s were moved"
            .formatted(Size.format(facts.resyncMissedBytes), Size.format(facts.resyncMovedBytes)));

    String stopped = third;
    long secondBytes = Math.max(total / 4, 4 << 20) / 4 * 4;
    say(
        "Write a second checkpoint of %s into a bucket with 2 replicas; SIGSTOP node %s in the middle"
            .formatted(Size.format(secondBytes), stopped));
    write(
        servers,
        writer,
        SECOND,
        "step-1010/rank-",
        4,
        secondBytes / 4,
        secondBytes * 2 / 5,
        () -> {
          servers.pause(stopped);
          facts.nodesStopped++;
        });
    facts.longestWriteStallSeconds = longestStallNanos.get() / 1e9;
    proves(
        "a node that hangs is passed by; the longest stall of a write so far was %.1f s"
            .formatted(facts.longestWriteStallSeconds));
    say("Read it back while node %s still hangs, then let it go on".formatted(stopped));
    readBack(servers, killed, SECOND);
    servers.resume(stopped);
    awaitFullStrength(servers, writer);
    proves("what a hung node holds is read from others, and it catches up when it goes on");

    Map<String, Long> requestsBefore = requests(servers);
    say("Stop node %s, replace its disk by an empty one, and start it again".formatted(writer));
    servers.kill(writer);
    Servers.remove(servers.disk(writer));
    facts.disksReplaced++;
    // Without the option the node refuses the empty directory: it might only be not mounted.
    servers.start(writer, "--accept-empty-volume");
    servers.awaitReady(writer);
    awaitFullStrength(servers, writer);
    awaitFullStrength(servers, third);
    proves("an empty disk is filled from the others until every group has all its copies");

    say(
        "Wait until the object store (%s) has everything, and compare every byte there"
            .formatted(target.url()));
    flush(servers, killed);
    compareStore(target);
    Map<String, Long> requestsAfter = requests(servers);
    // The replaced node's process counted from zero again.
    facts.storeRequests = requestsBefore.getOrDefault(writer, 0L);
    requestsAfter.values().forEach(count -> facts.storeRequests += count);
    facts.storeRequestsPerGB = facts.storeRequests / (facts.bytes / 1e9);
    proves(
        "%d objects arrived by themselves, with %d store requests (%.1f per GB)"
            .formatted(facts.flushedObjects, facts.storeRequests, facts.storeRequestsPerGB));

    say("Read everything once more, through every node");
    for (String name : NODES) {
      readBack(servers, name, FIRST);
      readBack(servers, name, SECOND);
    }
    proves("all nodes agree");
  }

  private void createBucket(Connection connection, String name, int replicas, String url) {
    connection
        .files()
        .createBucket(
            new BucketSpec(
                name,
                new Family(replicas, 2, Durability.REPLICATED),
                url,
                FlushMode.BACK,
                List.of(),
                BucketSpec.DEFAULT_CHUNK_BYTES,
                2_000,
                BucketSpec.DEFAULT_READ_GRACE_MILLIS));
  }

  /** Something that happens in the middle of a write. */
  private interface Event {
    void happen() throws IOException;
  }

  private void write(
      Servers servers,
      String node,
      String bucket,
      String prefix,
      int files,
      long fileBytes,
      long eventAfterBytes,
      Event event)
      throws IOException {
    var written = new AtomicLong();
    var happened = new boolean[1];
    var wrong = new IOException[1];
    long[] lastNanos = {System.nanoTime()};
    try (Connection connection = servers.connect(node);
        Progress progress = bar(fileBytes * files)) {
      for (int i = 0; i < files; i++) {
        String key = prefix + i + ".pt";
        var content = new Content(bucket.hashCode() + 31L * i, fileBytes);
        lastNanos[0] = System.nanoTime();
        Transfers.put(
            connection.files(),
            connection.pool(),
            bucket,
            key,
            content,
            WriteOptions.DEFAULT,
            count -> {
              long now = System.nanoTime();
              longestStallNanos.accumulateAndGet(now - lastNanos[0], Math::max);
              lastNanos[0] = now;
              progress.add(count);
              if (written.addAndGet(count) >= eventAfterBytes && !happened[0]) {
                happened[0] = true;
                try {
                  event.happen();
                } catch (IOException failure) {
                  wrong[0] = failure;
                }
                lastNanos[0] = System.nanoTime();
              }
            });
        longestStallNanos.accumulateAndGet(System.nanoTime() - lastNanos[0], Math::max);
        if (wrong[0] != null) {
          throw wrong[0];
        }
        expected.put(bucket + "/" + key, content.sha256Hex());
        facts.publishedFiles++;
        facts.bytes += fileBytes;
      }
    }
  }

  private static Progress bar(long bytes) {
    return new Progress(System.out, "   writing", bytes);
  }

  private void readBack(Servers servers, String node, String bucket) {
    try (Connection connection = servers.connect(node)) {
      for (Map.Entry<String, String> entry : expected.entrySet()) {
        if (!entry.getKey().startsWith(bucket + "/")) {
          continue;
        }
        String key = entry.getKey().substring(bucket.length() + 1);
        MessageDigest digest = Content.sha256();
        Transfers.get(
            connection.files(),
            bucket,
            key,
            new DigestOutputStream(OutputStream.nullOutputStream(), digest),
            bytes -> {});
        if (!HexFormat.of().formatHex(digest.digest()).equals(entry.getValue())) {
          facts.sha256Mismatches++;
          System.out.println("   MISMATCH: " + entry.getKey() + " read through node " + node);
        }
      }
    }
  }

  private static void awaitFullStrength(Servers servers, String node) {
    Servers.await(
        "full strength of all groups",
        60,
        () -> {
          JsonNode groups = servers.report(node).path("groups");
          return groups.path("total").asInt() > 0
              && groups.path("full").asInt() == groups.path("total").asInt()
              && groups.path("syncing").asInt() == 0;
        });
  }

  private static Map<String, Long> requests(Servers servers) {
    var requests = new LinkedHashMap<String, Long>();
    for (String name : NODES) {
      requests.put(name, servers.report(name).path("storeRequests").path("total").asLong(0));
    }
    return requests;
  }

  private void flush(Servers servers, String node) {
    try (Connection connection = servers.connect(node)) {
      for (String bucket : List.of(FIRST, SECOND)) {
        FlushReport report = new FlushReport(0, 1, 0, List.of());
        long end = System.nanoTime() + FLUSH_NANOS;
        long fewest = Long.MAX_VALUE;
        while (report.waiting() > 0 && System.nanoTime() < end) {
          report = connection.files().flush(bucket, "", 2_000_000_000L);
          if (report.waiting() < fewest) {
            fewest = report.waiting();
            end = System.nanoTime() + FLUSH_NANOS;
          }
        }
        facts.flushedObjects += Math.toIntExact(report.flushed());
        report
            .troubled()
            .forEach(trouble ->
                System.out.println(
                    "   " + trouble.key() + ": " + trouble.state() + ": " + trouble.reason()));
      }
    }
  }

  private void compareStore(DemoStore target) throws IOException {
    try (StoreContents contents = target.contents()) {
      for (Map.Entry<String, String> entry : expected.entrySet()) {
        MessageDigest digest = Content.sha256();
        var sink = new DigestOutputStream(OutputStream.nullOutputStream(), digest);
        if (!contents.has(entry.getKey())) {
          System.out.println("   not in the store: " + entry.getKey());
        } else if (!contents.copy(entry.getKey(), sink)
            || !HexFormat.of().formatHex(digest.digest()).equals(entry.getValue())) {
          facts.storeMismatches++;
          System.out.println("   MISMATCH in the store: " + entry.getKey());
        }
      }
    }
  }

  private boolean verdict() {
    var wrong = new ArrayList<String>();
    check(wrong, facts.sha256Mismatches == 0, "bytes read differ from bytes written");
    check(wrong, facts.storeMismatches == 0, "bytes in the store differ from bytes written");
    check(
        wrong, facts.flushedObjects == facts.publishedFiles, "not every object reached the store");
    check(
        wrong,
        facts.resyncMissedBytes > 0 && facts.resyncMovedBytes <= facts.resyncMissedBytes * 1.05,
        "re-sync moved more than was missed, or nothing");
    check(wrong, facts.detectSeconds <= 3, "the loss of a node was known after more than 3 s");
    check(wrong, facts.longestWriteStallSeconds <= 3, "a write stalled for more than 3 s");
    wrong.forEach(words -> System.out.println("NOT HELD: " + words));
    return wrong.isEmpty();
  }

  private static void check(List<String> wrong, boolean held, String words) {
    if (!held) {
      wrong.add(words);
    }
  }

  private void say(String words) {
    step++;
    System.out.println(step + ". " + words);
    System.out.flush();
  }

  private static void proves(String words) {
    System.out.println("   => " + words);
    System.out.flush();
  }

  private void table(boolean held) {
    System.out.println();
    System.out.printf(Locale.ROOT, "%-34s %s%n", "written", Size.format(facts.bytes));
    System.out.printf(Locale.ROOT, "%-34s %d%n", "files published", facts.publishedFiles);
    System.out.printf(
        Locale.ROOT,
        "%-34s %d killed, %d stopped, %d disk replaced%n",
        "faults",
        facts.nodesKilled,
        facts.nodesStopped,
        facts.disksReplaced);
    System.out.printf(Locale.ROOT, "%-34s %d%n", "SHA-256 mismatches", facts.sha256Mismatches);
    System.out.printf(
        Locale.ROOT, "%-34s %.2f s%n", "loss of a node known after", facts.detectSeconds);
    System.out.printf(
        Locale.ROOT, "%-34s %.2f s%n", "longest stall of a write", facts.longestWriteStallSeconds);
    System.out.printf(
        Locale.ROOT,
        "%-34s %s missed, %s moved%n",
        "re-sync of the killed node",
        Size.format(facts.resyncMissedBytes),
        Size.format(facts.resyncMovedBytes));
    System.out.printf(
        Locale.ROOT,
        "%-34s %d objects, %d mismatches, %d requests (%.1f per GB)%n",
        "object store",
        facts.flushedObjects,
        facts.storeMismatches,
        facts.storeRequests,
        facts.storeRequestsPerGB);
    System.out.printf(Locale.ROOT, "%-34s %.0f s%n", "took", facts.seconds);
    System.out.println(held ? "ALL HELD" : "NOT ALL HELD");
  }

  private static double seconds(long sinceNanos) {
    return (System.nanoTime() - sinceNanos) / 1e9;
  }

  /** Measures how long the cluster takes to call a killed node down. */
  private static final class Watch {
    private final Connection connection;
    private final String killed;
    private @Nullable Thread thread;
    private volatile double seconds = -1;

    Watch(Servers servers, String asked, String killed) {
      this.connection = servers.connect(asked);
      this.killed = killed;
    }

    void begin() {
      long since = System.nanoTime();
      thread =
          Thread.ofPlatform()
              .daemon(true)
              .name("demo-watch")
              .start(() -> {
                try (connection) {
                  while (seconds < 0) {
                    for (JsonNode node : Json.parse(connection.files().report()).path("nodes")) {
                      if (node.path("name").asString("").equals(killed)
                          && node.path("state").asString("").equals("DOWN")) {
                        seconds = (System.nanoTime() - since) / 1e9;
                      }
                    }
                    Thread.sleep(20);
                  }
                } catch (InterruptedException stop) {
                  Thread.currentThread().interrupt();
                }
              });
    }

    double await() {
      Servers.await("knowledge of the loss of node " + killed, 30, () -> seconds >= 0);
      if (thread == null) {
        throw new ForebayException(ErrorCode.INTERNAL, "the watch was not begun");
      }
      return seconds;
    }
  }
}
