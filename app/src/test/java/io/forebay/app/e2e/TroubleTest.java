package io.forebay.app.e2e;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.forebay.core.file.FlushState;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Bad input and trouble, as a user meets them: the error names what was attempted, why it failed
 * and what to do, nothing published is lost, nothing half-written is seen. docs/troubles.md is the
 * table of all of them.
 */
@Tag("e2e")
final class TroubleTest {
  private static final int MIB = 1 << 20;

  @TempDir private Path temp;

  private Path home(String name) {
    return temp.resolve(name);
  }

  private static String data(Path directory) {
    return "data: \"" + directory + "\"";
  }

  private OneNode node(String... settings) throws IOException {
    return new OneNode(home("a"), List.of(), settings);
  }

  private CommandRun serve(Path config) throws IOException, InterruptedException {
    return CommandRun.of(temp, List.of(), List.of("serve", "--config", config.toString()));
  }

  @Test
  void aMisspeltSettingStopsTheStartWithTheNearestKnownOne() throws Exception {
    try (OneNode node = node(data(home("disk")), "capcity: 1GiB")) {
      serve(node.config()).expectRefusal("forebay.yaml", "capcity", "did you mean 'capacity'?");
    }
  }

  @Test
  void whatServeCannotUseIsNamedWithWhatWouldBeRight() throws Exception {
    List<String> serve = List.of("serve", "--data", home("d").toString());
    refused(serve, "--s3", "nonsense").expectRefusal("--s3", "nonsense", "HOST:PORT");
    refused(serve, "--s3", "0.0.0.0:0", "--anonymous")
        .expectRefusal("--anonymous", "loopback", "127.0.0.1");
    Path nowhere = home("nowhere.pem");
    Path empty = Files.createFile(home("empty.pem"));
    String https = "https://127.0.0.1:0";
    refused(serve, "--s3", https, "--certificate", nowhere.toString())
        .expectRefusal("--certificate-key", "go together");
    for (Path file : List.of(nowhere, empty)) {
      String name = file.toString();
      refused(serve, "--s3", https, "--certificate", name, "--certificate-key", name)
          .expectRefusal(name, "certificate");
    }
    refused(serve, "--store", "ftp://somewhere").expectRefusal("ftp://somewhere", "dir:PATH");
    refused(serve, "--capacity", "3 apples").expectRefusal("--capacity", "3 apples", "1GiB");
    refused(serve, "--config", "forebay.yaml").expectRefusal("--data", "without --config");
    Files.createDirectories(home("d"));
    Files.writeString(home("d").resolve("node.json"), "{}");
    refused(serve).expectRefusal("node.json", "damaged", "backup");
  }

  private CommandRun refused(List<String> serve, String... more)
      throws IOException, InterruptedException {
    var words = new ArrayList<>(serve);
    words.addAll(List.of(more));
    return CommandRun.of(temp, List.of(), words);
  }

  @Test
  void aPortInUseIsNamed() throws Exception {
    try (OneNode node = node(data(home("disk")));
        var taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String used = "127.0.0.1:" + taken.getLocalPort();
      String config = Files.readString(node.config());
      for (String mine : List.of(node.address(), consensus(config), node.s3())) {
        Path other = home("taken.yaml");
        Files.writeString(other, config.replace(mine, used));
        serve(other).expectRefusal(used, "in use", "another");
      }
    }
  }

  private static String consensus(String config) {
    int from = config.indexOf("consensus: \"") + "consensus: \"".length();
    return config.substring(from, config.indexOf('"', from));
  }

  @Test
  void theDirectoriesOfAnotherClusterAreRefused() throws Exception {
    try (OneNode node = node(data(home("disk"))).start()) {
      node.server().kill();
      Path other = home("other.yaml");
      String config = Files.readString(node.config()).replace(OneNode.SECRET, "x".repeat(20));
      Files.writeString(other, config);
      serve(other)
          .expectRefusal(home("disk").toString(), "belongs to cluster", "another directory");
      node.start();
    }
  }

  @Test
  void anotherSecretIsRefusedByName() throws Exception {
    try (OneNode node = node(data(home("disk"))).start()) {
      Path other = home("other.yaml");
      Files.writeString(
          other, Files.readString(node.config()).replace(OneNode.SECRET, "y".repeat(20)));
      CommandRun.of(temp, List.of(), List.of("status", "--config", other.toString()))
          .expectRefusal("UNAUTHENTICATED", "peer a", "different cluster secrets");
    }
  }

  @Test
  void aNodeThatIsNotThereIsNamedWithWhatToDo() throws Exception {
    CommandRun.of(temp, List.of(), List.of("ls", "--data", home("none").toString()))
        .expectRefusal("endpoint.json", "forebay serve", "--data");
    try (OneNode node = node(data(home("disk")))) {
      node.command("ls").expectRefusal("cannot reach", node.address());
    }
  }

  @Test
  void noPermissionIsNamed() throws Exception {
    Assumptions.assumeTrue(root(), "another user needs root and setpriv");
    List<String> nobody =
        List.of("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups");
    var reads = new ArrayList<>(nobody);
    reads.addAll(List.of("test", "-r", ServerProcess.ROOT.resolve("forebay").toString()));
    Assumptions.assumeTrue(
        new ProcessBuilder(reads).start().waitFor() == 0,
        "this tree is not readable by others, so that another user cannot run it");
    Path open = Files.createTempDirectory("forebay-open");
    try {
      run("chmod", "755", open.toString());
      Path closed = Files.createDirectories(open.resolve("closed"));
      run("chmod", "700", closed.toString());
      CommandRun.of(
              temp, nobody, List.of("serve", "--data", closed.toString(), "--s3", "127.0.0.1:0"))
          .expectRefusal(closed.toString(), "may write");
      Path theirs = Files.createDirectories(open.resolve("theirs"));
      run("chmod", "777", theirs.toString());
      Files.createDirectories(theirs.resolve("disk0"));
      run("chmod", "700", theirs.resolve("disk0").toString());
      CommandRun.of(
              temp, nobody, List.of("serve", "--data", theirs.toString(), "--s3", "127.0.0.1:0"))
          .expectRefusal(theirs.resolve("disk0").toString(), "may write");
    } finally {
      ServerProcess.wipe(open);
    }
  }

  @Test
  void nothingListensBeyondLoopback() throws Exception {
    Path data = home("single");
    try (var server =
        new ServerProcess(
            "node",
            home("log"),
            List.of(),
            List.of("serve", "--data", data.toString(), "--s3", "127.0.0.1:0"))) {
      server.start();
      server.awaitBanner();
      List<String> listening = listening(server.pid());
      assertThat(listening).hasSizeGreaterThanOrEqualTo(3);
      assertThat(listening)
          .allMatch(address ->
              address.startsWith("127.0.0.1:") || address.startsWith("[::ffff:127.0.0.1]:"));
    }
  }

  private static List<String> listening(long pid) throws IOException, InterruptedException {
    var addresses = new ArrayList<String>();
    for (String line : run("ss", "-Hltnp").lines().toList()) {
      if (line.contains("pid=" + pid + ",")) {
        addresses.add(line.strip().split("\\s+", -1)[3]);
      }
    }
    return addresses;
  }

  @Test
  void anUnsignedRequestIsRefusedUnlessAskedFor() throws Exception {
    String address = "127.0.0.1:" + ServerProcess.freePort();
    try (OneNode node = node(data(home("disk")))) {
      String config = Files.readString(node.config());
      Files.writeString(node.config(), config.replace(", anonymous: true", ""));
      node.start();
      HttpResponse<byte[]> answer = node.get("/");
      assertThat(answer.statusCode()).isEqualTo(403);
      assertThat(text(answer)).contains("<Code>AccessDenied</Code>");
      Path open = home("open.yaml");
      Files.writeString(open, config.replace(node.s3(), "0.0.0.0:" + address.substring(10)));
      serve(open).expectRefusal("s3.anonymous", "loopback", "0.0.0.0");
    }
  }

  @Test
  void aFullDiskRefusesByNameAndLosesNothing() throws Exception {
    Assumptions.assumeTrue(root(), "a small file system needs root");
    Path disk = Files.createDirectories(home("small"));
    run("mount", "-t", "tmpfs", "-o", "size=260m", "tmpfs", disk.toString());
    try (OneNode node = node(data(disk.resolve("disk0")), "capacity: 100GiB", "segment: 32MiB")) {
      byte[] filler = new byte[64 * MIB];
      Files.write(disk.resolve("filler"), filler);
      node.start();
      // An overwritten or deleted generation stays readable for the read grace, and takes its room.
      node.command("bucket", "create", "full", "--read-grace", "1s").expectSuccess();
      var kept = new TreeMap<String, byte[]>();
      HttpResponse<byte[]> refused = fill(node, kept, "first");
      assertThat(kept).isNotEmpty();
      assertThat(refused.statusCode()).isEqualTo(507);
      assertThat(text(refused))
          .contains("<Code>ServiceUnavailable</Code>", "has no room", "free some");
      expectExactly(node, kept);
      // Room returns: whoever tries again is served.
      Files.delete(disk.resolve("filler"));
      ServerProcess.await(
          "writes are taken again",
          60,
          () -> status(() -> node.put("/full/again", random(9, 3 * MIB))) == 200);
      kept.put("again", random(9, 3 * MIB));
      fill(node, kept, "second");
      expectExactly(node, kept);
      node.server().kill();
      node.start();
      expectExactly(node, kept);
    } finally {
      run("umount", "-l", disk.toString());
    }
  }

  /** What chunks leave is the log's, where they share a disk. */
  @Test
  void aFullDiskLeavesTheControlPlaneItsRoom() throws Exception {
    Assumptions.assumeTrue(root(), "a small file system needs root");
    Path disk = Files.createDirectories(home("shared"));
    run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk.toString());
    try (OneNode node =
        new OneNode( // with its meta
                disk,
                List.of(),
                data(disk.resolve("disk0")),
                "capacity: 100GiB",
                "capacity.reserve: 200MiB",
                "segment: 32MiB")
            .start()) {
      assertThat(node.put("/full", new byte[0]).statusCode()).isEqualTo(200);
      var kept = new TreeMap<String, byte[]>();
      HttpResponse<byte[]> refused = fill(node, kept, "first");
      assertThat(refused.statusCode()).isEqualTo(507);
      assertThat(text(refused)).contains("a reserve of " + 200 * MIB);
      assertThat(kept).isNotEmpty();
      // Small ones lie in the log, which goes on.
      for (int i = 0; i < 200; i++) {
        byte[] body = random(i, 2_000);
        assertThat(node.put("/full/small-" + i, body).statusCode()).isEqualTo(200);
        kept.put("small-" + i, body);
      }
      assertThat(disk.toFile().getUsableSpace()).isGreaterThan(100L * MIB);
      expectExactly(node, kept);
    } finally {
      run("umount", "-l", disk.toString());
    }
  }

  @Test
  void writesIntoAFullDiskWaitForTheFlushAndAreRefusedByNameWhileTheStoreIsAway() throws Exception {
    Path store = home("store");
    try (OneNode node =
        node(
                data(home("disk")),
                "capacity: 96MiB",
                "segment: 32MiB",
                "capacity.wait: 8s",
                "flushDelay: 1s",
                "store: \"dir:" + store + "\"")
            .start()) {
      assertThat(node.put("/full", new byte[0]).statusCode()).isEqualTo(200);
      var kept = new TreeMap<String, byte[]>();
      for (int i = 0; i < 24; i++) {
        byte[] body = random(i, 9 * MIB);
        HttpResponse<byte[]> answer = node.put("/full/through-" + i, body);
        assertThat(answer.statusCode()).as(text(answer)).isEqualTo(200);
        kept.put("through-" + i, body);
      }
      expectExactly(node, kept);
      assertThat(node.report().path("counters").path("evictedBytes").asLong())
          .isGreaterThanOrEqualTo(120L * MIB);
      Files.move(store, home("away"));
      HttpResponse<byte[]> refused = fill(node, kept, "away");
      assertThat(refused.statusCode()).isEqualTo(507);
      assertThat(text(refused))
          .contains("has no room", "bytes that are in no store", "clean", "forebay status");
      Files.move(home("away"), store);
      expectExactly(node, kept);
      ServerProcess.await(
          "writes are taken again",
          60,
          () -> status(() -> node.put("/full/again", random(9, 3 * MIB))) == 200);
      kept.put("again", random(9, 3 * MIB));
      expectExactly(node, kept);
    }
  }

  /** Writes objects until one is refused; that answer. */
  private static HttpResponse<byte[]> fill(OneNode node, Map<String, byte[]> kept, String name)
      throws IOException, InterruptedException {
    for (int i = 0; i < 40; i++) {
      byte[] body = random(i, 9 * MIB);
      HttpResponse<byte[]> answer = node.put("/full/" + name + "-" + i, body);
      // On a machine that is too busy a write may also be refused because nobody answered in time.
      for (int again = 0; answer.statusCode() == 503 && again < 20; again++) {
        answer = node.put("/full/" + name + "-" + i, body);
      }
      if (answer.statusCode() != 200) {
        assertThat(node.get("/full/" + name + "-" + i).statusCode()).isEqualTo(404);
        return answer;
      }
      kept.put(name + "-" + i, body);
    }
    throw new AssertionError("360 MiB fit in");
  }

  private static void expectExactly(OneNode node, Map<String, byte[]> kept)
      throws IOException, InterruptedException {
    for (Map.Entry<String, byte[]> entry : kept.entrySet()) {
      HttpResponse<byte[]> answer = node.get("/full/" + entry.getKey());
      assertThat(answer.statusCode()).as(entry.getKey()).isEqualTo(200);
      assertThat(answer.body()).as(entry.getKey()).isEqualTo(entry.getValue());
    }
    String list = text(node.get("/full?list-type=2"));
    assertThat(list.split("<Key>", -1)).as(list).hasSize(kept.size() + 1);
  }

  @Test
  void aClientThatStopsSendingIsCutOffAndItsMemoryFreed() throws Exception {
    try (OneNode node = node(data(home("disk"))).start()) {
      assertThat(node.put("/stops", new byte[0]).statusCode()).isEqualTo(200);
      long free = freeMemory(node);
      try (var socket = new Socket(InetAddress.getLoopbackAddress(), port(node.s3()))) {
        socket.setSoTimeout(120_000);
        OutputStream out = socket.getOutputStream();
        out.write(
            "PUT /stops/half HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"
                .getBytes(UTF_8));
        out.write(new byte[3 * MIB]);
        out.flush();
        ServerProcess.await("the body holds memory", 60, () -> freeMemory(node) < free);
        String answer = new String(socket.getInputStream().readAllBytes(), UTF_8);
        assertThat(answer).contains("<Code>RequestTimeout</Code>");
      }
      ServerProcess.await("its memory is free again", 60, () -> freeMemory(node) == free);
      assertThat(node.get("/stops/half").statusCode()).isEqualTo(404);
    }
  }

  private static long freeMemory(OneNode node) {
    return node.report().path("counters").path("writeMemoryFreeBytes").asLong();
  }

  @Test
  void whyTheStoreDoesNotTakeAnObjectIsShownAndTheObjectStays() throws Exception {
    var release = new CountDownLatch(1);
    HttpServer stub =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    stub.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    stub.createContext(
        "/",
        exchange -> {
          String container = exchange.getRequestURI().getPath().split("/", -1)[2];
          exchange.getRequestBody().readAllBytes();
          if (container.equals("slow")) {
            try {
              release.await(200, TimeUnit.SECONDS);
            } catch (InterruptedException stop) {
              Thread.currentThread().interrupt();
            }
          }
          Map<String, String> codes =
              Map.of(
                  "c403", "AuthorizationFailure",
                  "c404", "ContainerNotFound",
                  "c429", "TooManyRequests",
                  "c503", "ServerBusy",
                  "slow", "ServerBusy");
          int status = container.equals("slow") ? 503 : Integer.parseInt(container.substring(1));
          String code = codes.getOrDefault(container, "Unknown");
          byte[] body =
              ("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code>"
                      + "<Message>a stub says so</Message></Error>")
                  .formatted(code)
                  .getBytes(UTF_8);
          exchange.getResponseHeaders().set("Content-Type", "application/xml");
          exchange.getResponseHeaders().set("x-ms-error-code", code);
          boolean head = exchange.getRequestMethod().equals("HEAD");
          exchange.sendResponseHeaders(status, head ? -1 : body.length);
          if (!head) {
            exchange.getResponseBody().write(body);
          }
          exchange.close();
        });
    stub.start();
    String key = Base64.getEncoder().encodeToString(new byte[32]);
    String connection =
        "DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=%s;BlobEndpoint=http://127.0.0.1:%d/acct;"
            .formatted(key, stub.getAddress().getPort());
    byte[] body = random(3, 300_000);
    try (OneNode node =
        new OneNode(
                home("a"),
                List.of("AZURE_STORAGE_CONNECTION_STRING=" + connection),
                data(home("disk")),
                "flushDelay: 0s")
            .start()) {
      // What status says of each: the store's own word, or ours for it.
      var reasons =
          new TreeMap<>(
              Map.of(
                  "c403", "403",
                  "c404", "c404",
                  "c429", "429",
                  "c503", "503",
                  "slow", "slow"));
      for (String container : reasons.keySet()) {
        node.command("bucket", "create", container, "--store", "azblob://acct/" + container)
            .expectSuccess();
        assertThat(node.put("/" + container + "/object", body).statusCode()).isEqualTo(200);
      }
      for (Map.Entry<String, String> entry : reasons.entrySet()) {
        String bucket = entry.getKey();
        ServerProcess.await(
            "the reason of " + bucket + " is known",
            180,
            () -> {
              JsonNode backlog = backlog(node, bucket);
              return backlog.path("troubled").size() == 1
                  && backlog.path("troubled").path(0).path("reason").asString("").length() > 10;
            });
        JsonNode trouble = backlog(node, bucket).path("troubled").path(0);
        assertThat(trouble.path("key").asString("")).isEqualTo("object");
        assertThat(trouble.path("state").asString("")).isEqualTo(FlushState.FAILED.name());
        assertThat(trouble.path("reason").asString("")).contains(entry.getValue());
        assertThat(node.get("/" + bucket + "/object").body()).isEqualTo(body);
      }
      String said = node.command("status").expectSuccess().out();
      assertThat(said).contains("bucket c403: 0 objects in its store, 1 on their way", "FAILED");
      assertThat(node.command("status", "c403/object").expectSuccess().out())
          .contains("not in the store: ", "WOULD BE LOST");
      stub.stop(0);
      release.countDown();
      node.command("flush", "c503").expectSuccess();
      ServerProcess.await(
          "it is known to be unreachable",
          60,
          () ->
              backlog(node, "c503")
                  .path("troubled")
                  .path(0)
                  .path("reason")
                  .asString("")
                  .toLowerCase(Locale.ROOT)
                  .matches(".*(refused|unreachable|cannot reach).*"));
      assertThat(node.get("/c503/object").body()).isEqualTo(body);
    } finally {
      release.countDown();
      stub.stop(0);
    }
  }

  private static JsonNode backlog(OneNode node, String bucket) {
    try {
      return node.command("status", "--json").json().path("backlogs").path(bucket);
    } catch (IOException failure) {
      throw new AssertionError(failure);
    } catch (InterruptedException failure) {
      Thread.currentThread().interrupt();
      throw new AssertionError(failure);
    }
  }

  @Test
  void anObjectThatSomebodyElseWroteInTheStoreIsAConflictUntilKeptOrTaken() throws Exception {
    Path store = home("store");
    try (OneNode node =
        node(data(home("disk")), "store: \"dir:" + store + "\"", "flushDelay: 0s").start()) {
      assertThat(node.put("/shared", new byte[0]).statusCode()).isEqualTo(200);
      for (String key : List.of("kept", "taken")) {
        assertThat(node.put("/shared/" + key, "ours, first".getBytes(UTF_8)).statusCode())
            .isEqualTo(200);
      }
      node.command("flush", "--wait", "shared").expectSuccess();
      for (String key : List.of("kept", "taken")) {
        Path theirs = stored(store, key);
        assertThat(theirs).exists();
        Files.delete(theirs);
        Files.writeString(theirs, "theirs of " + key);
        assertThat(node.put("/shared/" + key, "ours, second".getBytes(UTF_8)).statusCode())
            .isEqualTo(200);
      }
      CommandRun flush = node.command("flush", "--wait", "--timeout", "60s", "shared");
      flush.expectRefusal("kept: CONFLICT", "taken: CONFLICT");
      assertThat(node.command("conflict", "list", "shared", "--json").json()).hasSize(2);
      assertThat(node.command("status").expectSuccess().out()).contains("kept: CONFLICT");
      for (String key : List.of("kept", "taken")) {
        // Ours stays visible, theirs stays where it is, until somebody decides.
        assertThat(text(node.get("/shared/" + key))).isEqualTo("ours, second");
        assertThat(stored(store, key)).hasContent("theirs of " + key);
      }
      node.command("conflict", "keep", "shared/kept").expectSuccess();
      node.command("conflict", "take", "shared/taken").expectSuccess();
      node.command("flush", "--wait", "shared").expectSuccess();
      assertThat(text(node.get("/shared/kept"))).isEqualTo("ours, second");
      assertThat(Files.readString(stored(store, "kept"), ISO_8859_1)).startsWith("ours, second");
      assertThat(text(node.get("/shared/taken"))).isEqualTo("theirs of taken");
      assertThat(stored(store, "taken")).hasContent("theirs of taken");
      assertThat(node.command("conflict", "list", "shared", "--json").json()).isEmpty();
      node.command("conflict", "keep", "shared/kept").expectRefusal("no conflict");
    }
  }

  /**
   * Where the directory store keeps an object of the bucket: its body first, then what we say of
   * it.
   */
  private static Path stored(Path store, String key) {
    return store.resolve("shared.d").resolve(key);
  }

  private static boolean root() throws IOException, InterruptedException {
    return run("id", "-u").strip().equals("0");
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output;
    try (InputStream from = process.getInputStream()) {
      output = new String(from.readAllBytes(), UTF_8);
    }
    assertThat(process.waitFor()).as("%s: %s", String.join(" ", command), output).isZero();
    return output;
  }

  /** A request that may fail on its way. */
  private interface Request {
    HttpResponse<byte[]> send() throws IOException, InterruptedException;
  }

  private static int status(Request request) {
    try {
      return request.send().statusCode();
    } catch (IOException failure) {
      return 0;
    } catch (InterruptedException failure) {
      Thread.currentThread().interrupt();
      throw new AssertionError(failure);
    }
  }

  private static int port(String address) {
    return Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
  }

  private static byte[] random(long seed, int length) {
    var bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static String text(HttpResponse<byte[]> answer) {
    return new String(answer.body(), UTF_8);
  }
}
