package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * One node as a user starts it ({@code forebay serve}), seen by boto3 (scripts/test-tools.sh brings
 * it) and by the command line.
 */
@Tag("e2e")
final class ServeTest {
  @TempDir private Path temp;
  private ServerProcess server;
  private final List<Process> scripts = new ArrayList<>();
  private String endpoint;

  @BeforeEach
  void start() throws IOException, InterruptedException {
    String address = "127.0.0.1:" + ServerProcess.freePort();
    endpoint = "http://" + address;
    server =
        new ServerProcess(
            "node",
            temp.resolve("log"),
            List.of(),
            List.of("serve", "--data", data(), "--s3", address));
    server.start();
    server.awaitBanner();
  }

  @AfterEach
  void close() {
    scripts.forEach(Process::destroyForcibly);
    server.close();
  }

  @Test
  void boto3PutsGetsListsUploadsInPartsAndUnderConditions() throws Exception {
    script("forms").waitAndExpectSuccess();
  }

  @Test
  void whatWasAcknowledgedBeforeKillMinus9IsThereAfterIt() throws Exception {
    Path log = temp.resolve("acknowledged");
    Files.writeString(log, "");
    for (int puts : List.of(20, 31)) {
      Files.writeString(log, "");
      Run writer = script("write", log.toString());
      ServerProcess.await(
          puts + " PUTs are acknowledged",
          60,
          () -> {
            assertThat(writer.process.isAlive()).as(writer.output()).isTrue();
            server.requireNoEndOfItsOwn();
            return lines(log) >= puts;
          });
      server.kill();
      writer.waitAndExpectSuccess();
      server.start();
      server.awaitBanner();
      String checked = script("check", log.toString()).waitAndExpectSuccess();
      assertThat(checked).contains("checked 12 keys");
    }
  }

  @Test
  void aNodeThatIsEndedAnswersWhatIsUnderWay() throws Exception {
    Run writer = script("slow", "3");
    ServerProcess.await("the PUT is under way", 30, () -> writer.output().contains("half"));
    server.end();
    assertThat(writer.waitAndExpectSuccess()).contains("acknowledged");
    server.start();
    server.awaitBanner();
    script("slow-check").waitAndExpectSuccess();
  }

  @Test
  void theCommandLineMakesABucketAndCopiesBothWays() throws Exception {
    var body = new byte[(5 << 20) + 3];
    new Random(5).nextBytes(body);
    Path file = temp.resolve("file");
    Files.write(file, body);
    command("bucket", "create", "cli", "--json");
    command("cp", "-q", file.toString(), "fb://cli/dir/file");
    Path back = temp.resolve("back");
    command("cp", "-q", "fb://cli/dir/file", back.toString());
    assertThat(Files.mismatch(file, back)).isEqualTo(-1);
    assertThat(command("cat", "fb://cli/dir/file")).hasSize(body.length);
    JsonNode status = Json.parse(command("status", "--json"));
    assertThat(status.path("ready").asBoolean(false)).isTrue();
    assertThat(status.path("nodes").size()).isEqualTo(1);
  }

  @Test
  void whatSomebodyElseWroteInTheStoreIsAConflictUntilSomebodyDecides() throws Exception {
    Path store = temp.resolve("store");
    Files.createDirectories(store);
    Path file = temp.resolve("ours");
    command("bucket", "create", "shared", "--store", "dir:" + store);
    for (String key : List.of("kept", "taken")) {
      Files.writeString(file, "first " + key);
      command("cp", "-q", file.toString(), "fb://shared/" + key);
    }
    assertThat(command("flush", "--wait", "shared"))
        .startsWith("2 objects are in the store, 0 are");
    for (String key : List.of("kept", "taken")) {
      Files.writeString(store.resolve("shared.d").resolve(key), "theirs " + key);
      Files.writeString(file, "second " + key);
      command("cp", "-q", file.toString(), "fb://shared/" + key);
    }
    Process flush = start("flush", "--wait", "shared");
    String report = output(flush);
    assertThat(flush.waitFor()).as(report).isEqualTo(1);
    assertThat(report).contains("kept: CONFLICT: ", "taken: CONFLICT: ", "by someone else");
    assertThat(command("stat", "fb://shared/kept")).contains("flushReason", "by someone else");
    assertThat(command("status", "fb://shared/kept")).contains("not in the store: ");
    assertThat(command("conflict", "list", "shared")).contains("kept", "taken");
    assertThat(command("cat", "fb://shared/taken")).isEqualTo("second taken");
    assertThat(store.resolve("shared.d").resolve("kept")).hasContent("theirs kept");

    command("conflict", "keep", "fb://shared/kept");
    command("conflict", "take", "fb://shared/taken");
    command("flush", "--wait", "shared");
    assertThat(command("cat", "fb://shared/taken")).isEqualTo("theirs taken");
    assertThat(
            Files.readString(
                store.resolve("shared.d").resolve("kept"), StandardCharsets.ISO_8859_1))
        .startsWith("second kept");
    assertThat(command("conflict", "list", "shared")).isEmpty();
  }

  private Process start(String... words) throws IOException, InterruptedException {
    var arguments = new ArrayList<>(List.of(words));
    arguments.addAll(List.of("--data", data()));
    return new ProcessBuilder(ServerProcess.forebay(arguments)).redirectErrorStream(true).start();
  }

  private static String output(Process process) throws IOException {
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
  }

  @Test
  void aDiskThatIsNotMountedIsRefusedUntilSomebodySaysThatItWasReplaced() throws Exception {
    server.kill();
    ServerProcess.wipe(Path.of(data(), "disk0"));
    List<String> arguments = List.of("serve", "--data", data(), "--s3", "127.0.0.1:0");
    Process refused =
        new ProcessBuilder(ServerProcess.forebay(arguments)).redirectErrorStream(true).start();
    String said = new String(refused.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(refused.waitFor()).as(said).isNotZero();
    assertThat(said).contains("disk0", "mount it", "--accept-empty-volume");

    var accepting = new ArrayList<>(arguments);
    accepting.add("--accept-empty-volume");
    server = new ServerProcess("node", temp.resolve("log"), List.of(), accepting);
    server.start();
    server.awaitBanner();
    server.kill();
    server = new ServerProcess("node", temp.resolve("log"), List.of(), arguments);
    server.start();
    server.awaitBanner();
  }

  @Test
  void aControlPlaneThatIsNotMountedIsRefusedAndNothingIsLost() throws Exception {
    Path file = temp.resolve("file");
    Files.writeString(file, "kept");
    command("bucket", "create", "held");
    command("cp", "-q", file.toString(), "fb://held/object");
    server.end();
    Path meta = Path.of(data(), "meta");
    Path aside = temp.resolve("aside");
    Files.move(meta, aside);
    List<String> arguments = List.of("serve", "--data", data(), "--s3", "127.0.0.1:0");
    for (String start : List.of("first", "second")) {
      Process refused =
          new ProcessBuilder(ServerProcess.forebay(arguments)).redirectErrorStream(true).start();
      String said = output(refused);
      assertThat(refused.waitFor()).as("%s: %s", start, said).isNotZero();
      assertThat(said)
          .contains("CONFIGURATION", Path.of(data(), "disk0").toString(), meta.toString());
    }
    ServerProcess.wipe(meta);
    Files.move(aside, meta);
    server = new ServerProcess("node", temp.resolve("log"), List.of(), arguments);
    server.start();
    server.awaitBanner();
    assertThat(command("cat", "fb://held/object")).isEqualTo("kept");
  }

  private String data() {
    return temp.resolve("data").toString();
  }

  private static int lines(Path file) {
    try {
      return Files.readAllLines(file).size();
    } catch (IOException failure) {
      throw new AssertionError(failure);
    }
  }

  /** Runs a command against the node; its standard output. */
  private String command(String... words) throws IOException, InterruptedException {
    var arguments = new ArrayList<>(List.of(words));
    arguments.addAll(List.of("--data", data()));
    Path errors = temp.resolve("errors");
    Process process =
        new ProcessBuilder(ServerProcess.forebay(arguments)).redirectError(errors.toFile()).start();
    String output =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    assertThat(process.waitFor())
        .as("%s\n%s%s", arguments, output, Files.readString(errors))
        .isZero();
    return output;
  }

  /** Starts the Python script with the node's address and keys. */
  private Run script(String... words) throws IOException {
    JsonNode keys = Json.parse(Files.readString(Path.of(data(), "node.json")));
    Path script = ServerProcess.ROOT.resolve("app/src/test/python/serve_test.py");
    var command = new ArrayList<String>();
    command.add(ServerProcess.ROOT.resolve(".venv/bin/python").toString());
    command.add(script.toString());
    command.addAll(List.of(words));
    Path output = temp.resolve("output-" + words[0]);
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(output.toFile());
    builder.environment().put("FOREBAY_S3_ENDPOINT", endpoint);
    builder.environment().put("AWS_ACCESS_KEY_ID", keys.path("accessKeyId").asString());
    builder.environment().put("AWS_SECRET_ACCESS_KEY", keys.path("secretAccessKey").asString());
    builder.environment().put("AWS_EC2_METADATA_DISABLED", "true");
    builder.environment().put("AWS_CONFIG_FILE", temp.resolve("none").toString());
    builder.environment().put("AWS_SHARED_CREDENTIALS_FILE", temp.resolve("none").toString());
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    Process process = builder.start();
    scripts.add(process);
    return new Run(process, output);
  }

  private record Run(Process process, Path file) {
    String output() {
      try {
        return Files.readString(file);
      } catch (IOException failure) {
        throw new AssertionError(failure);
      }
    }

    String waitAndExpectSuccess() throws InterruptedException {
      assertThat(process.waitFor()).as(output()).isZero();
      return output();
    }
  }
}
