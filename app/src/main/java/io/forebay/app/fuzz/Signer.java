package io.forebay.app.fuzz;

import io.forebay.gateway.s3.Sha256;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Requests under signature version 4 in the header, and bodies in signed chunks, as of one moment.
 */
final class Signer {
  static final String UNSIGNED = "UNSIGNED-PAYLOAD";
  static final String CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
  static final String TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

  private static final String REGION = "us-east-1";
  private static final String ALGORITHM = "AWS4-HMAC-SHA256";

  private final String host;
  private final String accessKeyId;
  private final String timestamp;
  private final String scope;
  private final byte[] key;

  /** A request's head, and the signature in it, which chunks go on from. */
  record Head(byte[] bytes, String signature) {}

  /**
   * @param host as requests name it: HOST:PORT
   */
  Signer(String host, String accessKeyId, String secretAccessKey, Instant now) {
    this.host = host;
    this.accessKeyId = accessKeyId;
    this.timestamp =
        DateTimeFormatter.ofPattern("uuuuMMdd'T'HHmmss'Z'", Locale.ROOT)
            .withZone(ZoneOffset.UTC)
            .format(now);
    String date = timestamp.substring(0, 8);
    this.scope = date + "/" + REGION + "/s3/aws4_request";
    this.key = Sha256.signingKey(secretAccessKey, date, REGION, "s3");
  }

  /** A signed head, behind whose answer the server ends the connection. */
  Head head(String method, String target, String payload, Map<String, String> headers) {
    return head(method, target, payload, headers, true);
  }

  /**
   * A signed head.
   *
   * @param target coded, its query in order
   * @param payload what x-amz-content-sha256 says
   * @param headers names in lower case; all are signed
   * @param last whether the server is to end the connection behind its answer
   */
  Head head(
      String method, String target, String payload, Map<String, String> headers, boolean last) {
    var all = new TreeMap<>(headers);
    all.put("host", host);
    all.put("x-amz-date", timestamp);
    all.put("x-amz-content-sha256", payload);
    String names = String.join(";", all.keySet());
    int mark = target.indexOf('?');
    var canonical = new StringBuilder(512);
    canonical.append(method).append('\n');
    canonical.append(mark < 0 ? target : target.substring(0, mark)).append('\n');
    canonical.append(mark < 0 ? "" : target.substring(mark + 1)).append('\n');
    all.forEach(
        (name, value) -> canonical.append(name).append(':').append(value.strip()).append('\n'));
    canonical.append('\n').append(names).append('\n').append(payload);
    String signature =
        sign(ALGORITHM, Sha256.hex(canonical.toString().getBytes(StandardCharsets.ISO_8859_1)));
    var text = new StringBuilder(1024);
    text.append(method).append(' ').append(target).append(" HTTP/1.1\r\n");
    all.forEach((name, value) -> text.append(name).append(": ").append(value).append("\r\n"));
    text.append("authorization: ").append(ALGORITHM);
    text.append(" Credential=").append(accessKeyId).append('/').append(scope);
    text.append(",SignedHeaders=").append(names);
    text.append(",Signature=").append(signature).append("\r\n");
    text.append(last ? "connection: close\r\n\r\n" : "\r\n");
    return new Head(text.toString().getBytes(StandardCharsets.ISO_8859_1), signature);
  }

  private String sign(String kind, String rest) {
    return HexFormat.of()
        .formatHex(Sha256.hmac(key, kind + "\n" + timestamp + "\n" + scope + "\n" + rest));
  }

  /** The pieces of a body in signed chunks, each with its line before it; the last is empty. */
  List<byte[]> chunks(String seed, byte[] body, int chunkBytes) {
    var chunks = new ArrayList<byte[]>();
    String previous = seed;
    for (int at = 0; at <= body.length; at += chunkBytes) {
      byte[] piece = java.util.Arrays.copyOfRange(body, at, Math.min(body.length, at + chunkBytes));
      previous = chunk(chunks, previous, piece);
      if (piece.length == 0) {
        return chunks;
      }
    }
    chunk(chunks, previous, new byte[0]);
    return chunks;
  }

  private String chunk(List<byte[]> chunks, String previous, byte[] piece) {
    String signature =
        sign(ALGORITHM + "-PAYLOAD", previous + "\n" + Sha256.EMPTY_HEX + "\n" + Sha256.hex(piece));
    var out = new ByteArrayOutputStream(piece.length + 100);
    out.writeBytes(
        (Integer.toHexString(piece.length) + ";chunk-signature=" + signature + "\r\n")
            .getBytes(StandardCharsets.US_ASCII));
    out.writeBytes(piece);
    out.writeBytes("\r\n".getBytes(StandardCharsets.US_ASCII));
    chunks.add(out.toByteArray());
    return signature;
  }
}
