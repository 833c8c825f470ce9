package io.forebay.app.fuzz;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.config.Addresses;
import io.forebay.app.demo.Servers;
import io.forebay.app.fuzz.DoorTalk.Ending;
import io.forebay.app.runtime.LoopbackTrust;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import tools.jackson.databind.JsonNode;

/** One server process that is talked to, and what is watched meanwhile. Used by one thread. */
final class Fuzzer implements AutoCloseable {
  private static final String NODE = "a";
  private static final String BUCKET = "fuzz";
  private static final String ACCESS_KEY = "FUZZKEY";
  private static final String SECRET_KEY = "fuzz-key-that-never-leaves-loopback";

  /** Longer than all that a door waits for: a client that stalls (30 s), a slab (20 s). */
  private static final long BOUND_MILLIS = 60_000;

  /** Longer than a writer on the wire is kept that nobody writes to (15 s). */
  private static final long SETTLE_MILLIS = 45_000;

  private static final int TALKS_OF_A_SEED = 120;
  private static final int WIRE_ONE_IN = 3;
  private static final int KEPT_TALKS = 6;
  private static final int TOLD_BYTES = 1_024;
  private static final int CANARY_BYTES = (2 << 20) + 17;

  /** Memory of the process that it may have beyond what it had after its first seed. */
  private static final long GROWTH_BYTES = 400L << 20;

  private static final List<String> BAD_LINES =
      List.of(" ERROR [", "this is a bug", "LEAK:", "OutOfMemory", "Exception in thread");

  private static final Pattern UPLOAD =
      Pattern.compile("<Key>([^<]*)</Key>\\s*<UploadId>([^<]*)</UploadId>");

  private final Path root;
  private final Servers servers;
  private final InetSocketAddress door;
  private final String host;
  private final Optional<SSLContext> tls;
  private final byte[] canary = new Dice(0).bytes(CANARY_BYTES);
  private final ArrayDeque<String> last = new ArrayDeque<>();
  private final Map<String, Long> talks = new TreeMap<>();
  private Map<String, Long> rested = Map.of();
  private InetSocketAddress transport = new InetSocketAddress(0);
  private List<VolumeId> volumes = List.of();
  private long residentBytes;
  private long seed;

  private Fuzzer(Path root, Servers servers, InetSocketAddress door, Optional<SSLContext> tls) {
    this.root = root;
    this.servers = servers;
    this.door = door;
    this.host = "127.0.0.1:" + door.getPort();
    this.tls = tls;
  }

  /**
   * Starts a server.
   *
   * @param root for what it writes; empty
   * @param secure whether its S3 door speaks TLS
   */
  static Fuzzer start(Path root, boolean secure) throws IOException, InterruptedException {
    int port = Servers.freePort();
    String listen = (secure ? "https://" : "") + "127.0.0.1:" + port;
    var servers =
        new Servers(
            root,
            List.of(NODE),
            any ->
                List.of(
                    "s3: {listen: '"
                        + listen
                        + "', accessKeyId: "
                        + ACCESS_KEY
                        + ", secretAccessKey: "
                        + SECRET_KEY
                        + "}"),
            // Every buffer is followed, and one that nobody gave back is an ERROR in the log.
            Map.of(
                "FOREBAY_JAVA_OPTS",
                "-Xms384m -Xmx384m -XX:MaxDirectMemorySize=512m -XX:+UseSerialGC"
                    + " -Dio.netty.leakDetection.level=paranoid"));
    var fuzzer =
        new Fuzzer(
            root,
            servers,
            new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
            secure ? Optional.of(LoopbackTrust.context()) : Optional.empty());
    try {
      servers.start(NODE);
      servers.awaitReady(NODE);
      fuzzer.prepare();
      return fuzzer;
    } catch (IOException | InterruptedException | RuntimeException failure) {
      fuzzer.close();
      throw failure;
    }
  }

  private void prepare() throws IOException, InterruptedException {
    try (Connection connection = connect()) {
      connection
          .files()
          .createBucket(
              new BucketSpec(
                  BUCKET,
                  new Family(1, 1, Durability.REPLICATED),
                  "",
                  FlushMode.CACHE_ONLY,
                  List.of(),
                  BucketSpec.DEFAULT_CHUNK_BYTES,
                  BucketSpec.DEFAULT_FLUSH_DELAY_MILLIS,
                  1_000));
    }
    JsonNode report = report();
    transport = Addresses.parse(report.path("nodes").path(0).path("address").asString(""));
    volumes =
        report
            .path("volumes")
            .valueStream()
            .map(volume ->
                new VolumeId(
                    Long.parseUnsignedLong(volume.path("id").asString("").substring(1), 16)))
            .toList();
    require(ask("PUT", canaryTarget(), canary).status() == 200, "the canary could not be written");
    Servers.await(
        "the end of the first connection",
        SETTLE_MILLIS / 1_000,
        () -> {
          rested = facts();
          return rested.getOrDefault("connections", 0L) == 0;
        });
  }

  /** On a crowded machine a handshake may take longer than a connection waits for it. */
  private Connection connect() {
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(BOUND_MILLIS);
    while (true) {
      try {
        return servers.connect(NODE);
      } catch (ForebayException failure) {
        if (failure.code() != ErrorCode.PEER_UNREACHABLE && failure.code() != ErrorCode.TIMEOUT) {
          throw failure;
        }
        if (System.nanoTime() > end) {
          throw new Defect("the server does not answer: " + failure.getMessage(), failure);
        }
      }
    }
  }

  private JsonNode report() {
    try (Connection connection = connect()) {
      return Json.parse(connection.files().report());
    }
  }

  /** How many talks of each name there were. */
  Map<String, Long> talks() {
    return talks;
  }

  private static String canaryTarget() {
    return "/" + BUCKET + "/canary";
  }

  private Signer signer(String secret) {
    return new Signer(host, ACCESS_KEY, secret, Instant.now());
  }

  /**
   * Has all talks of a seed, and looks what is left of them.
   *
   * @throws Defect with the seed and the last talks in it
   */
  void run(long wanted) throws IOException, InterruptedException {
    seed = wanted;
    last.clear();
    var dice = new Dice(seed);
    var doorTalks =
        new DoorTalks(
            dice, signer(SECRET_KEY), signer("wrong"), BUCKET, canaryTarget(), "s" + seed + "-");
    var wireTalks =
        new WireTalks(dice, Servers.SECRET.getBytes(UTF_8), BUCKET, new NodeId(NODE), volumes);
    try {
      for (int i = 0; i < TALKS_OF_A_SEED; i++) {
        if (dice.oneIn(WIRE_ONE_IN)) {
          wire(dice, wireTalks);
        } else {
          door(doorTalks.next());
        }
      }
      settle();
    } catch (Defect defect) {
      throw told(defect);
    }
  }

  private Defect told(Defect defect) {
    var text = new StringBuilder("seed ").append(seed).append(": ").append(defect.getMessage());
    text.append("\nthe last talks, the newest last:");
    last.forEach(each -> text.append('\n').append(each));
    return new Defect(text.toString(), defect);
  }

  private void remember(String name, List<byte[]> bytes) {
    talks.merge(name, 1L, Long::sum);
    var text = new StringBuilder(name).append(' ');
    int room = TOLD_BYTES;
    for (byte[] piece : bytes) {
      int length = Math.min(room, piece.length);
      text.append(HexFormat.of().formatHex(piece, 0, length));
      room -= length;
    }
    text.append(room == 0 ? "..." : "");
    if (last.size() == KEPT_TALKS) {
      last.remove();
    }
    last.add(text.toString());
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new Defect(otherwise);
    }
  }

  // --- the S3 door -----------------------------------------------------------------------------

  private void door(DoorTalk talk) throws IOException, InterruptedException {
    remember(talk.name(), talk.bytes());
    byte[] came;
    try (Line line = open(door, tls)) {
      talk.bytes().forEach(line::send);
      if (talk.ending() == Ending.RESET) {
        line.reset();
        return;
      }
      if (talk.ending() == Ending.END) {
        line.endOutput();
      }
      require(
          line.awaitEnd(BOUND_MILLIS),
          talk.name() + " was neither answered nor closed within " + BOUND_MILLIS + " ms");
      came = line.came();
    }
    int status = HttpAnswer.firstStatus(came);
    switch (talk.expected()) {
      case ANY -> {}
      case ANSWERS ->
          require(
              HttpAnswer.count(came) == talk.answers(),
              talk.name()
                  + " got "
                  + HttpAnswer.count(came)
                  + " of "
                  + talk.answers()
                  + " answers");
      case SUCCESS -> {
        require(
            status == 200,
            talk.name() + " was answered by " + status + ": " + new String(came, ISO_8859_1));
        HttpAnswer back = ask("GET", talk.key(), new byte[0]);
        require(
            back.status() == 200 && Arrays.equals(back.body(), talk.body()),
            talk.name() + " stored another body than was sent");
      }
      case REFUSAL -> {
        require(
            status == 0 || (status >= 400 && status < 500) || status == 501,
            talk.name() + " was answered by " + status);
        require(
            ask("HEAD", talk.key(), new byte[0]).status() == 404,
            talk.name() + " was refused, and is visible");
      }
    }
  }

  private Line open(InetSocketAddress to, Optional<SSLContext> context) {
    try {
      return Line.open(to, context);
    } catch (IOException failure) {
      throw new Defect("no connection to " + to + ": " + failure, failure);
    }
  }

  /** A request that is right, on a connection of its own; its answer must come. */
  private HttpAnswer ask(String method, String target, byte[] body)
      throws IOException, InterruptedException {
    byte[] head =
        signer(SECRET_KEY)
            .head(
                method,
                target,
                Signer.UNSIGNED,
                Map.of("content-length", Integer.toString(body.length)))
            .bytes();
    try (Line line = open(door, tls)) {
      line.send(head);
      line.send(body);
      require(
          line.awaitEnd(BOUND_MILLIS),
          method + " " + target + " was not answered within " + BOUND_MILLIS + " ms");
      return HttpAnswer.of(line.came())
          .orElseThrow(() -> new Defect(method + " " + target + " was not answered"));
    }
  }

  // --- the transport ---------------------------------------------------------------------------

  private void wire(Dice dice, WireTalks made) throws IOException, InterruptedException {
    boolean known = !dice.oneIn(3);
    try (Line line = open(transport, Optional.empty())) {
      if (known) {
        require(made.greet(line, BOUND_MILLIS), "a right handshake was not taken");
      }
      List<byte[]> frames = known ? made.known() : made.strange();
      remember(known ? "wire" : "wire-stranger", frames);
      frames.forEach(line::send);
      if (dice.oneIn(4)) {
        line.reset();
        return;
      }
      line.endOutput();
      require(
          line.awaitEnd(BOUND_MILLIS),
          "a connection whose peer has ended was not closed within " + BOUND_MILLIS + " ms");
    }
  }

  // --- what is left ----------------------------------------------------------------------------

  private void settle() throws IOException, InterruptedException {
    requireAlive();
    abortUploads();
    HttpAnswer back = ask("GET", canaryTarget(), new byte[0]);
    require(
        back.status() == 200 && Arrays.equals(back.body(), canary),
        "the canary is another one: status " + back.status());
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(SETTLE_MILLIS);
    Map<String, Long> now = facts();
    while (!now.equals(rested)) {
      require(
          System.nanoTime() < end,
          "what was taken does not come back: at rest " + rested + ", now " + now);
      Thread.sleep(100);
      now = facts();
    }
    long resident = residentBytes();
    if (residentBytes == 0) {
      residentBytes = resident;
    }
    require(
        resident < residentBytes + GROWTH_BYTES,
        "the process has grown from " + residentBytes + " to " + resident + " bytes");
    requireAlive();
  }

  private void abortUploads() throws IOException, InterruptedException {
    HttpAnswer listed = ask("GET", "/" + BUCKET + "?uploads=", new byte[0]);
    Matcher each = UPLOAD.matcher(new String(listed.body(), UTF_8));
    while (each.find()) {
      String target = "/" + BUCKET + "/" + each.group(1) + "?uploadId=" + each.group(2);
      require(ask("DELETE", target, new byte[0]).status() == 204, target + " could not be aborted");
    }
    String left = new String(ask("GET", "/" + BUCKET + "?uploads=", new byte[0]).body(), UTF_8);
    require(!left.contains("<Upload>"), "uploads are left: " + left);
  }

  private void requireAlive() throws IOException {
    String log = log();
    for (String line : log.lines().toList()) {
      require(
          BAD_LINES.stream().noneMatch(line::contains) || line.contains(WireTalks.NO_SUCH_CHUNK),
          "the server's log says: " + line + "\nall of it: " + root.resolve(NODE).resolve("log"));
    }
    require(
        ProcessHandle.of(servers.pid(NODE)).filter(ProcessHandle::isAlive).isPresent(),
        "the server has ended: " + log.substring(Math.max(0, log.length() - TOLD_BYTES)));
  }

  private String log() throws IOException {
    return Files.readString(root.resolve(NODE).resolve("log"));
  }

  /** What must be the same whenever nothing is under way. */
  private Map<String, Long> facts() {
    JsonNode report = report();
    var facts = new TreeMap<String, Long>();
    JsonNode door = report.path("door");
    door.propertyNames().forEach(name -> facts.put(name, door.path(name).asLong()));
    for (String name : List.of("writeMemoryFreeBytes", "readSlicesFree", "corruptReads")) {
      facts.put(name, report.path("counters").path(name).asLong());
    }
    facts.put("queuedBytes", report.path("volumes").path(0).path("queuedBytes").asLong());
    return facts;
  }

  private long residentBytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/" + servers.pid(NODE) + "/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
      }
    }
    throw new Defect("the server's memory is not told");
  }

  @Override
  public void close() {
    servers.close();
  }
}
