package io.forebay.app.serve;

import io.forebay.app.command.Json;
import io.forebay.app.config.Addresses;
import io.forebay.app.config.ConfigReader;
import io.forebay.app.config.S3DoorConfig;
import io.forebay.app.config.ServerConfig;
import io.forebay.app.config.Size;
import io.forebay.app.server.PrivateFile;
import io.forebay.app.server.Server;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.node.replica.CapacitySettings;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/** {@code serve}. */
@Command(
    name = "serve",
    description = {
      "Runs a node.",
      "Without arguments: one node, everything under ./forebay-data, S3 on loopback; prints the endpoint and the"
          + " keys. With --config FILE: one node of a cluster."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExample:%n",
    footer = {
      "  forebay serve --data /mnt/nvme0/forebay --s3 127.0.0.1:9000",
      "  forebay serve --s3 https://127.0.0.1:9000",
      "  forebay serve --s3 https://0.0.0.0:9000 --certificate /etc/forebay/s3.pem --certificate-key /etc/forebay/s3.key",
      "  forebay serve --config /etc/forebay.yaml"
    })
public final class ServeCommand implements Callable<Integer> {
  private static final HexFormat HEX = HexFormat.of();
  private static final int END_SECONDS = 20; // the door waits 5 for what is under way

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description = "Everything of a single node (default: ${DEFAULT-VALUE}).")
  private Path data = Path.of("forebay-data");

  @Option(
      names = "--s3",
      paramLabel = "[https://]HOST:PORT",
      description = {
        "The S3 door (default: ${DEFAULT-VALUE}; port 0: any free one).",
        "With https:// over TLS: by --certificate, else by a self-signed one that is made in DIR and printed."
      })
  private String s3 = "127.0.0.1:9000";

  @Option(
      names = "--certificate",
      paramLabel = "FILE",
      description =
          "For https://: PEM file with the server's certificate, then its issuers' (default: self-signed).")
  private @Nullable Path certificate;

  @Option(
      names = "--certificate-key",
      paramLabel = "FILE",
      description = "PEM file with the certificate's private key: PKCS #8, not encrypted.")
  private @Nullable Path certificateKey;

  @Option(
      names = "--admin",
      paramLabel = "HOST:PORT",
      description = "Metrics and health: /metrics, /healthz, /readyz, /status (default: none).")
  private @Nullable String admin;

  @Option(
      names = "--capacity",
      paramLabel = "SIZE",
      description = "What the cache may hold, such as 100GiB (default: 80 %% of what is free).")
  private @Nullable String capacity;

  @Option(
      names = "--segment",
      paramLabel = "SIZE",
      description =
          "Size of a segment file, a multiple of 4MiB from 32MiB to 1GiB (default:"
              + " ${DEFAULT-VALUE}).")
  private String segment = "256MiB";

  @Option(
      names = "--store",
      paramLabel = "URL",
      description =
          "Default store of new buckets: dir:PATH, azblob://ACCOUNT/CONTAINER or s3://BUCKET (default: dir:DIR/store).")
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
    ServerConfig settings = config != null ? ofFile(config) : single();
    var stopped = new CountDownLatch(1);
    var ended = new CountDownLatch(1);
    try (Server server = new Server(settings, acceptEmptyVolume)) {
      Runtime.getRuntime().addShutdownHook(new Thread(() -> end(stopped, ended), "forebay-stop"));
      server.join();
      writeEndpoint(settings, server);
      System.out.println(server.banner());
      System.out.flush();
      stopped.await();
    } finally {
      ended.countDown();
    }
    return 0;
  }

  /** SIGTERM: the JVM waits until what was under way is answered and everything is closed. */
  private static void end(CountDownLatch stopped, CountDownLatch ended) {
    stopped.countDown();
    try {
      if (!ended.await(END_SECONDS, TimeUnit.SECONDS)) {
        System.err.println("forebay: not everything was closed within " + END_SECONDS + " s");
      }
    } catch (InterruptedException impatient) {
      Thread.currentThread().interrupt();
    }
  }

  /** A file says everything: an option beside it would be passed over without a word. */
  private ServerConfig ofFile(Path file) {
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
      if (!List.of("--config", "--accept-empty-volume").contains(option.longestName())) {
        throw new ParameterException(
            spec.commandLine(),
            option.longestName()
                + " goes without --config; with it, write the setting into "
                + file
                + " (docs/configuration.md lists them)");
      }
    }
    return ConfigReader.read(file);
  }

  /**
   * One node that is its own cluster; what it draws at the first start is kept in its directory.
   */
  private ServerConfig single() throws IOException {
    S3DoorConfig door =
        S3DoorConfig.of(
            new S3DoorConfig.Names("", "--s3", "--certificate", "--certificate-key", "--anonymous"),
            s3,
            Optional.ofNullable(certificate),
            Optional.ofNullable(certificateKey),
            data,
            Optional.empty(),
            anonymous,
            S3DoorConfig.DEFAULT_CONNECTIONS,
            S3DoorConfig.DEFAULT_IDLE_MILLIS);
    if (admin != null) {
      checkAddress("--admin", admin);
    }
    long capacityBytes = capacity == null ? 0 : Size.parse("--capacity", capacity);
    long segmentBytes = ServerConfig.parseSegment("--segment", segment);
    try {
      Files.createDirectories(data);
      if (!Files.isWritable(data)) {
        throw new AccessDeniedException(data.toString());
      }
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
      kept = read(file);
    } else {
      var random = new SecureRandom();
      var drawn = new TreeMap<String, String>();
      drawn.put("secret", hex(random, 16));
      drawn.put("accessKeyId", "FB" + hex(random, 9).toUpperCase(Locale.ROOT));
      drawn.put("secretAccessKey", hex(random, 20));
      drawn.put("consensus", "127.0.0.1:" + freePort());
      drawn.put("address", "127.0.0.1:" + freePort());
      PrivateFile.write(file, Json.of(drawn));
      kept = read(file);
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
        Optional.of(door),
        Optional.ofNullable(admin),
        List.of(
            new ServerConfig.AccessKeyPair(
                kept.path("accessKeyId").asString(""),
                kept.path("secretAccessKey").asString(""),
                List.of())),
        List.of(),
        Optional.of(
            Optional.ofNullable(store)
                .orElse("dir:" + data.resolve("store").toAbsolutePath().normalize())),
        capacityBytes,
        OptionalLong.empty(),
        segmentBytes,
        0,
        OptionalLong.empty(),
        1,
        120_000,
        5_000,
        CapacitySettings.DEFAULT,
        ServerConfig.DEFAULT_SCRUB,
        LeaseSettings.OFF,
        true);
  }

  private static void checkAddress(String option, String address) {
    if (!Addresses.isValid(address)) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          option + ": '" + address + "' is no HOST:PORT, such as 127.0.0.1:9000");
    }
  }

  /** What was drawn at the first start. */
  private static JsonNode read(Path file) throws IOException {
    String text;
    try {
      text = Files.readString(file);
    } catch (AccessDeniedException denied) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          file
              + " cannot be read: no permission; start as the user that owns it, or say --data DIR",
          denied);
    }
    try {
      JsonNode kept = Json.parse(text);
      for (String name :
          List.of("secret", "address", "consensus", "accessKeyId", "secretAccessKey")) {
        if (kept.path(name).asString("").isEmpty()) {
          throw damaged(file, "it has no " + name);
        }
      }
      return kept;
    } catch (JacksonException failure) {
      throw damaged(file, failure.getOriginalMessage());
    }
  }

  private static ForebayException damaged(Path file, String why) {
    return new ForebayException(
        ErrorCode.CORRUPT,
        file
            + " is damaged ("
            + why
            + "): it holds the node's secret, keys and ports; bring it back from a backup, or say"
            + " --data DIR with another directory");
  }

  private static String hex(SecureRandom random, int bytes) {
    byte[] drawn = new byte[bytes];
    random.nextBytes(drawn);
    return HEX.formatHex(drawn);
  }

  private static int freePort() throws IOException {
    try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
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
    PrivateFile.write(
        directory.resolve("endpoint.json"),
        Json.of(new TreeMap<>(Map.of("address", server.address(), "secret", settings.secret()))));
  }
}
