package io.forebay.app.e2e;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.command.Transfers;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.WriteOptions;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** The command line as its users type it, against one node and against a cluster. */
@Tag("e2e")
final class CommandLineTest {
  @TempDir private Path temp;

  @Test
  void objectsAreCopiedShownMovedAndRemoved() throws Exception {
    var body = new byte[(3 << 20) + 5];
    new Random(1).nextBytes(body);
    Path tree = Files.createDirectories(temp.resolve("tree/deep"));
    Files.write(tree.resolve("big"), body);
    Files.writeString(temp.resolve("tree/small"), "small");
    try (OneNode node = node("flushDelay: 1h").start()) {
      node.command("bucket", "create", "data").expectSuccess();
      node.command("cp", "-r", temp.resolve("tree").toString(), "fb://data/in").expectSuccess();
      assertThat(node.command("ls", "data/in/").expectSuccess().out())
          .contains("in/deep/", "5 B", "in/small");
      JsonNode listed = node.command("ls", "-r", "data/", "--json").json();
      assertThat(listed.valueStream().map(each -> each.path("key").asString("")))
          .containsExactly("in/deep/big", "in/small");
      assertThat(node.command("ls").expectSuccess().out()).isEqualTo("data/\n");
      assertThat(node.command("cat", "data/in/deep/big").expectSuccess().out())
          .isEqualTo(new String(body, ISO_8859_1));
      JsonNode stat = node.command("stat", "data/in/deep/big", "--json").json();
      assertThat(stat.path("bytes").asInt(0)).isEqualTo(body.length);
      assertThat(stat.path("flush").asString("")).isEqualTo("PENDING");
      node.command("mv", "data/in/deep/", "data/out/").expectSuccess();
      node.command("cp", "-r", "fb://data/out/", "fb://data/copy/").expectSuccess();
      Path back = temp.resolve("back");
      CommandRun copy =
          node.command("cp", "-r", "fb://data/copy/", back.toString()).expectSuccess();
      assertThat(copy.err()).contains("100%", "3.00 MiB of 3.00 MiB");
      assertThat(Files.readAllBytes(back.resolve("big"))).isEqualTo(body);
      assertThat(deleted(node.command("rm", "-r", "data/", "--json"))).isEqualTo(3);
      assertThat(node.command("ls", "-r", "data/").expectSuccess().out()).isEmpty();

      node.command("stat", "data/in/small").expectRefusal("fb://data/in/small", "forebay ls");
      node.command("rm", "data/in/small").expectRefusal("does not exist");
      node.command("cp", "no-such-file", "fb://data/x").expectRefusal("no file no-such-file");
      node.command("cp", "a", "b").expectRefusal("fb://BUCKET/KEY", "forebay cp --help");
      node.command("cp", "fb://data/../x", "y").expectRefusal("segment '..'");
    }
  }

  @Test
  void anOutputThatCannotBeWrittenIsAFailure() throws Exception {
    Path file = temp.resolve("file");
    Files.writeString(file, "x".repeat(300_000));
    try (OneNode node = node("flushDelay: 1h").start()) {
      node.command("bucket", "create", "data").expectSuccess();
      node.command("cp", file.toString(), "fb://data/file").expectSuccess();
      toFullDevice(node, "cat", "data/file").expectRefusal("IO_ERROR", "fb://data/file");
      toFullDevice(node, "cp", "fb://data/file", "-").expectRefusal("IO_ERROR", "fb://data/file");
      toFullDevice(node, "ls", "data/").expectRefusal("standard output could not be written");
      // Whoever reads it may have read enough.
      CommandRun head = into(node, "| head -c 3", "cat", "data/file").expectSuccess();
      assertThat(head.out()).isEqualTo("xxx");
      assertThat(head.err()).isEmpty();
      assertThat(into(node, "| true", "ls", "data/").expectSuccess().err()).isEmpty();
    }
  }

  /** A command whose standard output is on a device without room. */
  private CommandRun toFullDevice(OneNode node, String... words)
      throws IOException, InterruptedException {
    return into(node, "> /dev/full", words);
  }

  private CommandRun into(OneNode node, String where, String... words)
      throws IOException, InterruptedException {
    var all = new ArrayList<>(List.of(words));
    all.addAll(List.of("--config", node.config().toString()));
    return CommandRun.of(
        temp, List.of("bash", "-c", "set -o pipefail; \"$0\" \"$@\" " + where), all);
  }

  @Test
  void bucketsAreMadeChangedListedAndDeletedAlsoRightAfterTheirLastObject() throws Exception {
    try (OneNode node = node("flushDelay: 0s").start()) {
      JsonNode made =
          node.command("bucket", "create", "data", "--prefix-mode", "tmp/=cache-only", "--json")
              .json();
      assertThat(made.path("mode").asString("")).isEqualTo("BACK");
      JsonNode changed =
          node.command("bucket", "set", "data", "--mode", "through", "--read-grace", "1s", "--json")
              .json();
      JsonNode listed = node.command("bucket", "list", "--json").json();
      assertThat(listed).hasSize(1);
      assertThat(listed.path(0)).isEqualTo(changed);
      assertThat(changed.path("mode").asString("")).isEqualTo("THROUGH");
      assertThat(changed.path("prefixModes").path(0).path("prefix").asString("")).isEqualTo("tmp/");
      node.command("bucket", "set", "data").expectRefusal("nothing is to be changed");
      node.command("bucket", "set", "absent", "--mode", "back").expectRefusal("absent", "list");
      node.command("bucket", "create", "Bad").expectRefusal("'Bad'", "3 to 63");
      node.command("bucket", "create", "three", "--replicas", "3").expectRefusal("3 replicas", "1");
      node.command("bucket", "create", "odd", "--chunk-size", "3MiB").expectRefusal("power of two");
      node.command("bucket", "create", "late", "--flush-delay", "5").expectRefusal("500ms");

      Path file = temp.resolve("file");
      Files.writeString(file, "x".repeat(5_000));
      node.command("cp", file.toString(), "fb://data/file").expectSuccess();
      Path stored = temp.resolve("a/store/data.d/file");
      assertThat(Files.readString(stored, ISO_8859_1)).startsWith("x".repeat(5_000));
      node.command("bucket", "delete", "data").expectRefusal("BUCKET_NOT_EMPTY");
      node.command("rm", "data/file").expectSuccess();
      node.command("bucket", "delete", "data").expectSuccess();
      assertThat(stored).doesNotExist();
      assertThat(node.command("bucket", "list", "--json").json()).isEmpty();
    }
  }

  @Test
  void aBucketsQuotaIsSetShownAndKept() throws Exception {
    try (OneNode node = node("flushDelay: 1h").start()) {
      node.command("bucket", "create", "scratch", "--store", "none", "--quota", "100KiB")
          .expectSuccess();
      assertThat(node.put("/scratch/a", new byte[60_000]).statusCode()).isEqualTo(200);
      HttpResponse<byte[]> refused = node.put("/scratch/b", new byte[60_000]);
      assertThat(refused.statusCode()).isEqualTo(403);
      assertThat(new String(refused.body(), UTF_8))
          .contains("<Code>QuotaExceeded</Code>", "quota of 102400 bytes", "holds 60000");
      assertThat(node.command("status").expectSuccess().out())
          .contains("bucket scratch: holds", "in no store, of a quota of");
      JsonNode use = node.command("status", "--json").json().path("uses").path("scratch");
      assertThat(use.path("heldBytes").asLong(0)).isEqualTo(60_000);
      assertThat(use.path("quotaBytes").asLong(0)).isEqualTo(102_400);
      node.command("bucket", "set", "scratch", "--quota", "1 bushel").expectRefusal("--quota");
      node.command("bucket", "set", "scratch", "--quota", "none").expectSuccess();
      assertThat(node.put("/scratch/b", new byte[60_000]).statusCode()).isEqualTo(200);
    }
  }

  @Test
  void checkpointsAreKeptAndFlushedByThePolicyOfTheirPrefix() throws Exception {
    try (OneNode node = node("flushDelay: 0s").start()) {
      node.command("bucket", "create", "ckpt", "--read-grace", "1s").expectSuccess();
      node.command("policy", "set", "ckpt/run", "--keep-last", "1").expectRefusal("marker");
      node.command("policy", "set", "ckpt/run", "--marker", "_DONE").expectRefusal("something");
      JsonNode set =
          node.command(
                  "policy",
                  "set",
                  "ckpt/run",
                  "--marker",
                  "_DONE",
                  "--keep-last",
                  "1",
                  "--flush-every",
                  "2",
                  "--json")
              .json();
      assertThat(set.path("policy").path("prefix").asString("")).isEqualTo("run/");
      assertThat(node.command("policy", "list").expectSuccess().out())
          .isEqualTo("ckpt/run/  marker _DONE  keeps the last 1  flushes one of 2\n");
      assertThat(node.command("bucket", "list").expectSuccess().out()).contains("run/=CACHE_ONLY");

      Path store = temp.resolve("a/store/ckpt.d/run.d");
      for (String file : List.of("rank-0", "_DONE")) {
        byte[] body = new byte[file.equals("_DONE") ? 1 : 5_000];
        for (int step = 1; step <= 3; step++) {
          String path = "/ckpt/run/step-" + step + "/" + file;
          assertThat(node.put(path, body).statusCode()).isEqualTo(200);
        }
      }
      ServerProcess.await(
          "the second is in the store", 60, () -> Files.exists(store.resolve("step-2.d/_DONE")));
      assertThat(store.resolve("step-2.d/rank-0")).exists();
      assertThat(store.resolve("step-1.d")).doesNotExist();
      assertThat(store.resolve("step-3.d")).doesNotExist();
      assertThat(node.get("/ckpt/run/step-1/rank-0").statusCode()).isEqualTo(404);
      assertThat(node.get("/ckpt/run/step-2/rank-0").body()).isEqualTo(new byte[5_000]);
      assertThat(node.get("/ckpt/run/step-3/rank-0").body()).isEqualTo(new byte[5_000]);

      assertThat(node.command("status", "ckpt/run").expectSuccess().out())
          .contains(
              "ckpt/run/: 4 objects",
              "in no store: 2",
              "2 are never to go to a store",
              "1 copies: 4.88 KiB",
              "if 1 node died at once: up to 4.88 KiB WOULD BE LOST");
      JsonNode status = node.command("status", "ckpt/run/step-2/", "--json").json();
      assertThat(status.path("objects").asInt(0)).isEqualTo(2);
      assertThat(status.path("heldObjects").asInt(-1)).isZero();
      assertThat(node.command("status", "ckpt/run/step-2/").expectSuccess().out())
          .contains("nothing would be lost");

      node.command("policy", "delete", "ckpt/run/").expectSuccess();
      node.command("policy", "delete", "ckpt/run/").expectRefusal("NOT_FOUND", "policy list");
      assertThat(node.command("policy", "list", "--json").json()).isEmpty();
      assertThat(node.command("bucket", "list").expectSuccess().out()).doesNotContain("CACHE_ONLY");
    }
  }

  @Test
  void aBegunCheckpointInTheWayOfABucketsDeletionIsNamedShownAndRemoved() throws Exception {
    try (OneNode node = node("flushDelay: 1h").start()) {
      node.command("bucket", "create", "ckpt", "--store", "none").expectSuccess();
      node.command("policy", "set", "ckpt/run", "--marker", "_DONE", "--keep-last", "1")
          .expectSuccess();
      for (String key : List.of("step-7/rank-0", "step-7/rank-1", "step-8/rank-0", "step-9/a/b")) {
        assertThat(node.put("/ckpt/run/" + key, new byte[9]).statusCode()).isEqualTo(200);
      }
      assertThat(node.command("ls", "-r", "ckpt/").expectSuccess().out()).isEmpty();
      node.command("bucket", "delete", "ckpt")
          .expectRefusal(
              "BUCKET_NOT_EMPTY",
              "'run/step-7/rank-0', which is of a begun checkpoint",
              "'run/step-7/_DONE'",
              "`forebay rm -r ckpt/run/step-7/`",
              "`forebay ls -r --all ckpt/`");
      HttpResponse<byte[]> refused = node.delete("/ckpt");
      assertThat(refused.statusCode()).isEqualTo(409);
      assertThat(new String(refused.body(), UTF_8))
          .contains("<Code>BucketNotEmpty</Code>", "run/step-7/rank-0", "of a begun checkpoint");
      assertThat(node.command("ls", "--all", "ckpt/run/").expectSuccess().out())
          .contains("run/step-7/", "run/step-8/", "run/step-9/");
      JsonNode all = node.command("ls", "-r", "--all", "ckpt/", "--json").json();
      assertThat(all.valueStream().map(each -> each.path("key").asString("")))
          .containsExactly(
              "run/step-7/rank-0", "run/step-7/rank-1", "run/step-8/rank-0", "run/step-9/a/b");

      node.command("rm", "ckpt/run/step-7/rank-0").expectSuccess();
      node.command("rm", "-r", "ckpt/run/step-7/").expectSuccess();
      assertThat(deleted(node.command("rm", "-r", "ckpt/", "--json"))).isZero();
      node.command("rm", "--all", "ckpt/run/step-8/rank-0").expectRefusal("--all", "rm -r");
      assertThat(deleted(node.command("rm", "-r", "--all", "ckpt/", "--json"))).isEqualTo(2);
      node.command("bucket", "delete", "ckpt").expectSuccess();
    }
  }

  private static int deleted(CommandRun run) {
    return run.json().path("deleted").asInt(-1);
  }

  @Test
  void whatANodeIsDoingIsSeenByPeopleAndByMachines() throws Exception {
    try (OneNode node = node("flushDelay: 1h").start()) {
      node.command("bucket", "create", "data").expectSuccess();
      assertThat(node.put("/data/object", new byte[100_000]).statusCode()).isEqualTo(200);
      assertThat(node.command("status").expectSuccess().out())
          .contains(
              "UP", "at full strength", "bucket data: 0 objects in its store, 1 on their way");
      assertThat(node.command("status", "data/object").expectSuccess().out())
          .contains("PENDING", "1 of 1 copies", "if a died", "WOULD BE LOST");
      JsonNode flushed = node.command("flush", "--wait", "data", "--json").json();
      assertThat(flushed.path("flushed").asInt(0)).isEqualTo(1);
      assertThat(node.command("status", "data/object").expectSuccess().out())
          .contains("FLUSHED", "nothing would be lost");
      assertThat(node.command("node", "list").expectSuccess().out()).contains("a", "UP");

      assertThat(text(node, "/healthz", 200)).isEqualTo("ok\n");
      assertThat(text(node, "/readyz", 200)).isEqualTo("ready\n");
      assertThat(text(node, "/metrics", 200))
          .contains("forebay_lease_held 1.0", "forebay_flush_flushedObjects 1.0", "# HELP");
      assertThat(Json.parse(text(node, "/status", 200)).path("ready").asBoolean(false)).isTrue();
      assertThat(text(node, "/nothing", 404)).contains("/metrics");
      watches(node);
    }
  }

  /** {@code status --watch} shows one picture after the other, also of a node that went. */
  private void watches(OneNode node) throws IOException, InterruptedException {
    Path shown = temp.resolve("watch");
    Process watch =
        new ProcessBuilder(
                ServerProcess.forebay(
                    List.of("status", "--watch", "--config", node.config().toString())))
            .redirectErrorStream(true)
            .redirectOutput(shown.toFile())
            .start();
    try {
      ServerProcess.await("two pictures", 60, () -> read(shown).split("groups: ", -1).length > 2);
      node.server().kill();
      ServerProcess.await("it is said to be gone", 60, () -> read(shown).contains("cannot reach"));
      assertThat(watch.isAlive()).isTrue();
    } finally {
      watch.destroyForcibly().waitFor();
    }
  }

  @Test
  void aClusterSaysWhatTheLossOfANodeCostsAndDrainsIt() throws Exception {
    try (var cluster = new TestCluster(temp)) {
      try (Connection connection = cluster.connect(0)) {
        connection
            .files()
            .createBucket(BucketSpec.of("data", new Family(2, 2, Durability.REPLICATED), ""));
        Transfers.put(
            connection.files(),
            connection.pool(),
            "data",
            "object",
            new ByteArrayInputStream(new byte[3 << 20]),
            WriteOptions.DEFAULT,
            bytes -> {});
      }
      cluster.awaitWhole("the bucket's groups were made");
      JsonNode status = command(cluster, 1, "status", "data/object", "--json").json();
      assertThat(status.path("fewestCopies").asInt(0)).isEqualTo(2);
      assertThat(status.path("losses").valueStream())
          .hasSize(2)
          .allMatch(loss ->
              loss.path("lostBytes").asInt(-1) == 0 && loss.path("fewestCopiesLeft").asInt(0) == 1);
      String holder = status.path("holders").path(0).path("node").asString("");
      if (holder.isEmpty()) {
        holder = status.path("holders").path(0).path("node").path("name").asString("");
      }
      assertThat(command(cluster, 1, "node", "list", "--json").json()).hasSize(3);
      command(cluster, 1, "node", "drain", "B!").expectRefusal("B!", "node list");
      command(cluster, 1, "node", "drain", "absent").expectRefusal("absent", "no such node");
      String drained = holder;
      // Of any node that is asked, for its own disk only is known.
      for (int asked = 0; asked < 3; asked++) {
        assertThat(command(cluster, asked, "node", "list").expectSuccess().out())
            .containsPattern("UP .* in [1-9][0-9]* groups")
            .containsOnlyOnce("used");
      }
      command(cluster, 1, "node", "drain", drained).expectSuccess();
      ServerProcess.await(
          "the drained node holds nothing of the object",
          120,
          () -> {
            CommandRun run = command(cluster, 1, "status", "data/object", "--json");
            return run.code() == 0
                && run.json().path("fewestCopies").asInt(0) == 2
                && !run.json().path("holders").toString().contains("\"" + drained + "\"");
          });
      ServerProcess.await(
          "it is said to be empty, whoever is asked",
          120,
          () -> {
            boolean all = true;
            for (int asked = 0; asked < 3; asked++) {
              all &=
                  command(cluster, asked, "node", "list")
                      .out()
                      .matches("(?s).*DRAINING [^\n]* in no group.*");
            }
            return all;
          });
      command(cluster, 1, "node", "drain", drained, "--undo").expectSuccess();
      assertThat(command(cluster, 1, "cat", "data/object").expectSuccess().out()).hasSize(3 << 20);
    }
  }

  private CommandRun command(TestCluster cluster, int node, String... words) {
    var all = new ArrayList<>(List.of(words));
    all.addAll(List.of("--config", cluster.config(node).toString()));
    try {
      return CommandRun.of(temp, List.of(), all);
    } catch (IOException failure) {
      throw new AssertionError(failure);
    } catch (InterruptedException failure) {
      Thread.currentThread().interrupt();
      throw new AssertionError(failure);
    }
  }

  private OneNode node(String more) throws IOException {
    Path home = temp.resolve("a");
    return new OneNode(
        home,
        List.of(),
        "data: \"" + home.resolve("disk0") + "\"",
        "store: \"dir:" + home.resolve("store") + "\"",
        more);
  }

  private static String text(OneNode node, String path, int status)
      throws IOException, InterruptedException {
    var answer = node.admin(path);
    assertThat(answer.statusCode()).as(path).isEqualTo(status);
    return new String(answer.body(), UTF_8);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException failure) {
      throw new AssertionError(failure);
    }
  }
}
