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

  private static final long START_SECONDS = 40;

  private static final class Member {
    final String name;
    final Path directory;
    final String address;
    final String consensus;
    Process process;

    Member(String name, Path directory, String address, String consensus, Process none) {
      this.name = name;
      this.directory = directory;
      this.address = address;
      this.consensus = consensus;
      this.process = none;
    }
  }

  private final Path root;
  private final Map<String, Member> members = new LinkedHashMap<>();
  private final Map<String, String> environment;

  /**
   * Writes configurations; starts nothing.
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
    this.root = root;
    this.environment = environment;
    Process none = new ProcessBuilder("true").start();
    for (String name : names) {
      members.put(
          name,
          new Member(
              name,
              root.resolve(name),
              "127.0.0.1:" + freePort(),
              "127.0.0.1:" + freePort(),
              none));
    }
    for (Member member : members.values()) {
      Files.createDirectories(member.directory);
      var lines = new ArrayList<String>();
      lines.add("node: " + member.name);
      lines.add("secret: " + SECRET);
      lines.add("voters:");
      for (Member voter : members.values()) {
        lines.add(
            "  "
                + voter.name
                + ": {address: '"
                + voter.address
                + "', consensus: '"
                + voter.consensus
                + "'}");
      }
      lines.add("data: '" + member.directory.resolve("disk0") + "'");
      lines.add("meta: '" + member.directory.resolve("meta") + "'");
      lines.addAll(settings.apply(member.name));
      Files.write(member.directory.resolve("forebay.yaml"), lines);
    }
  }

  /** A port that nothing listens on now. */
  public static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
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
    Files.deleteIfExists(member.directory.resolve("endpoint.json"));
    var command =
        new ArrayList<>(
            List.of(
                Launcher.path(),
                "serve",
                "--config",
                member.directory.resolve("forebay.yaml").toString()));
    command.addAll(List.of(options));
    var builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(
                ProcessBuilder.Redirect.appendTo(member.directory.resolve("log").toFile()));
    builder
        .environment()
        .put(
            Launcher.JAVA_OPTIONS, "-Xms256m -Xmx384m -XX:MaxDirectMemorySize=1g -XX:+UseSerialGC");
    builder.environment().putAll(environment);
    member.process = builder.start();
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
                "node "
                    + name
                    + " ended at its start; its log is "
                    + member.directory.resolve("log"));
          }
          return Files.exists(member.directory.resolve("endpoint.json"));
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

  /** Ends a process as kill -9 does. */
  public void kill(String name) {
    Member member = member(name);
    member.process.destroyForcibly();
    try {
      member.process.waitFor();
    } catch (InterruptedException stop) {
      Thread.currentThread().interrupt();
    }
  }

  /** Stops a process with SIGSTOP: it is there, and does nothing. */
  public void pause(String name) throws IOException {
    signal(name, "STOP");
  }

  /** Lets it go on. */
  public void resume(String name) throws IOException {
    signal(name, "CONT");
  }

  private void signal(String name, String signal) throws IOException {
    new ProcessBuilder("kill", "-" + signal, Long.toString(member(name).process.pid()))
        .inheritIO()
        .start();
  }

  /** The process of a node that was started. */
  public long pid(String name) {
    return member(name).process.pid();
  }

  /** Where a node keeps its chunks. */
  public Path disk(String name) {
    return member(name).directory.resolve("disk0");
  }

  /** Connects to a node; the caller closes it. */
  public Connection connect(String name) {
    return Connection.open(member(name).address, SECRET);
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
