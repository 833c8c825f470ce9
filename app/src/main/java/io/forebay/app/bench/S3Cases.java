package io.forebay.app.bench;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The objects and requests of {@code bench s3}; the same bytes go to either server. */
final class S3Cases {
  static final String BUCKET = "bench";

  static final List<String> NAMES =
      List.of(
          "head-present",
          "head-absent",
          "get-1k",
          "get-1k-unsigned",
          "get-1m",
          "get-8m",
          "get-64m",
          "range-128k",
          "put-1k",
          "put-8m",
          "put-64m",
          "multipart",
          "list",
          StartCase.NAME);

  private static final long SEED = 42;
  private static final int KIB = 1 << 10;
  private static final int MIB = 1 << 20;
  private static final int ABSENT = 256;
  private static final int PARTS = 16;

  /** S3's least size of a part that is not the last. */
  private static final int LEAST_PART_BYTES = 5 * MIB;

  private static final Pattern UPLOAD_ID = Pattern.compile("<UploadId>([^<]+)</UploadId>");

  /**
   * A kind of request.
   *
   * @param writes whether it fills the disk
   * @param onNginx whether nginx has the like of it
   */
  record Case(
      String name, HttpLoad.Work work, int maxConnections, boolean writes, boolean onNginx) {}

  /** Objects of one size, which are there before anything is measured. */
  private record Objects(String prefix, int count, int lengthBytes) {
    String path(long i) {
      return String.format(Locale.ROOT, "/%s/%s/%04d", BUCKET, prefix, i);
    }
  }

  private final PresignedTargets targets;
  private final ByteBuffer noise;
  private final Objects small;
  private final Objects ofMiB;
  private final Objects of8MiB;
  private final Objects of64MiB;
  private final int rangeBytes;
  private final int partBytes;
  private final int parts;

  /**
   * @param host of the S3 door, HOST:PORT
   * @param shrink divides all sizes and counts
   */
  S3Cases(String host, String accessKeyId, String secretAccessKey, int shrink) {
    targets = new PresignedTargets(host, accessKeyId, secretAccessKey, Instant.now());
    small = new Objects("small", Math.max(10, 1_000 / shrink), KIB);
    ofMiB = new Objects("1m", 16, Math.max(KIB, MIB / shrink));
    of8MiB = new Objects("8m", 8, Math.max(KIB, 8 * MIB / shrink));
    of64MiB = new Objects("64m", 2, Math.max(KIB, 64 * MIB / shrink));
    rangeBytes = Math.max(KIB, 128 * KIB / shrink);
    partBytes = Math.max(LEAST_PART_BYTES, 16 * MIB / shrink);
    parts = Math.max(2, PARTS / shrink);
    var random = new byte[Math.max(of64MiB.lengthBytes(), partBytes) + MIB];
    new Random(SEED).nextBytes(random);
    noise = ByteBuffer.allocateDirect(random.length).put(random).flip().asReadOnlyBuffer();
  }

  /** Content of an object; objects beside each other differ. */
  private ByteBuffer content(long i, int lengthBytes) {
    return noise.slice((int) (i % 256) * 4 * KIB, lengthBytes);
  }

  /**
   * Puts the objects that are read into the node and into the directory that nginx serves, reads
   * some of them back from the node, and compares.
   */
  void fill(HttpEnd forebay, Path files) throws IOException {
    for (Objects objects : List.of(small, ofMiB, of8MiB, of64MiB)) {
      Files.createDirectories(files.resolve(objects.path(0).substring(1)).getParent());
      for (int i = 0; i < objects.count(); i++) {
        try (FileChannel out =
            FileChannel.open(
                files.resolve(objects.path(i).substring(1)),
                StandardOpenOption.CREATE,
                StandardOpenOption.WRITE)) {
          ByteBuffer content = content(i, objects.lengthBytes());
          while (content.hasRemaining()) {
            out.write(content);
          }
        }
      }
      try (var line = forebay.open()) {
        for (int i = 0; i < objects.count(); i++) {
          put(line, objects.path(i), content(i, objects.lengthBytes()));
        }
        for (int i = 0; i < Math.min(2, objects.count()); i++) {
          var got = new ByteArrayOutputStream();
          line.exchange(get("GET", objects.path(i), Map.of()), null, 200, false, got);
          if (!content(i, objects.lengthBytes()).equals(ByteBuffer.wrap(got.toByteArray()))) {
            throw new ForebayException(
                ErrorCode.CORRUPT, objects.path(i) + " is read back with other bytes");
          }
        }
      }
    }
  }

  /** Makes the bucket as a client of S3 does, with the node's defaults. */
  void makeBucket(HttpLine line) throws IOException {
    line.exchange(get("PUT", "/" + BUCKET, Map.of()), null, HttpLine.ANY_SUCCESS, false, null);
  }

  /** Puts a small object. */
  void putOne(HttpLine line, ByteBuffer body) throws IOException {
    put(line, "/" + BUCKET + "/one", body);
  }

  /** All cases but {@link StartCase}, in the order of {@link #NAMES}. */
  List<Case> all() {
    var all = new ArrayList<Case>();
    all.add(
        reading(
            "head-present", heads(requests("HEAD", small.count(), small::path, Map.of()), 200)));
    all.add(
        reading(
            "head-absent",
            heads(requests("HEAD", ABSENT, i -> "/" + BUCKET + "/absent/" + i, Map.of()), 404)));
    all.add(reading("get-1k", gets(small)));
    all.add(
        reading(
            "get-1k-unsigned",
            bodies(
                strings(small.count(), i -> HttpLine.head("GET", small.path(i), targets.host())),
                small.lengthBytes())));
    all.add(reading("get-1m", gets(ofMiB)));
    all.add(reading("get-8m", gets(of8MiB)));
    all.add(reading("get-64m", gets(of64MiB)));
    all.add(reading("range-128k", ranges()));
    all.add(writing("put-1k", KIB, 64, Integer.MAX_VALUE));
    all.add(writing("put-8m", of8MiB.lengthBytes(), 4, Integer.MAX_VALUE));
    all.add(writing("put-64m", of64MiB.lengthBytes(), 2, 4));
    all.add(new Case("multipart", this::multipart, 2, true, false));
    all.add(new Case("list", listing(), Integer.MAX_VALUE, false, false));
    return all;
  }

  private static Case reading(String name, HttpLoad.Work work) {
    return new Case(name, work, Integer.MAX_VALUE, false, true);
  }

  private interface PathOf {
    String of(long i);
  }

  private interface RequestOf {
    byte[] of(long i);
  }

  private byte[] get(String method, String path, Map<String, String> query) {
    return HttpLine.head(method, targets.of(method, path, query), targets.host());
  }

  private byte[][] requests(String method, int count, PathOf path, Map<String, String> query) {
    return strings(count, i -> get(method, path.of(i), query));
  }

  private static byte[][] strings(int count, RequestOf request) {
    var all = new byte[count][];
    for (int i = 0; i < count; i++) {
      all[i] = request.of(i);
    }
    return all;
  }

  /** Each connection goes through all of them, and begins at another one. */
  private static int pick(int connection, long turn, int count) {
    return (int) ((connection * 131L + turn) % count);
  }

  /** Of an answer without a body the head is counted. */
  private static HttpLoad.Work heads(byte[][] requests, int status) {
    return (line, connection, turn) -> {
      line.exchange(requests[pick(connection, turn, requests.length)], null, status, true, null);
      return line.headBytes();
    };
  }

  private HttpLoad.Work gets(Objects objects) {
    return bodies(requests("GET", objects.count(), objects::path, Map.of()), objects.lengthBytes());
  }

  private static HttpLoad.Work bodies(byte[][] requests, int lengthBytes) {
    return (line, connection, turn) ->
        expect(
            lengthBytes,
            line.exchange(
                requests[pick(connection, turn, requests.length)], null, 200, false, null));
  }

  private static long expect(long wanted, long got) throws IOException {
    if (got != wanted) {
      throw new IOException("an answer has " + got + " bytes, not " + wanted);
    }
    return got;
  }

  private HttpLoad.Work ranges() {
    String[] starts = new String[of64MiB.count()];
    for (int i = 0; i < starts.length; i++) {
      starts[i] = targets.of("GET", of64MiB.path(i), Map.of());
    }
    return (line, connection, turn) -> {
      long from = ThreadLocalRandom.current().nextLong(of64MiB.lengthBytes() - rangeBytes + 1L);
      byte[] request =
          HttpLine.head(
              "GET",
              starts[pick(connection, turn, starts.length)],
              targets.host(),
              "Range: bytes=" + from + "-" + (from + rangeBytes - 1));
      return expect(rangeBytes, line.exchange(request, null, 206, false, null));
    };
  }

  private Case writing(String name, int lengthBytes, int keysPerConnection, int maxConnections) {
    return new Case(
        name,
        (line, connection, turn) -> {
          String path =
              "/" + BUCKET + "/" + name + "/" + connection + "-" + turn % keysPerConnection;
          put(line, path, content(turn, lengthBytes));
          return lengthBytes;
        },
        maxConnections,
        true,
        true);
  }

  private void put(HttpLine line, String path, ByteBuffer body) throws IOException {
    put(line, path, Map.of(), body);
  }

  private void put(HttpLine line, String path, Map<String, String> query, ByteBuffer body)
      throws IOException {
    byte[] request =
        HttpLine.head(
            "PUT",
            targets.of("PUT", path, query),
            targets.host(),
            "Content-Length: " + body.remaining());
    line.exchange(request, body, HttpLine.ANY_SUCCESS, false, null);
  }

  private long multipart(HttpLine line, int connection, long turn) throws IOException {
    String path = "/" + BUCKET + "/multipart/" + connection;
    String created = post(line, path, Map.of("uploads", ""), "");
    Matcher id = UPLOAD_ID.matcher(created);
    if (!id.find()) {
      throw new IOException("an upload was begun without an id: " + created);
    }
    var xml = new StringBuilder("<CompleteMultipartUpload>");
    for (int part = 1; part <= parts; part++) {
      var query = new TreeMap<String, String>();
      query.put("partNumber", Integer.toString(part));
      query.put("uploadId", id.group(1));
      put(line, path, query, content(turn + part, partBytes));
      xml.append("<Part><PartNumber>").append(part).append("</PartNumber><ETag>");
      xml.append(line.header("etag", "")).append("</ETag></Part>");
    }
    xml.append("</CompleteMultipartUpload>");
    String completed = post(line, path, Map.of("uploadId", id.group(1)), xml.toString());
    if (!completed.contains("<ETag>")) {
      throw new IOException("an upload was not completed: " + completed);
    }
    return (long) parts * partBytes;
  }

  private String post(HttpLine line, String path, Map<String, String> query, String body)
      throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    byte[] request =
        HttpLine.head(
            "POST",
            targets.of("POST", path, query),
            targets.host(),
            "Content-Length: " + bytes.length);
    @Nullable ByteBuffer content = bytes.length == 0 ? null : ByteBuffer.wrap(bytes);
    var answer = new ByteArrayOutputStream();
    line.exchange(request, content, 200, false, answer);
    return answer.toString(StandardCharsets.UTF_8);
  }

  private HttpLoad.Work listing() {
    byte[] request = get("GET", "/" + BUCKET, Map.of("list-type", "2", "prefix", "small/"));
    String counted = "<KeyCount>" + small.count() + "</KeyCount>";
    return (line, connection, turn) -> {
      if (turn > 0) {
        return line.exchange(request, null, 200, false, null);
      }
      var page = new ByteArrayOutputStream();
      long length = line.exchange(request, null, 200, false, page);
      String text = page.toString(StandardCharsets.UTF_8);
      if (!text.contains(counted)) {
        throw new IOException(
            "a list lacks keys: " + text.substring(0, Math.min(500, text.length())));
      }
      return length;
    };
  }
}
