package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.command.Transfers;
import io.forebay.app.demo.Content;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;

/** Three voters in processes of their own, on loopback, and nodes that join them. */
final class TestCluster implements AutoCloseable {
  /** The voters, which are there from the start. */
  static final int NODES = 3;

  private static final String SECRET = "secret-of-the-e2e-tests";
  private static final String USUAL_DISK = "capacity: 3GiB\nsegment: 64MiB\n";

  private final Path directory;
  private final String settings;
  private final String javaOptions;
  private final List<ServerProcess> servers = new ArrayList<>();
  private final List<String> addresses = new ArrayList<>();
  private final List<String> s3 = new ArrayList<>();

  /** Three nodes on loopback, started and ready. */
  TestCluster(Path directory) throws IOException, InterruptedException {
    this(directory, "");
  }

  /**
   * Starts three nodes on loopback and waits until each holds its lease.
   *
   * @param settings lines more of each configuration
   */
  TestCluster(Path directory, String settings) throws IOException, InterruptedException {
    this(directory, settings, ServerProcess.USUAL_MEMORY);
  }

  /**
   * The same.
   *
   * @param javaOptions of the first start of each
   */
  TestCluster(Path directory, String settings, String javaOptions)
      throws IOException, InterruptedException {
    this(directory, USUAL_DISK, settings, javaOptions);
  }

  /**
   * The same.
   *
   * @param disk the lines of each configuration that say how large its disk is
   */
  TestCluster(Path directory, String disk, String settings, String javaOptions)
      throws IOException, InterruptedException {
    this.directory = directory;
    this.javaOptions = javaOptions;
    var voters = new StringBuilder("voters:\n");
    for (int i = 0; i < NODES; i++) {
      addresses.add(address());
      voters
          .append("  n%d: {address: \"%s\", ".formatted(i, addresses.get(i)))
          .append("consensus: \"%s\"}\n".formatted(address()));
    }
    this.settings = disk + settings + voters;
    try {
      for (int i = 0; i < NODES; i++) {
        start(i);
      }
      servers.forEach(ServerProcess::awaitBanner);
      awaitAllUp();
    } catch (IOException | InterruptedException | RuntimeException | Error failure) {
      close();
      throw failure;
    }
  }

  private static String address() throws IOException {
    return "127.0.0.1:" + ServerProcess.freePort();
  }

  /** Configures the next node, of which the address is known, and starts it. */
  private void start(int node) throws IOException, InterruptedException {
    s3.add(address());
    Files.createDirectories(home(node));
    Files.writeString(
        config(node),
        """
        node: n%d
        listen: "%s"
        secret: %s
        data: "%s"
        meta: "%s"
        s3: {listen: "%s", accessKeyId: key, secretAccessKey: secret-of-the-s3-door}
        memory: 256MiB
        grace: 20s
        %s\
        """
            .formatted(
                node,
                addresses.get(node),
                SECRET,
                disk(node),
                home(node).resolve("meta"),
                s3.get(node),
                settings));
    var server =
        new ServerProcess(
            "n" + node,
            home(node).resolve("log"),
            List.of(),
            List.of("serve", "--config", config(node).toString()));
    server.javaOptions(javaOptions);
    servers.add(server);
    server.start();
  }

  /** Starts one node more, which is no voter, and waits until all know it; its number. */
  int join() throws IOException, InterruptedException {
    int node = servers.size();
    addresses.add(address());
    start(node);
    servers.get(node).awaitBanner();
    awaitAllUp();
    return node;
  }

  private void awaitAllUp() {
    for (int i = 0; i < servers.size(); i++) {
      await("n" + i + " sees all nodes", i, 60, this::allUp);
    }
  }

  /** A node's configuration, with which commands find it. */
  Path config(int node) {
    return home(node).resolve("forebay.yaml");
  }

  /** What an S3 client needs to speak to a node's door. */
  Map<String, String> s3Environment(int node) {
    return Map.of(
        "FOREBAY_S3_ENDPOINT",
        "http://" + s3.get(node),
        "AWS_ACCESS_KEY_ID",
        "key",
        "AWS_SECRET_ACCESS_KEY",
        "secret-of-the-s3-door",
        "AWS_EC2_METADATA_DISABLED",
        "true");
  }

  private Path home(int node) {
    return directory.resolve("n" + node);
  }

  private Path disk(int node) {
    return home(node).resolve("disk0");
  }

  ServerProcess server(int node) {
    return servers.get(node);
  }

  /** A new connection to a node; the caller closes it. */
  Connection connect(int node) {
    return Connection.open(addresses.get(node), SECRET);
  }

  /** Makes a bucket that is in no store, and waits until its groups are there. */
  void createBucket(String name, Family family, int chunkBytes) {
    try (Connection connection = connect(0)) {
      connection
          .files()
          .createBucket(
              new BucketSpec(
                  name, family, "", FlushMode.CACHE_ONLY, List.of(), chunkBytes, 0, 1_000));
    }
    awaitWhole("the groups of " + name + " were made");
  }

  /** Writes through a node what a seed determines; its SHA-256 in hex. */
  String put(int node, String bucket, String key, long seed, int lengthBytes) {
    var content = new Content(seed, lengthBytes);
    var options =
        new WriteOptions(
            ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.of(lengthBytes), false);
    try (Connection connection = connect(node)) {
      Transfers.put(
          connection.files(), connection.pool(), bucket, key, content, options, bytes -> {});
    }
    return content.sha256Hex();
  }

  /** The SHA-256, in hex, of what is read through a node. */
  String get(int node, String bucket, String key) {
    var sink = new DigestOutputStream(OutputStream.nullOutputStream(), Content.sha256());
    try (Connection connection = connect(node)) {
      Transfers.get(connection.files(), bucket, key, sink, bytes -> {});
    }
    return HexFormat.of().formatHex(sink.getMessageDigest().digest());
  }

  /**
   * All of it is read through a node, each with its SHA-256; where a leader has just died not
   * everything is at once.
   */
  void expectExactly(int node, String bucket, SortedMap<String, String> all) {
    all.forEach((key, digest) ->
        ServerProcess.await(
            key + " is read through n" + node,
            60,
            () -> {
              try {
                assertThat(get(node, bucket, key)).as(key).isEqualTo(digest);
                return true;
              } catch (ForebayException unreachable) {
                return false;
              }
            }));
  }

  /**
   * What a node says of itself and of the cluster.
   *
   * @throws ForebayException when it cannot answer
   */
  JsonNode report(int node) {
    try (Connection connection = connect(node)) {
      return Json.parse(connection.files().report());
    }
  }

  /** Starts a killed node and waits until it takes writes. */
  void restart(int node) throws IOException, InterruptedException {
    servers.get(node).start();
    servers.get(node).awaitBanner();
  }

  /** Waits until what a node reports satisfies a condition; a node that cannot answer does not. */
  void await(String what, int node, int seconds, Predicate<JsonNode> condition) {
    var last = new String[] {"no report"};
    try {
      ServerProcess.await(
          what,
          seconds,
          () -> {
            servers.forEach(ServerProcess::requireNoEndOfItsOwn);
            try {
              JsonNode report = report(node);
              last[0] = report.toString();
              return condition.test(report);
            } catch (ForebayException failure) {
              last[0] = failure.toString();
              return false;
            }
          });
    } catch (AssertionError failure) {
      throw new AssertionError(failure.getMessage() + "; n" + node + " says: " + last[0], failure);
    }
  }

  /**
   * Waits until every node holds its lease and sees every group (there must be some) at full
   * strength.
   */
  void awaitWhole(String what) {
    for (int i = 0; i < servers.size(); i++) {
      await(
          what + ": n" + i + " is ready and sees all groups in sync",
          i,
          90,
          report ->
              report.path("ready").asBoolean(false)
                  && allUp(report)
                  && report.path("groups").path("total").asInt(0) > 0
                  && report.path("groups").path("full").asInt(-1)
                      == report.path("groups").path("total").asInt(0));
    }
  }

  private boolean allUp(JsonNode report) {
    return report.path("nodes").size() == servers.size()
        && report
            .path("nodes")
            .valueStream()
            .allMatch(node -> node.path("state").asString("").equals("UP"));
  }

  @Override
  public void close() {
    servers.forEach(ServerProcess::close);
  }
}
