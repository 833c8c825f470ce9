package io.forebay.app.chaos;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.demo.DemoStore;
import io.forebay.app.demo.Servers;
import io.forebay.app.hosts.PowerDisk;
import io.forebay.app.hosts.ShapedHosts;
import io.forebay.app.hosts.SmallDisk;
import io.forebay.app.runtime.Launcher;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/**
 * The processes, the network, the disks and the store of one cluster, which faults are made with.
 * Each node has a network namespace of its own and the last one a small file system, where this
 * user may make them; or each node has a disk of its own, for all that it keeps, whose power can be
 * cut, or which has a speed, as its NIC has one.
 */
final class Machines implements AutoCloseable {
  static final String BUCKET = "chaos";
  static final String ACCESS_KEY = "CHAOSKEY";
  static final String SECRET_KEY = "chaos-key-that-never-leaves-this-machine";

  private static final long WHOLE_SECONDS = 120;
  // A slow node is out of its groups for a while, each time for longer.
  private static final long WHOLE_PACED_SECONDS = 600;
  private static final long LOSS_SECONDS = 15;
  // What is not answered by then is a violation, or is asked again.
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(120);
  private static final long LOOK_MILLIS = 20;
  private static final int SMALL_MEBIBYTES = 1_024;
  private static final int POWERED_MEBIBYTES = 4_096;
  // So that a NIC, and not this machine's processors, is what a writer waits for.
  private static final int NIC_MEGABITS = 200;
  private static final int SLOWER = 20;

  /** What no log may say, whatever fails around its node. */
  private static final List<String> BUGS =
      List.of(
          "this is a bug",
          "OutOfMemoryError",
          "LEAK:",
          "A fatal error has been detected",
          "handler-failed",
          "http.request.failed",
          "s3.request.failed",
          "failed unexpectedly");

  /** Nor this, but where all power was cut. */
  private static final String LOST = "which is in sync, has lost it";

  private final Path root;
  private final List<String> names;
  private final Map<String, String> doors = new TreeMap<>();
  // What was looked through of each node's log.
  private final Map<String, Long> readBytes = new TreeMap<>();
  // What is to be closed, the newest first.
  private final Deque<AutoCloseable> open = new ConcurrentLinkedDeque<>();
  private final Thread reaper = new Thread(this::closeAll, "chaos-reaper");
  private final Optional<ShapedHosts> hosts;
  private final Optional<DemoStore> store;
  private final Servers servers;
  private final Optional<SmallDisk> small;
  // By name: of every node, or of none.
  private final Map<String, PowerDisk> disks = new TreeMap<>();
  private final Hardware hardware;

  /** What the nodes consist of. */
  enum Hardware {
    /** Links as fast as this machine; one small disk. */
    PLAIN,
    /** The same links; disks whose power can be cut. Needs what {@link PowerDisk#missing} says. */
    POWERED,
    /** Links and disks of a known speed; needs the same. */
    PACED
  }

  /**
   * Starts all of it, and waits until the cluster takes writes.
   *
   * @param root for all that is written; there, and empty
   * @param nodes 3 to 7
   * @param kind of the store: none, dir or azurite
   */
  Machines(Path root, int nodes, String kind, Hardware hardware) throws IOException {
    this.root = root;
    this.hardware = hardware;
    this.names = IntStream.range(0, nodes).mapToObj(node -> "n" + node).toList();
    Runtime.getRuntime().addShutdownHook(reaper);
    try {
      this.hosts =
          ShapedHosts.possible()
              ? Optional.of(
                  opened(new ShapedHosts(nodes, hasSpeeds() ? NIC_MEGABITS : ShapedHosts.UNSHAPED)))
              : Optional.empty();
      hosts.ifPresent(ShapedHosts::join);
      String outside = hosts.map(ShapedHosts::outside).orElse(Servers.Place.LOOPBACK.host());
      this.store =
          kind.equals("none")
              ? Optional.empty()
              : Optional.of(opened(DemoStore.start(kind, root, outside)));
      for (String name : names) {
        doors.put(name, place(name).host() + ":" + Servers.freePort());
        if (hardware != Hardware.PLAIN) {
          disks.put(name, opened(new PowerDisk(root.resolve(name + "-power"), POWERED_MEBIBYTES)));
        }
      }
      var environment = new TreeMap<String, String>();
      // Short lives: what the second compiler gains is less than it costs.
      environment.put(
          Launcher.JAVA_OPTIONS,
          "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx384m -XX:MaxDirectMemorySize=768m");
      store.ifPresent(each -> environment.putAll(each.environment()));
      this.servers = opened(new Servers(root, names, this::place, this::settings, environment));
      this.small =
          hardware == Hardware.PLAIN
              ? SmallDisk.mount(servers.mount(names.getLast()), SMALL_MEBIBYTES)
              : Optional.empty();
      small.ifPresent(this::opened);
      for (String name : names) {
        servers.start(name);
      }
      names.forEach(servers::awaitReady);
      awaitUp();
      if (hasSpeeds()) {
        disks.values().forEach(disk -> disk.slow(1));
      }
    } catch (IOException | RuntimeException failure) {
      close();
      throw failure;
    }
  }

  private <T extends AutoCloseable> T opened(T resource) {
    open.push(resource);
    return resource;
  }

  private Servers.Place place(String name) {
    int node = names.indexOf(name);
    String host = hosts.map(all -> all.address(node)).orElse(Servers.Place.LOOPBACK.host());
    var prefix = new ArrayList<String>();
    hosts.ifPresent(all -> prefix.addAll(all.on(node)));
    Optional<PowerDisk> disk = Optional.ofNullable(disks.get(name));
    disk.ifPresent(each -> prefix.addAll(each.machine()));
    return new Servers.Place(host, prefix, disk.map(PowerDisk::directory));
  }

  private List<String> settings(String name) {
    return List.of(
        "s3: {listen: '"
            + doors.get(name)
            + "', accessKeyId: "
            + ACCESS_KEY
            + ", secretAccessKey: "
            + SECRET_KEY
            + "}",
        "capacity: 3GiB",
        "segment: 64MiB",
        "memory: 256MiB",
        "grace: 20s");
  }

  int count() {
    return names.size();
  }

  String name(int node) {
    return names.get(node);
  }

  /** HOST:PORT of a node's S3 door. */
  String s3(int node) {
    return Optional.ofNullable(doors.get(name(node))).orElseThrow();
  }

  Optional<DemoStore> store() {
    return store;
  }

  /** Whether nodes can be cut off. */
  boolean hasLinks() {
    return hosts.isPresent();
  }

  /** Whether the disk of the last node can be filled. */
  boolean hasSmallDisk() {
    return small.isPresent();
  }

  /** A new connection to a node; the caller closes it. */
  Connection connect(int node) {
    return servers.connect(name(node), PATIENCE_NANOS);
  }

  /**
   * Kills nodes.
   *
   * @throws Violation one has ended by itself before
   */
  void kill(List<Integer> nodes) {
    requireAlive();
    servers.kill(nodes.stream().map(this::name).toArray(String[]::new));
  }

  /** Starts nodes that were killed, and waits until they take writes. */
  void start(List<Integer> nodes, String... options) throws IOException {
    for (int node : nodes) {
      servers.start(name(node), options);
    }
    for (int node : nodes) {
      servers.awaitReady(name(node));
    }
  }

  /** Whether the power of nodes can be cut. */
  boolean hasPower() {
    return hardware == Hardware.POWERED;
  }

  /** Cuts the power of nodes, at once: they are gone, and what their disks had not flushed. */
  void cutPower(List<Integer> nodes, SplittableRandom random) {
    requireAlive();
    nodes.forEach(node -> disk(node).cut(random.nextLong()));
    servers.strike(nodes.stream().map(this::name).toArray(String[]::new));
    nodes.forEach(node -> disk(node).fail());
    kill(nodes);
  }

  /** Gives nodes their power again; they do not start by themselves. */
  void restorePower(List<Integer> nodes) throws IOException {
    for (int node : nodes) {
      disk(node).restore();
    }
  }

  private PowerDisk disk(int node) {
    return Optional.ofNullable(disks.get(name(node))).orElseThrow();
  }

  /** Whether links and disks can be slow. */
  boolean hasSpeeds() {
    return hardware == Hardware.PACED;
  }

  /** Makes a node's link 20 times slower than the others', or as fast again. */
  void slowNic(int node, boolean on) {
    hosts.orElseThrow().speed(node, on ? NIC_MEGABITS / SLOWER : NIC_MEGABITS);
  }

  /** Makes a node's disk 20 times slower than the others', or as fast again. */
  void slowDisk(int node, boolean on) {
    disk(node).slow(on ? SLOWER : 1);
  }

  void stop(int node) throws IOException {
    servers.pause(name(node));
  }

  void resume(int node) throws IOException {
    servers.resume(name(node));
  }

  void cutOff(int node, boolean on) {
    hosts.orElseThrow().blackHole(node, on);
  }

  /** Takes everything from the disk of a node that was killed. */
  void wipe(int node) throws IOException {
    Servers.remove(servers.disk(name(node)));
  }

  void fillSmallDisk() throws IOException {
    small.orElseThrow().fill();
  }

  void drainSmallDisk() throws IOException {
    small.orElseThrow().drain();
  }

  /**
   * Waits until a node knows that another is lost.
   *
   * @return when that was, by System.nanoTime
   * @throws Violation it does not come to know it
   */
  long awaitLoss(int asked, int lost) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LOSS_SECONDS);
    while (System.nanoTime() - deadline < 0) {
      try (Connection connection = connect(asked)) {
        while (System.nanoTime() - deadline < 0) {
          if (!isUp(Json.parse(connection.files().report()), name(lost))) {
            return System.nanoTime();
          }
          Thread.sleep(LOOK_MILLIS);
        }
      } catch (ForebayException unanswered) {
        // Asked again, until it is too late.
      }
    }
    throw new Violation(
        "%s did not know within %d s that %s is lost"
            .formatted(name(asked), LOSS_SECONDS, name(lost)));
  }

  private static boolean isUp(JsonNode report, String name) {
    return report
        .path("nodes")
        .valueStream()
        .anyMatch(node ->
            node.path("name").asString("").equals(name)
                && node.path("state").asString("").equals("UP"));
  }

  private boolean allUp(JsonNode report) {
    return names.stream().allMatch(name -> isUp(report, name));
  }

  private void awaitUp() {
    for (int node = 0; node < count(); node++) {
      await("that it sees all nodes", node, this::allUp);
    }
  }

  /**
   * Waits until every node holds its lease and sees every group (there must be some) at full
   * strength.
   *
   * @throws Violation it does not come about, or a node has ended by itself
   */
  void awaitWhole(String when) {
    for (int node = 0; node < count(); node++) {
      await(
          "that it is ready and sees all groups in sync, " + when,
          node,
          report -> {
            JsonNode groups = report.path("groups");
            return report.path("ready").asBoolean(false)
                && allUp(report)
                && groups.path("total").asInt(0) > 0
                && groups.path("full").asInt(-1) == groups.path("total").asInt(0);
          });
    }
  }

  private void await(String what, int node, Predicate<JsonNode> condition) {
    String[] last = {"nothing"};
    long seconds = hasSpeeds() ? WHOLE_PACED_SECONDS : WHOLE_SECONDS;
    try {
      Servers.await(
          what,
          seconds,
          () -> {
            requireAlive();
            try {
              JsonNode report = servers.report(name(node));
              last[0] = report.path("nodes") + " " + report.path("groups");
              return condition.test(report);
            } catch (ForebayException unanswered) {
              last[0] = unanswered.toString();
              return false;
            }
          });
    } catch (ForebayException failure) {
      if (failure.code() != ErrorCode.TIMEOUT) {
        throw failure;
      }
      throw new Violation(
          "in vain for %d s from %s: %s; it says: %s".formatted(seconds, name(node), what, last[0]),
          failure);
    }
  }

  /**
   * Looks whether all that runs is well.
   *
   * @throws Violation a node has ended by itself
   */
  void requireAlive() {
    servers
        .endedByItself()
        .ifPresent(name -> {
          throw new Violation(name + " has ended by itself; its log is " + servers.log(name));
        });
  }

  /**
   * Looks through what the logs say since this was asked last.
   *
   * @throws Violation one of them tells of a bug
   */
  void requireCleanLogs() throws IOException {
    for (String name : names) {
      long from = readBytes.getOrDefault(name, 0L);
      byte[] news;
      try (InputStream log = Files.newInputStream(servers.log(name))) {
        log.skipNBytes(from);
        news = log.readAllBytes();
      }
      readBytes.put(name, from + news.length);
      for (String line : new String(news, UTF_8).lines().toList()) {
        if (BUGS.stream().anyMatch(line::contains) || (!hasPower() && line.contains(LOST))) {
          throw new Violation("the log of " + name + " says: " + line);
        }
      }
    }
  }

  /** Has the stacks of all nodes that can answer written to files; returns what they begin with. */
  Path dumpThreads(String prefix) throws IOException {
    Path target = root.resolve("stacks-" + prefix);
    for (String name : names) {
      servers.dumpThreads(name, Path.of(target + "-" + name));
    }
    return target;
  }

  /**
   * Removes everything that a cluster has stored, but not what its nodes have told.
   *
   * @param root of one that was closed
   */
  static void removeData(Path root) throws IOException {
    try (Stream<Path> entries = Files.list(root)) {
      for (Path entry : entries.filter(each -> !Files.isRegularFile(each)).toList()) {
        Path log = entry.resolve("log");
        if (Files.exists(log)) {
          Files.move(log, root.resolve(entry.getFileName() + ".log"));
        }
        Servers.remove(entry);
      }
    }
  }

  /** Ends everything; what was written stays. So does the end of this JVM. */
  @Override
  public void close() {
    closeAll();
    try {
      Runtime.getRuntime().removeShutdownHook(reaper);
    } catch (IllegalStateException ending) {
      // The hook runs, or has run.
    }
  }

  private void closeAll() {
    for (AutoCloseable next = open.poll(); next != null; next = open.poll()) {
      try {
        next.close();
      } catch (Exception failure) {
        System.err.println("forebay: not everything could be ended: " + failure);
      }
    }
  }
}
