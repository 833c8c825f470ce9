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

/** The object store of the demo: a directory, or Azurite as a process of its own. */
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
      default ->
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT, "--store: '" + kind + "' is neither dir nor azurite");
    };
  }

  private static DemoStore azurite(Path root) throws IOException {
    Path home = Launcher.root();
    Path program = home.resolve(".tools/node/node_modules/.bin/azurite-blob");
    if (!Files.exists(program)) {
      System.out.println("Azurite is fetched from npm (once)...");
      try {
        int code =
            new ProcessBuilder(home.resolve("scripts/test-tools.sh").toString())
                .inheritIO()
                .start()
                .waitFor();
        if (code != 0) {
          throw new ForebayException(
              ErrorCode.CONFIGURATION,
              "scripts/test-tools.sh did not install Azurite; it says why above");
        }
      } catch (InterruptedException stop) {
        Thread.currentThread().interrupt();
        throw new ForebayException(ErrorCode.CANCELLED, "interrupted");
      }
    }
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
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
    Servers.await(
        "Azurite at port " + port,
        30,
        () -> {
          try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 200);
            return true;
          } catch (IOException notYet) {
            return false;
          }
        });
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
