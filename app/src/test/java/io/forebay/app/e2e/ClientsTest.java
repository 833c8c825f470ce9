package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.forebay.app.command.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * Others' clients work unchanged, over HTTP and over HTTPS with the certificate that {@code serve}
 * made: today's SDKs send their bodies in another form over TLS. Each checks bytes, ETags, lists
 * and refusals, and removes what it made (app/src/test/python/clients_test.py, app/src/test/go,
 * {@link AwsSdkForJava}).
 */
@Tag("e2e")
final class ClientsTest {
  private static final int SECONDS = 180;

  @TempDir private static Path temp;
  private static final Map<String, Node> NODES = new TreeMap<>();

  /** A node as a user starts it. */
  private record Node(Path data, String endpoint, ServerProcess server) {

    JsonNode keys() throws IOException {
      return Json.parse(Files.readString(data.resolve("node.json")));
    }

    Path certificate() {
      return data.resolve("s3-certificate.pem");
    }

    void requireNothingWrong() {
      server.requireNoEndOfItsOwn();
      assertThat(server.log()).doesNotContain(" ERROR ", "this is a bug");
    }
  }

  @BeforeAll
  static void start() throws IOException, InterruptedException {
    for (String scheme : List.of("http", "https")) {
      Path data = temp.resolve(scheme);
      String address = "127.0.0.1:" + ServerProcess.freePort();
      String s3 = scheme.equals("https") ? "https://" + address : address;
      var server =
          new ServerProcess(
              scheme,
              temp.resolve(scheme + ".log"),
              List.of(),
              List.of("serve", "--data", data.toString(), "--s3", s3, "--segment", "64MiB"));
      NODES.put(scheme, new Node(data, scheme + "://" + address, server));
      server.start();
    }
    NODES.values().forEach(node -> node.server.awaitBanner());
  }

  @AfterAll
  static void close() {
    NODES.values().forEach(node -> node.server.close());
    NODES.clear();
  }

  @ParameterizedTest
  @ValueSource(strings = {"http", "https"})
  void boto3WithItsDefaultSettings(String scheme) throws Exception {
    run(scheme, ".venv", "boto3");
  }

  @Test
  void theAwsCommandLineOverHttps() throws Exception {
    run("https", ".venv", "cli");
  }

  @ParameterizedTest
  @ValueSource(strings = {"http", "https"})
  void theAwsCommonRuntimeInPartsAndRanges(String scheme) throws Exception {
    run(scheme, ".venv", "crt");
  }

  @ParameterizedTest
  @ValueSource(strings = {"http", "https"})
  void s3fsAsAFileSystem(String scheme) throws Exception {
    run(scheme, ".tools/s3fs", "s3fs");
  }

  @ParameterizedTest
  @ValueSource(strings = {"http", "https"})
  void pyarrowReadsColumnsOfParquet(String scheme) throws Exception {
    run(scheme, ".venv", "pyarrow");
  }

  @ParameterizedTest
  @ValueSource(strings = {"http", "https"})
  void theAwsSdkForJavaWithItsDefaultSettings(String scheme) throws Exception {
    Node node = NODES.get(scheme);
    JsonNode keys = node.keys();
    new AwsSdkForJava(
            node.endpoint,
            keys.path("accessKeyId").asString(),
            keys.path("secretAccessKey").asString(),
            scheme.equals("https") ? Optional.of(node.certificate()) : Optional.empty())
        .run();
    node.requireNothingWrong();
  }

  @ParameterizedTest
  @ValueSource(strings = {"http", "https"})
  void theAwsSdkForGoWithItsDefaultSettings(String scheme) throws Exception {
    Path client = ServerProcess.ROOT.resolve(".tools/go/s3-client");
    assumeTrue(Files.isExecutable(client), "scripts/test-tools.sh found no Go, and said so");
    run(scheme, "go", List.of(client.toString()));
  }

  @Test
  void theCertificateIsNamedAtTheStartAndItsKeyIsPrivate() throws Exception {
    Node node = NODES.get("https");
    Path certificate = node.certificate().toAbsolutePath();
    assertThat(node.server.log())
        .contains(
            "S3 endpoint        " + node.endpoint,
            "certificate        " + certificate + " (self-signed)",
            "export AWS_CA_BUNDLE=" + certificate);
    assertThat(
            PosixFilePermissions.toString(
                Files.getPosixFilePermissions(node.data.resolve("s3-key.pem"))))
        .isEqualTo("rw-------");
    try (var left = Files.list(node.data)) {
      assertThat(left.map(path -> path.getFileName().toString()))
          .noneMatch(name -> name.endsWith(".part") || name.endsWith(".p12"));
    }
  }

  private static void run(String scheme, String environment, String client) throws Exception {
    run(
        scheme,
        client,
        List.of(
            ServerProcess.ROOT.resolve(environment).resolve("bin/python").toString(),
            ServerProcess.ROOT.resolve("app/src/test/python/clients_test.py").toString(),
            client));
  }

  private static void run(String scheme, String client, List<String> command) throws Exception {
    Node node = NODES.get(scheme);
    JsonNode keys = node.keys();
    Path output = temp.resolve("output-" + client + "-" + scheme);
    var builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
    Map<String, String> variables = builder.environment();
    variables.keySet().removeIf(name -> name.startsWith("AWS_"));
    variables.put("FOREBAY_S3_ENDPOINT", node.endpoint);
    variables.put("AWS_ACCESS_KEY_ID", keys.path("accessKeyId").asString());
    variables.put("AWS_SECRET_ACCESS_KEY", keys.path("secretAccessKey").asString());
    variables.put("AWS_DEFAULT_REGION", "us-east-1");
    variables.put("AWS_EC2_METADATA_DISABLED", "true");
    variables.put("AWS_CONFIG_FILE", temp.resolve("none").toString());
    variables.put("AWS_SHARED_CREDENTIALS_FILE", temp.resolve("none").toString());
    variables.put("PYTHONDONTWRITEBYTECODE", "1");
    if (scheme.equals("https")) {
      variables.put("AWS_CA_BUNDLE", node.certificate().toString());
    }
    Process process = builder.start();
    try {
      boolean ended = process.waitFor(SECONDS, TimeUnit.SECONDS);
      String said = Files.readString(output);
      assertThat(ended).as("ends within %d s: %s", SECONDS, said).isTrue();
      assertThat(process.exitValue()).as("%s\n%s", said, node.server.log()).isZero();
      assertThat(said).contains(client + " over " + scheme + " is content");
    } finally {
      process.destroyForcibly();
    }
    node.requireNothingWrong();
  }
}
