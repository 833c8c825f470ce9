package io.forebay.app.bench;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * nginx as the Debian package brings it, serving a directory over plain HTTP on loopback with
 * sendfile: what a server of files costs on this machine. Its configuration is the package's
 * defaults, without a log of requests and without a bound of requests for each connection.
 */
final class Nginx implements AutoCloseable {
  private static final int START_SECONDS = 10;

  private final Process process;
  private final InetSocketAddress address;
  private final boolean takesPuts;

  private Nginx(Process process, InetSocketAddress address, boolean takesPuts) {
    this.process = process;
    this.address = address;
    this.takesPuts = takesPuts;
  }

  /** The program, if it is here. */
  static Optional<Path> find() {
    for (String directory : (System.getenv("PATH") + ":/usr/sbin:/sbin").split(":", -1)) {
      Path program = Path.of(directory, "nginx");
      if (Files.isExecutable(program)) {
        return Optional.of(program);
      }
    }
    return Optional.empty();
  }

  /**
   * Starts.
   *
   * @param home for its configuration and what it writes on its way
   * @param files what it serves
   */
  static Nginx start(Path program, Path home, Path files, int port)
      throws IOException, InterruptedException {
    Files.createDirectories(home);
    Process asked = new ProcessBuilder(program.toString(), "-V").redirectErrorStream(true).start();
    String built = new String(asked.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    boolean dav = built.contains("--with-http_dav_module");
    var text = new StringBuilder("daemon off;\nworker_processes auto;\n");
    if (ProcessHandle.current().info().user().orElse("").equals("root")) {
      // Its workers would be another user, who may not read a private directory.
      text.append("user root;\n");
    }
    text.append("pid ").append(home.resolve("pid")).append(";\n");
    text.append("events { worker_connections 1024; }\nhttp {\n");
    text.append("access_log off;\nsendfile on;\ntcp_nopush on;\nkeepalive_timeout 600;\n");
    text.append("keepalive_requests 1000000000;\nclient_max_body_size 0;\n");
    for (String each : List.of("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) {
      text.append(each).append("_temp_path ").append(home.resolve(each)).append(";\n");
    }
    text.append("server {\nlisten 127.0.0.1:").append(port).append(";\n");
    text.append("root ").append(files).append(";\nlocation / {\n");
    if (dav) {
      text.append("dav_methods PUT;\ncreate_full_put_path on;\n");
    }
    text.append("}\n}\n}\n");
    Path config = home.resolve("nginx.conf");
    Files.writeString(config, text);
    Path log = home.resolve("log");
    Process process =
        new ProcessBuilder(
                program.toString(),
                "-p",
                home.toString(),
                "-c",
                config.toString(),
                "-e",
                home.resolve("error.log").toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    var nginx =
        new Nginx(process, new InetSocketAddress(InetAddress.getLoopbackAddress(), port), dav);
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
    while (!nginx.listens()) {
      if (!process.isAlive() || System.nanoTime() > end) {
        nginx.close();
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "nginx did not start within "
                + START_SECONDS
                + " s: "
                + Files.readString(log).strip()
                + "; --no-nginx measures without it");
      }
      Thread.sleep(20);
    }
    return nginx;
  }

  private boolean listens() {
    try (var socket = new Socket(address.getAddress(), address.getPort())) {
      return socket.isConnected();
    } catch (IOException notYet) {
      return false;
    }
  }

  /** Where it listens. */
  HttpEnd address() {
    return HttpEnd.plain(address);
  }

  /** Whether it was built with WebDAV's PUT. */
  boolean takesPuts() {
    return takesPuts;
  }

  /** Processor time of its master and workers. */
  double cpuSeconds() throws IOException {
    return ProcessCpu.secondsWithChildren(process.toHandle());
  }

  /** Ends the master, which ends its workers. */
  @Override
  public void close() {
    List<ProcessHandle> workers = process.descendants().toList();
    process.destroy();
    try {
      if (!process.waitFor(5, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        workers.forEach(ProcessHandle::destroyForcibly);
      }
    } catch (InterruptedException stop) {
      process.destroyForcibly();
      workers.forEach(ProcessHandle::destroyForcibly);
      Thread.currentThread().interrupt();
    }
  }
}
