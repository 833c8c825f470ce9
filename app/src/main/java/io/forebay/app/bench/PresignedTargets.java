package io.forebay.app.bench;

import io.forebay.gateway.s3.Sha256;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Targets of requests that carry their signature in the query (AWS Signature Version 4, presigned,
 * the body not signed), as a client's library would make them.
 */
final class PresignedTargets {
  private static final String REGION = "us-east-1";
  private static final String ALGORITHM = "AWS4-HMAC-SHA256";
  private static final int EXPIRES_SECONDS = 6 * 3_600;

  private final String host;
  private final String timestamp;
  private final String scope;
  private final String credential;
  private final byte[] signingKey;

  /**
   * @param host as requests name it: HOST:PORT
   */
  PresignedTargets(String host, String accessKeyId, String secretAccessKey, Instant now) {
    this.host = host;
    this.timestamp =
        DateTimeFormatter.ofPattern("uuuuMMdd'T'HHmmss'Z'", Locale.ROOT)
            .withZone(ZoneOffset.UTC)
            .format(now);
    String date = timestamp.substring(0, 8);
    this.scope = date + "/" + REGION + "/s3/aws4_request";
    this.credential = accessKeyId + "/" + scope;
    this.signingKey = Sha256.signingKey(secretAccessKey, date, REGION, "s3");
  }

  /** The host that was signed; what the header Host must say. */
  String host() {
    return host;
  }

  /**
   * A signed target.
   *
   * @param path of characters that need no escape
   * @param query beside the signature's own parameters
   */
  String of(String method, String path, Map<String, String> query) {
    var sorted = new TreeMap<String, String>();
    query.forEach((name, value) -> sorted.put(encode(name), encode(value)));
    sorted.put("X-Amz-Algorithm", ALGORITHM);
    sorted.put("X-Amz-Credential", encode(credential));
    sorted.put("X-Amz-Date", timestamp);
    sorted.put("X-Amz-Expires", Integer.toString(EXPIRES_SECONDS));
    sorted.put("X-Amz-SignedHeaders", "host");
    var text = new StringBuilder();
    sorted.forEach((name, value) ->
        text.append(text.isEmpty() ? "" : "&").append(name).append('=').append(value));
    String canonical =
        method + "\n" + path + "\n" + text + "\nhost:" + host + "\n\nhost\nUNSIGNED-PAYLOAD";
    String toSign =
        ALGORITHM
            + "\n"
            + timestamp
            + "\n"
            + scope
            + "\n"
            + Sha256.hex(canonical.getBytes(StandardCharsets.UTF_8));
    return path
        + "?"
        + text
        + "&X-Amz-Signature="
        + HexFormat.of().formatHex(Sha256.hmac(signingKey, toSign));
  }

  private static String encode(String text) {
    var out = new StringBuilder(text.length() + 16);
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xFF);
      if ((c >= 'a' && c <= 'z')
          || (c >= 'A' && c <= 'Z')
          || (c >= '0' && c <= '9')
          || "-._~".indexOf(c) >= 0) {
        out.append(c);
      } else {
        out.append('%').append(HexFormat.of().withUpperCase().toHexDigits(b));
      }
    }
    return out.toString();
  }
}
