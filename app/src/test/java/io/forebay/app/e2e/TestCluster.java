package io.forebay.app.e2e;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;

/** Three nodes in processes of their own, on loopback or on hosts of their own. */
final class TestCluster implements AutoCloseable {
  static final int NODES = 3;

  private static final String SECRET = "secret-of-the-e2e-tests";

  private final Path directory;
  private final List<ServerProcess> servers = new ArrayList<>();
  private final List<String> addresses = new ArrayList<>();
  private final List<String> s3 = new ArrayList<>();

  /** Three nodes on loopback, started and ready. */
  TestCluster(Path directory) throws IOException, InterruptedException {
    this(directory, "", ServerProcess.USUAL_MEMORY);
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
   * Starts three nodes on loopback and waits until each holds its lease.
   *
   * @param settings lines more of each configuration
   * @param javaOptions of the first start of each
   */
  TestCluster(Path directory, String settings, String javaOptions)
      throws IOException, InterruptedException {
    this.directory = directory;
    var voters = new StringBuilder("voters:\n");
    for (int i = 0; i < NODES; i++) {
      addresses.add("127.0.0.1:" + ServerProcess.freePort());
      s3.add("127.0.0.1:" + ServerProcess.freePort());
      voters
          .append("  n%d: {address: \"%s\", ".formatted(i, addresses.get(i)))
          .append("consensus: \"127.0.0.1:%d\"}\n".formatted(ServerProcess.freePort()));
    }
    try {
      for (int i = 0; i < NODES; i++) {
        Files.createDirectories(home(i));
        Path config = home(i).resolve("forebay.yaml");
        Files.writeString(
            config,
            """
            node: n%d
            secret: %s
            data: "%s"
            meta: "%s"
            s3: {listen: "%s", accessKeyId: key, secretAccessKey: secret-of-the-s3-door}
            capacity: 3GiB
            segment: 64MiB
            memory: 256MiB
            grace: 20s
            %s%s\
            """
                .formatted(
                    i, SECRET, disk(i), home(i).resolve("meta"), s3.get(i), settings, voters));
        var server =
            new ServerProcess(
                "n" + i,
                home(i).resolve("log"),
                List.of(),
                List.of("serve", "--config", config.toString()));
        server.javaOptions(javaOptions);
        servers.add(server);
        server.start();
      }
      servers.forEach(ServerProcess::awaitBanner);
      for (int i = 0; i < NODES; i++) {
        await("n" + i + " sees all nodes", i, 60, TestCluster::allUp);
      }
    } catch (IOException | InterruptedException | RuntimeException | Error failure) {
      close();
      throw failure;
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
            try (Connection connection = connect(node)) {
              last[0] = connection.files().report();
              return condition.test(Json.parse(last[0]));
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
    for (int i = 0; i < NODES; i++) {
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

  private static boolean allUp(JsonNode report) {
    return report.path("nodes").size() == NODES
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
