package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The S3 door's calls on a node as a user starts it, seen by boto3 (scripts/test-tools.sh brings
 * it): what they do, what they keep through kill -9, and what a restricted key pair may not do.
 */
@Tag("e2e")
final class S3CallsServeTest {
  @TempDir private Path temp;
  private Path config;
  private ServerProcess server;
  private String endpoint;

  @BeforeEach
  void start() throws IOException, InterruptedException {
    String address = "127.0.0.1:" + ServerProcess.freePort();
    endpoint = "http://" + address;
    config = temp.resolve("forebay.yaml");
    Files.writeString(
        config,
        """
        node: a
        secret: secret-of-the-s3-calls-test
        voters: {a: {address: "127.0.0.1:%d", consensus: "127.0.0.1:%d"}}
        data: "%s"
        meta: "%s"
        store: "dir:%s"
        s3:
          listen: "%s"
          accessKeyId: all
          secretAccessKey: secret-of-all
          keys:
            - {accessKeyId: some, secretAccessKey: secret-of-some, grants: {calls: read, 'own-*': write}}
          cors:
            - {origins: 'https://page.example', methods: [GET, POST], expose: ETag, maxAge: 5m}
        """
            .formatted(
                ServerProcess.freePort(),
                ServerProcess.freePort(),
                temp.resolve("disk"),
                temp.resolve("meta"),
                temp.resolve("store"),
                address));
    server =
        new ServerProcess(
            "a",
            temp.resolve("log"),
            List.of("env"),
            List.of("serve", "--config", config.toString()));
    server.start();
    server.awaitBanner();
  }

  @AfterEach
  void close() {
    server.close();
  }

  @Test
  void boto3SeesEveryCallAndWhatItKeepsOutlivesKillMinus9() throws Exception {
    script("put");
    server.kill();
    server.start();
    server.awaitBanner();
    script("check");
  }

  @Test
  void boto3ListsACheckpointOnceItsMarkerIsThere() throws Exception {
    script("train");
    CommandRun.of(
            temp,
            List.of(),
            List.of(
                "policy",
                "set",
                "checkpoints/run",
                "--marker",
                "_DONE",
                "--keep-last",
                "30",
                "--config",
                config.toString()))
        .expectSuccess();
    script("trained");
  }

  private void script(String step) throws IOException, InterruptedException {
    Path output = temp.resolve("output");
    var builder =
        new ProcessBuilder(
                ServerProcess.ROOT.resolve(".venv/bin/python").toString(),
                ServerProcess.ROOT.resolve("app/src/test/python/s3_calls_test.py").toString(),
                step)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile());
    builder.environment().put("FOREBAY_S3_ENDPOINT", endpoint);
    builder.environment().put("AWS_EC2_METADATA_DISABLED", "true");
    builder.environment().put("AWS_CONFIG_FILE", temp.resolve("none").toString());
    builder.environment().put("AWS_SHARED_CREDENTIALS_FILE", temp.resolve("none").toString());
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    Process process = builder.start();
    try {
      assertThat(process.waitFor()).as(Files.readString(output)).isZero();
    } finally {
      process.destroyForcibly();
    }
  }
}
