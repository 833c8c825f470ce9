package io.forebay.app.demo;

import io.forebay.app.runtime.Launcher;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** The object store of the demo: a directory, or an emulator as a process of its own. */
final class DemoStore implements AutoCloseable {
  // Azurite's published development account; it protects nothing.
  private static final String ACCOUNT = "devstoreaccount1";
  private static final String KEY =
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

  private final String url;
  private final Map<String, String> environment;
  private final Optional<Process> process;

  private DemoStore(String url, Map<String, String> environment, Optional<Process> process) {
    this.url = url;
    this.environment = environment;
    this.process = process;
  }

  static DemoStore start(String kind, Path root) throws IOException {
    return switch (kind) {
      case "dir" -> new DemoStore("dir:" + root.resolve("store"), Map.of(), Optional.empty());
      case "azurite" -> azurite(root);
      case "s3" -> ministack(root);
      default ->
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT, "--store: '" + kind + "' is not dir, azurite or s3");
    };
  }

  private static DemoStore azurite(Path root) throws IOException {
    Path program = tool("Azurite", "npm", ".tools/node/node_modules/.bin/azurite-blob");
    int port = freePort();
    Process process =
        new ProcessBuilder(
                program.toString(),
                "--blobHost",
                "127.0.0.1",
                "--blobPort",
                Integer.toString(port),
                "--location",
                root.resolve("azurite").toString(),
                "--silent",
                "--skipApiVersionCheck")
            .redirectErrorStream(true)
            .redirectOutput(root.resolve("azurite.log").toFile())
            .start();
    awaitPort("Azurite", port);
    String connection =
        "DefaultEndpointsProtocol=http;AccountName="
            + ACCOUNT
            + ";AccountKey="
            + KEY
            + ";BlobEndpoint=http://127.0.0.1:"
            + port
            + "/"
            + ACCOUNT
            + ";";
    return new DemoStore(
        "azblob://" + ACCOUNT + "/forebay-demo?create=true",
        Map.of("AZURE_STORAGE_CONNECTION_STRING", connection),
        Optional.of(process));
  }

  /** MiniStack, which keeps what is stored in its memory. */
  private static DemoStore ministack(Path root) throws IOException {
    tool("MiniStack", "PyPI", ".venv/bin/ministack");
    int port = freePort();
    Map<String, String> credentials =
        Map.of(
            "AWS_ACCESS_KEY_ID", "AKIAFOREBAYDEMO00000", "AWS_SECRET_ACCESS_KEY", "forebay-demo");
    // In one process, which is what is killed in the end.
    var builder =
        new ProcessBuilder(
                Launcher.root().resolve(".venv/bin/python").toString(),
                "-m",
                "hypercorn",
                "ministack.app:app",
                "--workers",
                "0",
                "--bind",
                "127.0.0.1:" + port)
            .directory(root.toFile())
            .redirectErrorStream(true)
            .redirectOutput(root.resolve("ministack.log").toFile());
    builder.environment().putAll(credentials);
    builder.environment().putAll(Map.of("SERVICES", "s3", "LOG_LEVEL", "WARNING", "AUTH", "true"));
    Process process = builder.start();
    awaitPort("MiniStack", port);
    return new DemoStore(
        "s3://forebay-demo?endpoint=http://127.0.0.1:" + port + "&create=true",
        credentials,
        Optional.of(process));
  }

  /** A program that scripts/test-tools.sh brings, and fetches now when it is not there. */
  private static Path tool(String name, String from, String path) throws IOException {
    Path home = Launcher.root();
    Path program = home.resolve(path);
    if (!Files.exists(program)) {
      System.out.println(name + " is fetched from " + from + " (once)...");
      try {
        int code =
            new ProcessBuilder(home.resolve("scripts/test-tools.sh").toString())
                .inheritIO()
                .start()
                .waitFor();
        if (code != 0) {
          throw new ForebayException(
              ErrorCode.CONFIGURATION,
              "scripts/test-tools.sh did not install " + name + "; it says why above");
        }
      } catch (InterruptedException stop) {
        Thread.currentThread().interrupt();
        throw new ForebayException(ErrorCode.CANCELLED, "interrupted");
      }
    }
    return program;
  }

  private static int freePort() throws IOException {
    try (ServerSocket free = new ServerSocket(0)) {
      return free.getLocalPort();
    }
  }

  private static void awaitPort(String name, int port) {
    Servers.await(
        name + " at port " + port,
        30,
        () -> {
          try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 200);
            return true;
          } catch (IOException notYet) {
            return false;
          }
        });
  }

  /** For bucket policies. */
  String url() {
    return url;
  }

  /** For the servers' processes: credentials. */
  Map<String, String> environment() {
    return environment;
  }

  @Override
  public void close() {
    process.ifPresent(Process::destroyForcibly);
  }
}
