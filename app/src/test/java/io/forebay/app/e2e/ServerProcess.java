package io.forebay.app.e2e;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/**
 * A server in a JVM of its own, started as {@code ./forebay} starts it. It may be killed, stopped
 * and started again; whatever is left when this JVM ends is killed with it.
 */
final class ServerProcess implements AutoCloseable {
  static final Path ROOT = Path.of(System.getProperty("forebay.root"));

  private static final Set<Process> RUNNING = ConcurrentHashMap.newKeySet();
  private static final Set<Integer> PORTS = new HashSet<>();
  static final String USUAL_MEMORY = "-Xmx384m -XX:MaxDirectMemorySize=768m";
  private static final long POLL_NANOS = 20_000_000L;
  private static boolean packaged;

  static {
    Runtime.getRuntime()
        .addShutdownHook(new Thread(() -> RUNNING.forEach(Process::destroyForcibly), "e2e-reaper"));
  }

  private final String name;
  private final Path log;
  private final List<String> arguments;
  private final List<String> prefix;
  private volatile Optional<Process> process = Optional.empty();
  private String javaOptions = USUAL_MEMORY;

  /**
   * A server that is not started yet.
   *
   * @param log gets both outputs of the process, of all its lives
   * @param prefix what stands before the command, such as {@code ip netns exec NAME}
   * @param arguments of the command line, from {@code serve} on
   */
  ServerProcess(String name, Path log, List<String> prefix, List<String> arguments) {
    this.name = name;
    this.log = log;
    this.prefix = List.copyOf(prefix);
    this.arguments = List.copyOf(arguments);
  }

  /** What the JVM of the next start gets: how much memory, for one thing. */
  void javaOptions(String options) {
    javaOptions = options;
  }

  /** The command that runs our command line with these arguments. */
  static List<String> forebay(List<String> arguments) throws IOException, InterruptedException {
    return forebay(USUAL_MEMORY, arguments);
  }

  private static List<String> forebay(String memory, List<String> arguments)
      throws IOException, InterruptedException {
    gather();
    // env becomes the script, and the script the JVM: signals reach it.
    var command =
        new ArrayList<>(
            List.of(
                "env",
                "FOREBAY_JAVA_OPTS=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 " + memory,
                ROOT.resolve("forebay").toString()));
    command.addAll(arguments);
    return command;
  }

  private static void gather() throws IOException, InterruptedException {
    if (packaged) {
      return;
    }
    Process script =
        new ProcessBuilder(ROOT.resolve("scripts/package.sh").toString(), "--if-stale")
            .inheritIO()
            .start();
    if (script.waitFor() != 0) {
      throw new AssertionError("scripts/package.sh --if-stale failed; its output says why");
    }
    packaged = true;
  }

  /** A port that nothing listens on, and that was not given out before. */
  static int freePort() throws IOException {
    while (true) {
      try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
        if (PORTS.add(socket.getLocalPort())) {
          return socket.getLocalPort();
        }
      }
    }
  }

  /** Waits until a condition holds, however long after the deadline a single look takes. */
  static void await(String what, int seconds, BooleanSupplier condition) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - deadline >= 0) {
        throw new AssertionError("in vain for " + seconds + " s: " + what);
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }

  /** Removes a tree. */
  static void wipe(Path directory) {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    } catch (IOException failure) {
      throw new AssertionError("wiping " + directory + ": " + failure, failure);
    }
  }

  /** Starts the process; {@link #awaitBanner} waits until it serves. */
  void start() throws IOException, InterruptedException {
    if (process.isPresent()) {
      throw new IllegalStateException(name + " runs already");
    }
    Files.writeString(log, "");
    var command = new ArrayList<>(prefix);
    command.addAll(forebay(javaOptions, arguments));
    Process started =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    RUNNING.add(started);
    process = Optional.of(started);
  }

  /** Waits until the server says that it is ready. */
  void awaitBanner() {
    await(
        name + " says that it is ready",
        60,
        () -> {
          requireNoEndOfItsOwn();
          return log().contains(" is ready; transport ");
        });
  }

  /** Fails where the process ended without having been killed here. */
  void requireNoEndOfItsOwn() {
    if (process.isPresent() && !process.get().isAlive()) {
      throw new AssertionError(
          name + " ended by itself with " + process.get().exitValue() + ":\n" + log());
    }
  }

  /** Whether it was started and has not ended. */
  boolean runs() {
    return process.isPresent() && process.get().isAlive();
  }

  long pid() {
    return process.orElseThrow().pid();
  }

  /** kill -9; returns once the process is gone. */
  void kill() {
    process.ifPresent(running -> {
      running.destroyForcibly().onExit().join();
      RUNNING.remove(running);
    });
    process = Optional.empty();
  }

  /** SIGTERM; returns once the process is gone. */
  void end() {
    signal("TERM");
    awaitEnd();
  }

  /** Waits until the process has ended, by itself or as it was told. */
  void awaitEnd() {
    Process ending = process.orElseThrow();
    await(name + " ends", 30, () -> !ending.isAlive());
    RUNNING.remove(ending);
    process = Optional.empty();
  }

  /** SIGSTOP: the process keeps its sockets and does nothing. */
  void stop() {
    signal("STOP");
  }

  /** SIGCONT. */
  void resume() {
    signal("CONT");
  }

  private void signal(String signal) {
    long pid = process.orElseThrow().pid();
    try {
      int code =
          new ProcessBuilder("kill", "-" + signal, Long.toString(pid))
              .inheritIO()
              .start()
              .waitFor();
      if (code != 0) {
        throw new AssertionError("kill -" + signal + " " + pid + " failed with " + code);
      }
    } catch (IOException failure) {
      throw new AssertionError("kill -" + signal + " " + pid + ": " + failure, failure);
    } catch (InterruptedException failure) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted while signalling " + name, failure);
    }
  }

  /** What the process has written since it was started last. */
  String log() {
    try {
      return Files.readString(log, StandardCharsets.UTF_8);
    } catch (IOException failure) {
      throw new AssertionError("reading " + log + ": " + failure, failure);
    }
  }

  @Override
  public void close() {
    kill();
  }
}
