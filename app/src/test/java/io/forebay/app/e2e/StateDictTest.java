package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FileService;
import io.forebay.core.file.WriteOptions;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * A training engineer's checkpoint: a state dict of a small transformer, sharded over safetensors
 * files, saved with boto3 to a cluster of which a node dies in the middle, loaded through another
 * node and compared tensor by tensor. scripts/torch-check.sh does the same with torch.save.
 */
@Tag("e2e")
final class StateDictTest {
  @TempDir private Path temp;
  private final List<Process> scripts = new ArrayList<>();

  @AfterEach
  void close() {
    scripts.forEach(Process::destroyForcibly);
  }

  @Test
  void aStateDictSurvivesTheDeathOfANodeInTheMiddleOfItsSaving() throws Exception {
    try (var cluster = new TestCluster(temp)) {
      Path progress = temp.resolve("progress");
      Files.writeString(progress, "");
      Process save = script(cluster, 0, "save", progress.toString());
      ServerProcess.await(
          "two shards are saved",
          120,
          () -> {
            assertThat(save.isAlive()).as(output("save")).isTrue();
            return lines(progress) >= 2;
          });
      cluster.server(1).kill();
      expectSuccess(save, "save");
      assertThat(lines(progress)).isEqualTo(8);
      String loaded = expectSuccess(script(cluster, 2, "load"), "load");
      assertThat(loaded).contains("loaded 8 shards", "all tensors are equal");
      cluster.restart(1);
      cluster.awaitWhole("the killed node is back");
      expectSuccess(script(cluster, 1, "load"), "load");
      isFlushedByAllWhoHoldIt(cluster);
    }
  }

  /** One object, taken up by one node, goes to the store from every node that has its bytes. */
  private void isFlushedByAllWhoHoldIt(TestCluster cluster) throws IOException {
    int length = 160 << 20; // ten parts, so that hardly ever all of them are the flusher's own
    try (Connection connection = cluster.connect(0)) {
      FileService files = connection.files();
      files.createBucket(
          new BucketSpec(
              "flushed",
              new Family(3, 2, Durability.REPLICATED),
              "dir:" + temp.resolve("store"),
              FlushMode.BACK,
              List.of(),
              BucketSpec.DEFAULT_CHUNK_BYTES,
              0,
              BucketSpec.DEFAULT_READ_GRACE_MILLIS));
      try (var body = files.create("flushed", "shard", WriteOptions.DEFAULT)) {
        for (int at = 0; at < length; at += 1 << 20) {
          body.write(new Synthetic(7, at, 1 << 20));
        }
        body.publish(Optional.empty());
      }
      assertThat(files.flush("flushed", "", 60_000_000_000L).complete()).isTrue();
    }
    long parts = 0;
    for (int node = 0; node < TestCluster.NODES; node++) {
      try (Connection connection = cluster.connect(node)) {
        JsonNode flush = Json.parse(connection.files().report()).path("flush");
        parts += flush.path("partsStagedForOthers").asLong();
      }
    }
    assertThat(parts).as("parts that a node staged for another").isPositive();
    ByteBuffer written = ByteBuffer.allocate(length);
    new Synthetic(7, 0, length).copyTo(written);
    byte[] stored = Files.readAllBytes(temp.resolve("store/flushed.d/shard"));
    assertThat(Arrays.mismatch(stored, 0, length, written.array(), 0, length)).isEqualTo(-1);
  }

  private static int lines(Path file) {
    try {
      return Files.readAllLines(file).size();
    } catch (IOException failure) {
      throw new AssertionError(failure);
    }
  }

  private Process script(TestCluster cluster, int node, String... words) throws IOException {
    var command = new ArrayList<String>();
    // scripts/torch-check.sh: where boto3 lies for the system's Python, which has torch.
    Optional<String> torch = Optional.ofNullable(System.getProperty("forebay.torch.modules"));
    command.add(
        torch
            .map(modules -> "/usr/bin/python3")
            .orElseGet(() -> ServerProcess.ROOT.resolve(".venv/bin/python").toString()));
    command.add(ServerProcess.ROOT.resolve("app/src/test/python/state_dict_test.py").toString());
    command.addAll(List.of(words));
    torch.ifPresent(modules -> command.add("--torch"));
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(temp.resolve("output-" + words[0]).toFile());
    builder.environment().putAll(cluster.s3Environment(node));
    torch.ifPresent(modules -> builder.environment().put("PYTHONPATH", modules));
    builder.environment().put("AWS_CONFIG_FILE", temp.resolve("none").toString());
    builder.environment().put("AWS_SHARED_CREDENTIALS_FILE", temp.resolve("none").toString());
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    Process process = builder.start();
    scripts.add(process);
    return process;
  }

  private String expectSuccess(Process process, String name) throws InterruptedException {
    assertThat(process.waitFor(180, TimeUnit.SECONDS)).as(output(name)).isTrue();
    assertThat(process.exitValue()).as(output(name)).isZero();
    return output(name);
  }

  private String output(String name) {
    try {
      return Files.readString(temp.resolve("output-" + name));
    } catch (IOException failure) {
      throw new AssertionError(failure);
    }
  }
}
