package io.forebay.app.demo;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.runtime.Launcher;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/**
 * Server processes of one cluster on this machine: real processes, each with its own directories,
 * started and ended like an operator would, or the way a machine dies.
 */
public final class Servers implements AutoCloseable {
  /** The secret of every cluster that is made here. */
  public static final String SECRET = "demo-secret-that-never-leaves-loopback";

  private static final long START_SECONDS = 90;
  private static final int MOST_VOTERS = 5;
  private static final Set<Integer> PORTS = ConcurrentHashMap.newKeySet();

  /**
   * Where a node runs.
   *
   * @param host IPv4 address that it listens on
   * @param prefix what stands before its command, such as {@code ip netns exec NAME}
   * @param disk where it keeps what it stores and knows, if not below its own directory
   */
  public record Place(String host, List<String> prefix, Optional<Path> disk) {
    /** Loopback of this machine. */
    public static final Place LOOPBACK = new Place("127.0.0.1", List.of(), Optional.empty());

    public Place {
      prefix = List.copyOf(prefix);
    }
  }

  private static final class Member {
    final String name;
    final Path directory;
    final String address;
    final String consensus;
    final Place place;
    volatile Process process;
    // Whether it was started, and not killed since.
    volatile boolean wanted;

    Member(String name, Path directory, Place place, Process none) throws IOException {
      this.name = name;
      this.directory = directory;
      this.address = place.host() + ":" + freePort();
      this.consensus = place.host() + ":" + freePort();
      this.place = place;
      this.process = none;
    }

    Path log() {
      return directory.resolve("log");
    }

    // May be a mount point, which outlives what is in it.
    Path mount() {
      return place.disk().orElse(directory.resolve("disk"));
    }

    Path disk() {
      return mount().resolve("0");
    }

    // Written by the server when it is ready.
    Path endpoint() {
      return meta().resolveSibling("endpoint.json");
    }

    Path meta() {
      return place.disk().orElse(directory).resolve("meta");
    }
  }

  private final Path root;
  private final Map<String, Member> members = new LinkedHashMap<>();
  private final Map<String, String> environment;

  /**
   * Writes configurations, for loopback; starts nothing.
   *
   * @param names of the nodes; all are voters
   * @param settings lines added to a node's configuration
   * @param environment variables for the servers
   */
  public Servers(
      Path root,
      List<String> names,
      Function<String, List<String>> settings,
      Map<String, String> environment)
      throws IOException {
    this(root, names, any -> Place.LOOPBACK, settings, environment);
  }

  /**
   * Writes configurations; starts nothing.
   *
   * @param names of the nodes; the first of them are voters: as many as there can be, up to 5
   * @param places where each is to run
   * @param settings lines added to a node's configuration
   * @param environment variables for the servers
   */
  public Servers(
      Path root,
      List<String> names,
      Function<String, Place> places,
      Function<String, List<String>> settings,
      Map<String, String> environment)
      throws IOException {
    this.root = root;
    this.environment = environment;
    Process none = new ProcessBuilder("true").start();
    for (String name : names) {
      members.put(name, new Member(name, root.resolve(name), places.apply(name), none));
    }
    // An even number of voters withstands no more than one fewer.
    int voters = Math.min(MOST_VOTERS, (names.size() - 1) / 2 * 2 + 1);
    for (Member member : members.values()) {
      Files.createDirectories(member.directory);
      Files.createDirectories(member.mount());
      var lines = new ArrayList<String>();
      lines.add("node: " + member.name);
      lines.add("secret: " + SECRET);
      lines.add("listen: '" + member.address + "'");
      lines.add("voters:");
      members.values().stream()
          .limit(voters)
          .forEach(voter ->
              lines.add(
                  "  "
                      + voter.name
                      + ": {address: '"
                      + voter.address
                      + "', consensus: '"
                      + voter.consensus
                      + "'}"));
      lines.add("data: '" + member.disk() + "'");
      lines.add("meta: '" + member.meta() + "'");
      lines.addAll(settings.apply(member.name));
      Files.write(member.directory.resolve("forebay.yaml"), lines);
    }
  }

  /** A port that nothing listens on now, and that this JVM was not given before. */
  public static int freePort() throws IOException {
    while (true) {
      try (ServerSocket socket = new ServerSocket(0)) {
        if (PORTS.add(socket.getLocalPort())) {
          return socket.getLocalPort();
        }
      }
    }
  }

  /** The nodes' names. */
  public List<String> names() {
    return List.copyOf(members.keySet());
  }

  private Member member(String name) {
    Member member = members.get(name);
    if (member == null) {
      throw new IllegalArgumentException("no node " + name);
    }
    return member;
  }

  /**
   * Starts a node's process.
   *
   * @param options of {@code serve}, beside its configuration
   */
  public void start(String name, String... options) throws IOException {
    Member member = member(name);
    Files.deleteIfExists(member.endpoint());
    var command = new ArrayList<>(member.place.prefix());
    command.addAll(
        List.of(
            Launcher.path(),
            "serve",
            "--config",
            member.directory.resolve("forebay.yaml").toString()));
    command.addAll(List.of(options));
    var builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(member.log().toFile()));
    builder
        .environment()
        .put(
            Launcher.JAVA_OPTIONS, "-Xms256m -Xmx384m -XX:MaxDirectMemorySize=1g -XX:+UseSerialGC");
    builder.environment().putAll(environment);
    member.process = builder.start();
    member.wanted = true;
  }

  /** Waits until a node that was started takes writes. */
  public void awaitReady(String name) {
    Member member = member(name);
    await(
        "the start of node " + name,
        START_SECONDS,
        () -> {
          if (!member.process.isAlive()) {
            throw new ForebayException(
                ErrorCode.UNAVAILABLE,
                "node " + name + " ended at its start; its log is " + member.log());
          }
          return Files.exists(member.endpoint());
        });
  }

  /** Waits on a condition. */
  public static void await(String what, long seconds, BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new ForebayException(
            ErrorCode.TIMEOUT, what + " did not come about within " + seconds + " s");
      }
      try {
        Thread.sleep(50);
      } catch (InterruptedException stop) {
        Thread.currentThread().interrupt();
        throw new ForebayException(ErrorCode.CANCELLED, "interrupted while waiting for " + what);
      }
    }
  }

  /** Ends processes as kill -9 does, all at once; returns when they are gone. */
  public void kill(String... names) {
    strike(names);
    for (String name : names) {
      try {
        member(name).process.waitFor();
      } catch (InterruptedException stop) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** As {@link #kill}, but does not wait until they are gone. */
  public void strike(String... names) {
    for (String name : names) {
      member(name).wanted = false;
      member(name).process.destroyForcibly();
    }
  }

  /** Stops a process with SIGSTOP: it is there, and does nothing. */
  public void pause(String name) throws IOException {
    signal(member(name).process, "STOP");
  }

  /** Lets it go on. */
  public void resume(String name) throws IOException {
    signal(member(name).process, "CONT");
  }

  static void signal(Process process, String signal) throws IOException {
    String pid = Long.toString(process.pid());
    Process kill = new ProcessBuilder("kill", "-" + signal, pid).inheritIO().start();
    try {
      if (kill.waitFor() != 0) {
        throw new IOException("kill -" + signal + " " + pid + " failed");
      }
    } catch (InterruptedException stop) {
      Thread.currentThread().interrupt();
    }
  }

  /** A node whose process has ended although nobody killed it. */
  public Optional<String> endedByItself() {
    return members.values().stream()
        .filter(member -> member.wanted && !member.process.isAlive())
        .map(member -> member.name)
        .findFirst();
  }

  /**
   * Has the stacks of all threads of a node written to a file, virtual threads included; of one
   * that cannot answer within 10 s there is none.
   */
  public void dumpThreads(String name, Path file) throws IOException {
    Path jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd");
    Process dump =
        new ProcessBuilder(
                jcmd.toString(),
                Long.toString(pid(name)),
                "Thread.dump_to_file",
                "-overwrite",
                file.toAbsolutePath().toString())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      if (!dump.waitFor(10, TimeUnit.SECONDS)) {
        dump.destroyForcibly();
      }
    } catch (InterruptedException stop) {
      dump.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  /** The process of a node that was started. */
  public long pid(String name) {
    return member(name).process.pid();
  }

  /** Where a node keeps its chunks: a directory by itself in {@link #mount}. */
  public Path disk(String name) {
    return member(name).disk();
  }

  /** Where a file system of the node's own may be mounted before it starts. */
  public Path mount(String name) {
    return member(name).mount();
  }

  /** What a node has written, in all its lives. */
  public Path log(String name) {
    return member(name).log();
  }

  /** Connects to a node; the caller closes it. */
  public Connection connect(String name) {
    return Connection.open(member(name).address, SECRET);
  }

  /** The same; a call that is not answered for so long fails. */
  public Connection connect(String name, long patienceNanos) {
    return Connection.open(member(name).address, SECRET, patienceNanos);
  }

  /** What a node says of itself. */
  public JsonNode report(String name) {
    try (Connection connection = connect(name)) {
      return Json.parse(connection.files().report());
    }
  }

  /** Ends all processes. */
  @Override
  public void close() {
    for (Member member : members.values()) {
      member.process.destroyForcibly();
    }
  }

  /** Removes a tree, if it is there. */
  public static void remove(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> tree = Files.walk(directory)) {
      all = tree.toList();
    }
    for (Path path : all.reversed()) {
      Files.deleteIfExists(path);
    }
  }

  /** Where everything is. */
  public Path root() {
    return root;
  }
}
