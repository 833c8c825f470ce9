package io.forebay.app.fuzz;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.app.fuzz.DoorTalk.Ending;
import io.forebay.app.fuzz.DoorTalk.Expected;
import io.forebay.gateway.s3.Sha256;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32;

/**
 * Makes talks for the S3 door out of chance: right ones, wrong ones, and right ones that were bent.
 */
final class DoorTalks {
  private static final int MAX_BODY_BYTES = 3 << 20;
  private static final int HUGE_XML_BYTES = 10 << 20;
  private static final byte[] NOTHING = {};

  /** Of all silences, so many: each keeps the run waiting for up to half a minute. */
  private static final int SILENCE_ONE_IN = 1_500;

  private final Dice dice;
  private final Signer signer;
  private final Signer stranger;
  private final String bucket;
  private final String canary;
  private final String prefix;
  private int keys;

  /**
   * @param stranger signs with a secret that is wrong
   * @param canary target of an object that is there
   * @param prefix of all keys that are written
   */
  DoorTalks(
      Dice dice, Signer signer, Signer stranger, String bucket, String canary, String prefix) {
    this.dice = dice;
    this.signer = signer;
    this.stranger = stranger;
    this.bucket = bucket;
    this.canary = canary;
    this.prefix = prefix;
  }

  DoorTalk next() {
    if (dice.oneIn(SILENCE_ONE_IN)) {
      return silence();
    }
    return switch (dice.below(13)) {
      case 0, 1 -> rightPut();
      case 2, 3 -> wrongPut();
      case 4 -> wrongChunks();
      case 5 -> ranges();
      case 6 -> xml();
      case 7 -> parts();
      case 8 -> queries();
      case 9 -> heads();
      case 10 -> names();
      case 11 -> pipelined();
      default -> bent();
    };
  }

  private String target() {
    return "/" + bucket + "/" + prefix + keys++;
  }

  private byte[] body() {
    return dice.bytes(
        switch (dice.below(6)) {
          case 0 -> 0;
          case 1 -> 1 + dice.below(10);
          case 2 -> 2_040 + dice.below(20); // around what lies in the manifest
          case 3 -> (1 << 16) + dice.below(3);
          case 4 -> dice.below(200_000);
          default -> dice.oneIn(4) ? dice.below(MAX_BODY_BYTES) : dice.below(10_000);
        });
  }

  private static byte[] text(String text) {
    return text.getBytes(ISO_8859_1);
  }

  private static byte[] joined(List<byte[]> pieces) {
    var out = new ByteArrayOutputStream();
    pieces.forEach(out::writeBytes);
    return out.toByteArray();
  }

  private Map<String, String> lengths(long length, String... more) {
    var headers = new TreeMap<String, String>();
    headers.put("content-length", Long.toString(length));
    for (int i = 0; i < more.length; i += 2) {
      headers.put(more[i], more[i + 1]);
    }
    return headers;
  }

  /** A request whose body is not signed. */
  private DoorTalk signed(
      String name, Expected expected, String method, String target, byte[] body) {
    return DoorTalk.of(
        name,
        expected,
        signer.head(method, target, Signer.UNSIGNED, lengths(body.length)).bytes(),
        body);
  }

  private DoorTalk rightPut() {
    String target = target();
    byte[] body = body();
    return switch (dice.below(4)) {
      case 0 -> signed("put", Expected.SUCCESS, "PUT", target, body).writing(target, body);
      case 1 -> {
        byte[] head = signer.head("PUT", target, Sha256.hex(body), lengths(body.length)).bytes();
        yield DoorTalk.of("put-hashed", Expected.SUCCESS, head, body).writing(target, body);
      }
      case 2 -> chunked(target, body, signedChunks(target, body), Expected.SUCCESS, "put-chunks");
      default -> {
        byte[] coded = trailed(body, crc32(body), 1 + dice.below(70_000));
        yield trailed(target, body, coded, Expected.SUCCESS, "put-trailer");
      }
    };
  }

  private record Coded(byte[] head, List<byte[]> chunks) {}

  private Coded signedChunks(String target, byte[] body) {
    int chunkBytes = 8_192 + dice.below(100_000);
    int whole = body.length / chunkBytes;
    int rest = body.length % chunkBytes;
    long length =
        (long) whole * chunkBytes(chunkBytes) + (rest == 0 ? 0 : chunkBytes(rest)) + chunkBytes(0);
    Signer.Head head =
        signer.head(
            "PUT",
            target,
            Signer.CHUNKS,
            lengths(
                length,
                "content-encoding",
                "aws-chunked",
                "x-amz-decoded-content-length",
                Integer.toString(body.length)));
    return new Coded(head.bytes(), signer.chunks(head.signature(), body, chunkBytes));
  }

  private static int chunkBytes(int length) {
    return Integer.toHexString(length).length()
        + ";chunk-signature=".length()
        + 64
        + 2
        + length
        + 2;
  }

  private DoorTalk chunked(
      String target, byte[] body, Coded coded, Expected expected, String name) {
    return DoorTalk.of(name, expected, coded.head, joined(coded.chunks)).writing(target, body);
  }

  private byte[] trailed(byte[] body, String trailer, int chunkBytes) {
    var out = new ByteArrayOutputStream();
    for (int at = 0; at < body.length; at += chunkBytes) {
      int length = Math.min(chunkBytes, body.length - at);
      out.writeBytes(text(Integer.toHexString(length) + "\r\n"));
      out.write(body, at, length);
      out.writeBytes(text("\r\n"));
    }
    out.writeBytes(text("0\r\n" + trailer + "\r\n"));
    return out.toByteArray();
  }

  private static String crc32(byte[] body) {
    var crc = new CRC32();
    crc.update(body);
    int value = (int) crc.getValue();
    byte[] bytes = {(byte) (value >> 24), (byte) (value >> 16), (byte) (value >> 8), (byte) value};
    return "x-amz-checksum-crc32:" + Base64.getEncoder().encodeToString(bytes) + "\r\n";
  }

  private DoorTalk trailed(
      String target, byte[] body, byte[] coded, Expected expected, String name) {
    byte[] head =
        signer
            .head(
                "PUT",
                target,
                Signer.TRAILER,
                lengths(
                    coded.length,
                    "content-encoding",
                    "aws-chunked",
                    "x-amz-decoded-content-length",
                    Integer.toString(body.length),
                    "x-amz-trailer",
                    "x-amz-checksum-crc32"))
            .bytes();
    return DoorTalk.of(name, expected, head, coded).writing(target, body);
  }

  private DoorTalk wrongPut() {
    String target = target();
    byte[] body = dice.bytes(1 + dice.below(50_000));
    byte[] other = body.clone();
    other[dice.below(other.length)] ^= 1;
    String hash = Sha256.hex(body);
    DoorTalk talk =
        switch (dice.below(7)) {
          case 0 ->
              DoorTalk.of(
                  "put-another-body",
                  Expected.REFUSAL,
                  signer.head("PUT", target, hash, lengths(body.length)).bytes(),
                  other);
          case 1 ->
              DoorTalk.of(
                  "put-by-a-stranger",
                  Expected.REFUSAL,
                  stranger.head("PUT", target, hash, lengths(body.length)).bytes(),
                  body);
          case 2 -> {
            byte[] head = signer.head("PUT", target, hash, lengths(body.length)).bytes();
            yield DoorTalk.of(
                    "put-cut-off",
                    Expected.REFUSAL,
                    head,
                    Arrays.copyOf(body, dice.below(body.length)))
                .ending(Ending.END);
          }
          case 3 ->
              DoorTalk.of(
                  "put-wrong-md5",
                  Expected.REFUSAL,
                  signer
                      .head(
                          "PUT",
                          target,
                          Signer.UNSIGNED,
                          lengths(
                              body.length,
                              "content-md5",
                              Base64.getEncoder().encodeToString(dice.bytes(dice.of(15, 16, 17)))))
                      .bytes(),
                  body);
          case 4 ->
              DoorTalk.of(
                  "put-wrong-checksum",
                  Expected.REFUSAL,
                  signer
                      .head(
                          "PUT",
                          target,
                          Signer.UNSIGNED,
                          lengths(
                              body.length,
                              "x-amz-checksum-"
                                  + dice.of("crc32", "crc32c", "crc64nvme", "sha1", "sha256"),
                              Base64.getEncoder()
                                  .encodeToString(dice.bytes(dice.of(3, 4, 8, 20, 32)))))
                      .bytes(),
                  body);
          case 5 ->
              DoorTalk.of(
                  "put-if-match",
                  Expected.REFUSAL,
                  signer
                      .head(
                          "PUT",
                          target,
                          Signer.UNSIGNED,
                          lengths(body.length, "if-match", "\"" + dice.word(32) + "\""))
                      .bytes(),
                  body);
          default ->
              DoorTalk.of(
                      "put-length-of-nonsense",
                      Expected.REFUSAL,
                      signer
                          .head(
                              "PUT",
                              target,
                              Signer.UNSIGNED,
                              Map.of(
                                  "content-length",
                                  dice.of("-1", "1e3", "99999999999", "0x10", "")))
                          .bytes(),
                      body)
                  .ending(Ending.END);
        };
    return talk.writing(target, NOTHING);
  }

  private DoorTalk wrongChunks() {
    String target = target();
    byte[] body = dice.bytes(20_000 + dice.below(100_000));
    if (dice.oneIn(2)) {
      Coded coded = signedChunks(target, body);
      List<byte[]> chunks = coded.chunks;
      int at = dice.below(chunks.size());
      byte[] chunk = chunks.get(at);
      int line = new String(chunk, ISO_8859_1).indexOf('\r');
      switch (dice.below(4)) {
        case 0 -> // a letter of the signature
            chunk[line - 1 - dice.below(64)] ^= 1;
        case 1 -> { // a byte of the data
          if (chunk.length > line + 4) {
            chunk[line + 2 + dice.below(chunk.length - line - 4)] ^= 1;
          } else {
            chunk[line - 1] ^= 1;
          }
        }
        case 2 -> chunks.remove(at);
        // Behind a letter that no number has: nothing, or a zero, in front of a size changes
        // nothing.
        default -> chunks.set(at, joined(List.of(text("g" + dice.number()), chunk)));
      }
      return chunked(target, NOTHING, coded, Expected.REFUSAL, "chunks-wrong").ending(Ending.END);
    }
    String size =
        dice.of("-5", "zz", "7fffffff", "ffffffffffffffffff", "5;x=" + dice.word(5_000), "");
    byte[] coded =
        switch (dice.below(5)) {
          case 0 -> trailed(body, "x-amz-checksum-crc32:AAAAAA==\r\n", 10_000);
          case 1 -> trailed(body, "", 10_000);
          case 2 -> trailed(body, "x-amz-checksum-crc32:" + dice.word(70_000) + "\r\n", 10_000);
          case 3 -> joined(List.of(text(size + "\r\n"), body));
          default -> Arrays.copyOf(trailed(body, crc32(body), 10_000), 5 + dice.below(body.length));
        };
    return trailed(target, NOTHING, coded, Expected.REFUSAL, "trailer-wrong");
  }

  private DoorTalk ranges() {
    String range =
        switch (dice.below(5)) {
          case 0 -> "bytes=" + dice.number() + "-" + dice.number();
          case 1 -> "bytes=-" + dice.number();
          case 2 -> "bytes=" + dice.number() + "-";
          case 3 -> "bytes=" + "0-1,".repeat(1 + dice.below(2_000)) + "5-6";
          default -> dice.word(dice.below(20)) + "=" + dice.number();
        };
    var headers = new TreeMap<String, String>();
    headers.put("range", ascii(range));
    if (dice.oneIn(4)) {
      headers.put("if-range", dice.of("\"x\"", "Thu, 01 Jan 1970 00:00:00 GMT", dice.number()));
      headers.replaceAll((name, value) -> ascii(value));
    }
    String target = canary + (dice.oneIn(3) ? "?partNumber=" + coded(dice.number()) : "");
    byte[] head = signer.head("GET", target, Signer.UNSIGNED, headers).bytes();
    return DoorTalk.of("range", Expected.ANSWERS, head);
  }

  private static String ascii(String text) {
    return text.replaceAll("[^ -~]", "?");
  }

  /** As the canonical form of a signature has it. */
  private static String coded(String text) {
    var out = new StringBuilder();
    for (byte b : text.getBytes(UTF_8)) {
      char c = (char) (b & 0xff);
      boolean plain = c < 0x80 && (Character.isLetterOrDigit(c) || "-._~".indexOf(c) >= 0);
      out.append(plain ? String.valueOf(c) : "%%%02X".formatted((int) c));
    }
    return out.toString();
  }

  private DoorTalk xml() {
    String target = dice.of("/" + bucket + "?delete=", target() + "?uploadId=" + dice.word(16));
    String xml =
        switch (dice.below(8)) {
          case 0 -> bomb();
          case 1 ->
              "<!DOCTYPE d SYSTEM \"file:///etc/passwd\"><Delete><Object><Key>k</Key></Object></Delete>";
          case 2 -> "<a>".repeat(1 + dice.below(200_000));
          case 3 ->
              "<Delete>"
                  + "<Object><Key>k</Key></Object>".repeat(1_001 + dice.below(2_000))
                  + "</Delete>";
          case 4 -> "<Delete>" + " ".repeat(dice.oneIn(10) ? HUGE_XML_BYTES : 100) + "<";
          case 5 -> "<Delete><Object><Key>" + "&#" + dice.number() + ";</Key></Object></Delete>";
          case 6 -> "<" + dice.word(1 + dice.below(3_000_000)) + "/>";
          default ->
              "<CompleteMultipartUpload><Part><PartNumber>"
                  + dice.number()
                  + "</PartNumber><ETag>"
                  + dice.word(32)
                  + "</ETag></Part></CompleteMultipartUpload>";
        };
    return signed("xml", Expected.ANSWERS, "POST", target, xml.getBytes(UTF_8));
  }

  private static String bomb() {
    var text = new StringBuilder("<?xml version=\"1.0\"?><!DOCTYPE b [<!ENTITY e0 \"ha\">");
    for (int i = 1; i < 30; i++) {
      text.append("<!ENTITY e").append(i).append(" \"");
      text.append(("&e" + (i - 1) + ";").repeat(10)).append("\">");
    }
    return text.append("]><Delete><Object><Key>&e29;</Key></Object></Delete>").toString();
  }

  private DoorTalk parts() {
    String target = target();
    String query =
        "?partNumber="
            + coded(dice.number())
            + "&uploadId="
            + coded(dice.of(dice.word(16), dice.number()));
    return signed("part", Expected.REFUSAL, "PUT", target + query, dice.bytes(dice.below(5_000)))
        .writing(target, NOTHING);
  }

  private DoorTalk queries() {
    var query = new TreeMap<String, String>();
    for (int i = dice.below(6); i >= 0; i--) {
      query.put(
          dice.of(
              "list-type",
              "max-keys",
              "prefix",
              "delimiter",
              "start-after",
              "continuation-token",
              "marker",
              "encoding-type",
              "uploads",
              "versions",
              "key-marker",
              "upload-id-marker",
              "max-uploads",
              "fetch-owner",
              "acl",
              "tagging",
              "attributes",
              "versionId",
              "response-content-type",
              dice.word(5)),
          dice.oneIn(3)
              ? coded(dice.number())
              : dice.of("2", "url", "%FF%FE", "%00", "%2F", dice.word(2_000), coded(dice.word(3))));
    }
    var text = new StringBuilder();
    query.forEach((name, value) ->
        text.append(text.isEmpty() ? '?' : '&').append(name).append('=').append(value));
    String target = dice.of("/", "/" + bucket, canary, "/" + dice.word(300)) + text;
    return signed("query", Expected.ANSWERS, dice.of("GET", "POST", "OPTIONS"), target, NOTHING);
  }

  private DoorTalk heads() {
    String start = "GET / HTTP/1.1\r\nHost: x\r\n";
    String head =
        switch (dice.below(12)) {
          case 0 -> "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
          case 1 -> "GET /\r\n\r\n";
          case 2 -> start + "X: " + dice.word(70_000) + "\r\n\r\n";
          case 3 -> start + "X: y\r\n".repeat(20_000) + "\r\n";
          case 4 -> "GET /" + dice.word(70_000) + " HTTP/1.1\r\nHost: x\r\n\r\n";
          case 5 -> start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
          case 6 ->
              "PUT /"
                  + bucket
                  + "/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
                  + dice.number()
                  + "\r\nabc\r\n0\r\n\r\n";
          case 7 -> dice.word(1 + dice.below(300)) + " / HTTP/1.1\r\nHost: \0\r\n\r\n";
          case 8 -> start + " folded: " + dice.word(10) + "\r\n\tmore\r\n\r\n";
          case 9 ->
              start + "Authorization: AWS4-HMAC-SHA256 " + dice.word(dice.below(500)) + "\r\n\r\n";
          case 10 ->
              start + "Expect: 100-continue\r\nContent-Length: " + dice.number() + "\r\n\r\n";
          default ->
              "POST /"
                  + bucket
                  + " HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary="
                  + dice.of("b", "", dice.word(100))
                  + "\r\nContent-Length: 500\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n"
                  + dice.word(400);
        };
    byte[] bytes = head.getBytes(UTF_8);
    return DoorTalk.of("head", Expected.ANY, dice.oneIn(4) ? dice.bytes(dice.below(3_000)) : bytes)
        .ending(Ending.END);
  }

  private DoorTalk names() {
    String name =
        dice.of(
            "%FF%FE",
            "%C0%AF",
            "%00",
            "..",
            "a/../b",
            "%2e%2e/x",
            "//",
            "%zz",
            "%",
            "a".repeat(1_025),
            "%ED%A0%80",
            "\u00ff\u00fe",
            dice.word(100) + "/".repeat(200));
    String target = "/" + dice.of(bucket, "..", "A_B", "%FF", dice.word(64)) + "/" + name;
    return signed(
        "name", Expected.ANY, dice.of("PUT", "GET", "DELETE", "HEAD", "POST"), target, NOTHING);
  }

  private DoorTalk pipelined() {
    int count = 1 + dice.below(40);
    var out = new ByteArrayOutputStream();
    for (int i = 1; i < count; i++) {
      byte[] body = dice.bytes(dice.below(3_000));
      switch (dice.below(3)) {
        case 0 ->
            out.writeBytes(
                signer
                    .head("GET", canary, Signer.UNSIGNED, Map.of("range", "bytes=5-5000"), false)
                    .bytes());
        case 1 -> {
          out.writeBytes(
              signer.head("PUT", target(), Signer.UNSIGNED, lengths(body.length), false).bytes());
          out.writeBytes(body);
        }
        default ->
            out.writeBytes(
                stranger.head("DELETE", canary, Signer.UNSIGNED, Map.of(), false).bytes());
      }
    }
    out.writeBytes(signer.head("GET", "/" + bucket, Signer.UNSIGNED, Map.of()).bytes());
    if (dice.oneIn(2)) {
      out.writeBytes(dice.bytes(dice.below(200)));
    }
    DoorTalk talk = DoorTalk.of("pipelined", Expected.ANSWERS, out.toByteArray()).answers(count);
    return dice.oneIn(4) ? talk.ending(Ending.RESET) : talk;
  }

  private DoorTalk bent() {
    DoorTalk good =
        switch (dice.below(4)) {
          case 0 -> signed("bent-get", Expected.ANY, "GET", canary, NOTHING);
          case 1 ->
              signed("bent-list", Expected.ANY, "GET", "/" + bucket + "?list-type=2", NOTHING);
          default -> rightPut();
        };
    byte[] all = dice.bent(joined(good.bytes()));
    DoorTalk talk = DoorTalk.of("bent-" + good.name(), Expected.ANY, all).ending(Ending.END);
    return dice.oneIn(5) ? talk.ending(Ending.RESET) : talk;
  }

  /** Begins something right and falls silent in the middle of it. */
  private DoorTalk silence() {
    DoorTalk good = rightPut();
    byte[] all = joined(good.bytes());
    byte[] some = Arrays.copyOf(all, dice.below(all.length));
    return DoorTalk.of("silence", Expected.ANY, some);
  }
}
