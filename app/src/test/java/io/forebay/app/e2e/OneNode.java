package io.forebay.app.e2e;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** A cluster of one node in a process of its own; its S3 door takes unsigned requests. */
final class OneNode implements AutoCloseable {
  static final String SECRET = "secret-of-one-node-in-a-test";

  private final Path directory;
  private final Path config;
  private final String address;
  private final String s3;
  private final String admin;
  private final ServerProcess server;
  private final HttpClient client =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

  /**
   * Writes the configuration; starts nothing.
   *
   * @param environment {@code NAME=VALUE} each
   * @param settings lines of the configuration beside what every node needs
   */
  OneNode(Path directory, List<String> environment, String... settings) throws IOException {
    this.directory = directory;
    this.config = directory.resolve("forebay.yaml");
    this.address = "127.0.0.1:" + ServerProcess.freePort();
    this.s3 = "127.0.0.1:" + ServerProcess.freePort();
    this.admin = "127.0.0.1:" + ServerProcess.freePort();
    Files.createDirectories(directory);
    Files.writeString(
        config,
        """
        node: a
        secret: %s
        voters: {a: {address: "%s", consensus: "127.0.0.1:%d"}}
        meta: "%s"
        s3: {listen: "%s", anonymous: true}
        admin: {listen: "%s"}
        %s
        """
            .formatted(
                SECRET,
                address,
                ServerProcess.freePort(),
                directory.resolve("meta"),
                s3,
                admin,
                String.join("\n", settings)));
    var prefix = new ArrayList<>(List.of("env"));
    prefix.addAll(environment);
    this.server =
        new ServerProcess(
            "a", directory.resolve("log"), prefix, List.of("serve", "--config", config.toString()));
  }

  Path config() {
    return config;
  }

  String s3() {
    return s3;
  }

  String address() {
    return address;
  }

  ServerProcess server() {
    return server;
  }

  OneNode start() throws IOException, InterruptedException {
    server.start();
    server.awaitBanner();
    return this;
  }

  /** Runs a command against the node. */
  CommandRun command(String... words) throws IOException, InterruptedException {
    var all = new ArrayList<>(List.of(words));
    all.addAll(List.of("--config", config.toString()));
    return CommandRun.of(directory, List.of(), all);
  }

  Connection connect() {
    return Connection.open(address, SECRET);
  }

  JsonNode report() {
    try (Connection connection = connect()) {
      return Json.parse(connection.files().report());
    }
  }

  HttpResponse<byte[]> put(String path, byte[] body) throws IOException, InterruptedException {
    return send(s3, "PUT", path, BodyPublishers.ofByteArray(body));
  }

  HttpResponse<byte[]> get(String path) throws IOException, InterruptedException {
    return send(s3, "GET", path, BodyPublishers.noBody());
  }

  HttpResponse<byte[]> delete(String path) throws IOException, InterruptedException {
    return send(s3, "DELETE", path, BodyPublishers.noBody());
  }

  HttpResponse<byte[]> admin(String path) throws IOException, InterruptedException {
    return send(admin, "GET", path, BodyPublishers.noBody());
  }

  private HttpResponse<byte[]> send(String to, String method, String path, BodyPublisher body)
      throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://" + to + path))
            .method(method, body)
            .timeout(Duration.ofMinutes(2))
            .build();
    return client.send(request, BodyHandlers.ofByteArray());
  }

  @Override
  public void close() {
    client.close();
    server.close();
  }
}
