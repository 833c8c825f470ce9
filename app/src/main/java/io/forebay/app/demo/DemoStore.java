package io.forebay.app.demo;

import io.forebay.app.runtime.Launcher;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * The object store of a demonstration: a directory, or an emulator as a process of its own. It can
 * be away for a while, with all that it has. Used by one thread.
 */
public final class DemoStore implements AutoCloseable {
  // Azurite's published development account; it protects nothing.
  private static final String ACCOUNT = "devstoreaccount1";
  private static final String KEY =
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
  private static final long START_SECONDS = 60;

  private final String url;
  private final Map<String, String> environment;
  private final Body body;

  /** What is away when the store is. */
  private interface Body extends AutoCloseable {
    void takeAway() throws IOException;

    void bringBack() throws IOException;

    @Override
    void close();
  }

  private DemoStore(String url, Map<String, String> environment, Body body) {
    this.url = url;
    this.environment = environment;
    this.body = body;
  }

  /**
   * Starts a store.
   *
   * @param kind dir, azurite or s3
   * @param root where it keeps what it has, and its log
   * @param host IPv4 address of this machine under which the servers reach an emulator
   */
  public static DemoStore start(String kind, Path root, String host) throws IOException {
    return switch (kind) {
      case "dir" -> directory(root);
      case "azurite" -> azurite(root, host);
      case "s3" -> ministack(root, host);
      default ->
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT, "--store: '" + kind + "' is not dir, azurite or s3");
    };
  }

  private static DemoStore directory(Path root) throws IOException {
    // Away is the link's target, as a file system is that is not mounted: nobody makes it anew.
    Path link = root.resolve("store");
    Path target = root.resolve("store-files");
    Files.createDirectories(target);
    Files.createSymbolicLink(link, target);
    return new DemoStore("dir:" + link, Map.of(), new Directory(target));
  }

  private record Directory(Path place) implements Body {
    private Path away() {
      return place.resolveSibling(place.getFileName() + "-away");
    }

    @Override
    public void takeAway() throws IOException {
      Files.move(place, away());
    }

    @Override
    public void bringBack() throws IOException {
      Files.move(away(), place);
    }

    @Override
    public void close() {}
  }

  private static DemoStore azurite(Path root, String host) throws IOException {
    Path program = Launcher.tool("Azurite", "npm", ".tools/node/node_modules/.bin/azurite-blob");
    int port = Servers.freePort();
    var builder =
        new ProcessBuilder(
                program.toString(),
                "--blobHost",
                host,
                "--blobPort",
                Integer.toString(port),
                "--location",
                root.resolve("azurite").toString(),
                "--silent",
                "--skipApiVersionCheck")
            .redirectErrorStream(true)
            .redirectOutput(root.resolve("azurite.log").toFile());
    String connection =
        "DefaultEndpointsProtocol=http;AccountName="
            + ACCOUNT
            + ";AccountKey="
            + KEY
            + ";BlobEndpoint=http://"
            + host
            + ":"
            + port
            + "/"
            + ACCOUNT
            + ";";
    return new DemoStore(
        "azblob://" + ACCOUNT + "/forebay-demo?create=true",
        Map.of("AZURE_STORAGE_CONNECTION_STRING", connection),
        new Emulator("Azurite", new InetSocketAddress(host, port), builder));
  }

  /** MiniStack, which keeps what is stored in its memory. */
  private static DemoStore ministack(Path root, String host) throws IOException {
    Launcher.tool("MiniStack", "PyPI", ".venv/bin/ministack");
    int port = Servers.freePort();
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
                host + ":" + port)
            .directory(root.toFile())
            .redirectErrorStream(true)
            .redirectOutput(root.resolve("ministack.log").toFile());
    builder.environment().putAll(credentials);
    builder.environment().putAll(Map.of("SERVICES", "s3", "LOG_LEVEL", "WARNING", "AUTH", "true"));
    return new DemoStore(
        "s3://forebay-demo?endpoint=http://" + host + ":" + port + "&create=true",
        credentials,
        new Emulator("MiniStack", new InetSocketAddress(host, port), builder));
  }

  /** A process that listens. */
  private static final class Emulator implements Body {
    private final String name;
    private final InetSocketAddress address;
    private final Process process;

    Emulator(String name, InetSocketAddress address, ProcessBuilder command) throws IOException {
      this.name = name;
      this.address = address;
      this.process = command.start();
      try {
        awaitAnswer();
      } catch (RuntimeException failure) {
        close();
        throw failure;
      }
    }

    private void awaitAnswer() {
      Servers.await(
          name + " at port " + address.getPort(),
          START_SECONDS,
          () -> {
            try (Socket socket = new Socket()) {
              socket.connect(address, 200);
              return true;
            } catch (IOException notYet) {
              return false;
            }
          });
    }

    /** By SIGSTOP: what it was asked before may still be done later, as by a store that hangs. */
    @Override
    public void takeAway() throws IOException {
      Servers.signal(process, "STOP");
    }

    @Override
    public void bringBack() throws IOException {
      Servers.signal(process, "CONT");
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }

  /** For bucket policies. */
  public String url() {
    return url;
  }

  /** For the servers' processes: credentials. */
  public Map<String, String> environment() {
    return environment;
  }

  /** Opens it past all nodes. */
  public StoreContents contents() {
    return new StoreContents(url, environment);
  }

  /** From now on nobody gets anything of it; it keeps what it has. */
  public void takeAway() throws IOException {
    body.takeAway();
  }

  /** Ends {@link #takeAway}. */
  public void bringBack() throws IOException {
    body.bringBack();
  }

  @Override
  public void close() {
    body.close();
  }
}
