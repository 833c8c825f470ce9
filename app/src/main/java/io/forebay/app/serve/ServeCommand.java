package io.forebay.app.serve;

import io.forebay.app.command.Json;
import io.forebay.app.config.ConfigReader;
import io.forebay.app.config.ServerConfig;
import io.forebay.app.server.Server;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/** {@code serve}. */
@Command(
    name = "serve",
    description = {
      "Runs a node.",
      "Without arguments: one node, everything under ./forebay-data, S3 on loopback; prints the endpoint and the"
          + " keys. With --config FILE: one node of a cluster."
    },
    mixinStandardHelpOptions = true)
public final class ServeCommand implements Callable<Integer> {
  private static final HexFormat HEX = HexFormat.of();

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description = "Everything of a single node (default: ${DEFAULT-VALUE}).")
  private Path data = Path.of("forebay-data");

  @Option(
      names = "--s3",
      paramLabel = "HOST:PORT",
      description = "The S3 door (default: ${DEFAULT-VALUE}; port 0: any free one).")
  private String s3 = "127.0.0.1:9000";

  @Option(
      names = "--store",
      paramLabel = "URL",
      description =
          "Default store of new buckets: dir:PATH or azblob://ACCOUNT/CONTAINER (default: dir:DIR/store).")
  private @Nullable String store;

  @Option(
      names = "--anonymous",
      description = "Serve requests without a signature (loopback only).")
  private boolean anonymous;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "Configuration of a node of a cluster; the settings are listed in docs/configuration.md.")
  private @Nullable Path config;

  @Option(
      names = "--accept-empty-volume",
      description =
          "Once, after a disk was replaced: take a data directory that had a volume and is empty now for a new disk."
              + " Without it the start is refused, for the disk may only be not mounted.")
  private boolean acceptEmptyVolume;

  @Override
  public Integer call() throws IOException, InterruptedException {
    ServerConfig settings = config != null ? ConfigReader.read(config) : single();
    var stopped = new CountDownLatch(1);
    try (Server server = new Server(settings, acceptEmptyVolume)) {
      Runtime.getRuntime().addShutdownHook(new Thread(stopped::countDown, "forebay-stop"));
      server.join();
      writeEndpoint(settings, server);
      System.out.println(server.banner());
      System.out.flush();
      stopped.await();
    }
    return 0;
  }

  /**
   * One node that is its own cluster; what it draws at the first start is kept in its directory.
   */
  private ServerConfig single() throws IOException {
    try {
      Files.createDirectories(data);
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          data
              + " cannot be made ("
              + failure
              + "); say --data DIR with a directory that you may write",
          failure);
    }
    Path file = data.resolve("node.json");
    JsonNode kept;
    if (Files.exists(file)) {
      kept = Json.parse(Files.readString(file));
    } else {
      var random = new SecureRandom();
      var drawn = new TreeMap<String, String>();
      drawn.put("secret", hex(random, 16));
      drawn.put("accessKeyId", "FB" + hex(random, 9).toUpperCase(Locale.ROOT));
      drawn.put("secretAccessKey", hex(random, 20));
      drawn.put("consensus", "127.0.0.1:" + freePort());
      drawn.put("address", "127.0.0.1:" + freePort());
      writePrivate(file, Json.of(drawn));
      kept = Json.parse(Files.readString(file));
    }
    String address = kept.path("address").asString("");
    String consensus = kept.path("consensus").asString("");
    var voters = new TreeMap<String, ServerConfig.Voter>();
    voters.put("node", new ServerConfig.Voter(address, consensus));
    return new ServerConfig(
        new NodeId("node"),
        "node",
        kept.path("secret").asString(""),
        address,
        voters,
        List.of(data.resolve("disk0")),
        data.resolve("meta"),
        Optional.of(s3),
        Optional.empty(),
        anonymous,
        Optional.empty(),
        Optional.of(
            new ServerConfig.AccessKeyPair(
                kept.path("accessKeyId").asString(""), kept.path("secretAccessKey").asString(""))),
        Optional.of(
            Optional.ofNullable(store)
                .orElse("dir:" + data.resolve("store").toAbsolutePath().normalize())),
        0,
        256L << 20,
        256L << 20,
        1,
        120_000,
        5_000);
  }

  private static String hex(SecureRandom random, int bytes) {
    byte[] drawn = new byte[bytes];
    random.nextBytes(drawn);
    return HEX.formatHex(drawn);
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  /**
   * Where commands on this machine find the node: readable by its owner only, for it holds the
   * secret.
   */
  private void writeEndpoint(ServerConfig settings, Server server) throws IOException {
    Path directory =
        config == null
            ? data
            : Optional.ofNullable(settings.meta().toAbsolutePath().getParent()).orElse(data);
    writePrivate(
        directory.resolve("endpoint.json"),
        Json.of(new TreeMap<>(Map.of("address", server.address(), "secret", settings.secret()))));
  }

  private static void writePrivate(Path file, String text) throws IOException {
    Path part = file.resolveSibling(file.getFileName() + ".part");
    Files.deleteIfExists(part);
    Files.createFile(
        part, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.writeString(part, text);
    Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
