package io.forebay.gateway.s3;

import io.forebay.core.cluster.AccessKey;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Sends requests over sockets as they are told to be, also wrong ones; signs where asked to. */
final class RawClient {
  private static final DateTimeFormatter TIMESTAMP =
      DateTimeFormatter.ofPattern("uuuuMMdd'T'HHmmss'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);

  private final TestDoor door;
  final String host;

  RawClient(TestDoor door) {
    this.door = door;
    this.host = "127.0.0.1:" + door.server.address().getPort();
  }

  /** What was answered; header names in lower case. */
  record Response(int status, Map<String, String> headers, byte[] body) {
    String text() {
      return new String(body, StandardCharsets.UTF_8);
    }

    /** The text of the first element of that name; empty when there is none. */
    String xml(String element) {
      int begin = text().indexOf("<" + element + ">");
      int end = text().indexOf("</" + element + ">");
      return begin < 0 || end < begin ? "" : text().substring(begin + element.length() + 2, end);
    }

    String header(String name) {
      return headers.getOrDefault(name, "");
    }
  }

  /** Sends a request; its Host and Content-Length are added unless they are given. */
  Response send(String method, String target, byte[] body, String... headers) {
    return sendRaw(method, target, body, true, headers);
  }

  Response send(String method, String target, String body, String... headers) {
    return send(method, target, body.getBytes(StandardCharsets.UTF_8), headers);
  }

  Response send(String method, String target) {
    return send(method, target, new byte[0]);
  }

  /** The same; with {@code whole} false our side ends after what was sent. */
  Response sendRaw(String method, String target, byte[] body, boolean whole, String... headers) {
    var all = new ArrayList<>(List.of(headers));
    if (!has(headers, "host")) {
      all.addAll(List.of("Host", host));
    }
    if (!has(headers, "content-length") && !has(headers, "transfer-encoding")) {
      all.addAll(List.of("Content-Length", Integer.toString(body.length)));
    }
    all.addAll(List.of("Connection", "close"));
    var head = new StringBuilder(method + " " + target + " HTTP/1.1\r\n");
    for (int i = 0; i < all.size(); i += 2) {
      head.append(all.get(i)).append(": ").append(all.get(i + 1)).append("\r\n");
    }
    head.append("\r\n");
    try (Socket socket =
        new Socket(InetAddress.getLoopbackAddress(), door.server.address().getPort())) {
      socket.setSoTimeout(30_000);
      socket.getOutputStream().write(head.toString().getBytes(StandardCharsets.ISO_8859_1));
      try {
        socket.getOutputStream().write(body);
        if (!whole) {
          socket.shutdownOutput();
        }
      } catch (IOException refusedEarly) {
        // the answer says why
      }
      return read(new BufferedInputStream(socket.getInputStream()), method);
    } catch (IOException failed) {
      throw new AssertionError(method + " " + target, failed);
    }
  }

  private static boolean has(String[] headers, String name) {
    for (int i = 0; i < headers.length; i += 2) {
      if (headers[i].equalsIgnoreCase(name)) {
        return true;
      }
    }
    return false;
  }

  private static Response read(InputStream in, String method) throws IOException {
    String status = line(in);
    if (status.isEmpty()) {
      return new Response(0, Map.of(), new byte[0]); // closed without an answer
    }
    var headers = new TreeMap<String, String>();
    for (String line = line(in); !line.isEmpty(); line = line(in)) {
      int colon = line.indexOf(':');
      headers.put(
          line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
    }
    int length = Integer.parseInt(headers.getOrDefault("content-length", "0"));
    byte[] body = method.equals("HEAD") ? new byte[0] : in.readNBytes(length);
    return new Response(Integer.parseInt(status.substring(9, 12)), headers, body);
  }

  private static String line(InputStream in) throws IOException {
    var line = new ByteArrayOutputStream();
    for (int b = in.read(); b >= 0 && b != '\n'; b = in.read()) {
      line.write(b);
    }
    return line.toString(StandardCharsets.ISO_8859_1).stripTrailing();
  }

  /** How a request is signed; what a test makes wrong is given. */
  record Signing(AccessKey key, Instant at, String region, String host, String payload) {
    static Signing by(AccessKey key, RawClient client) {
      return new Signing(
          key,
          Instant.ofEpochMilli(client.door.env.wallMillis()),
          S3Config.DEFAULT_REGION,
          client.host,
          "UNSIGNED-PAYLOAD");
    }

    Signing at(Instant time) {
      return new Signing(key, time, region, host, payload);
    }

    Signing region(String other) {
      return new Signing(key, at, other, host, payload);
    }

    Signing host(String other) {
      return new Signing(key, at, region, other, payload);
    }

    Signing payload(String kind) {
      return new Signing(key, at, region, host, kind);
    }

    String timestamp() {
      return TIMESTAMP.format(at);
    }

    String scope() {
      return timestamp().substring(0, 8) + "/" + region + "/s3/aws4_request";
    }

    byte[] signingKey() {
      return Sha256.signingKey(key.secret(), timestamp().substring(0, 8), region, "s3");
    }

    String sign(String kind, String rest) {
      return HexFormat.of()
          .formatHex(
              Sha256.hmac(signingKey(), kind + "\n" + timestamp() + "\n" + scope() + "\n" + rest));
    }
  }

  Signing signing() {
    return Signing.by(TestDoor.KEY, this);
  }

  /** Headers of a signed request, the given ones (lower case, to be signed, too) among them. */
  String[] signed(Signing signing, String method, String target, String... headers) {
    var all = new TreeMap<String, String>();
    for (int i = 0; i < headers.length; i += 2) {
      all.put(headers[i], headers[i + 1]);
    }
    all.put("host", signing.host);
    all.put("x-amz-date", signing.timestamp());
    all.put("x-amz-content-sha256", signing.payload);
    String names = String.join(";", all.keySet());
    var canonical = new StringBuilder(method + "\n");
    int mark = target.indexOf('?');
    canonical.append(mark < 0 ? target : target.substring(0, mark)).append('\n');
    canonical.append(mark < 0 ? "" : target.substring(mark + 1)).append('\n');
    all.forEach((name, value) -> canonical.append(name).append(':').append(value).append('\n'));
    canonical.append('\n').append(names).append('\n').append(signing.payload);
    String signature =
        signing.sign(
            SignatureV4.ALGORITHM,
            Sha256.hex(canonical.toString().getBytes(StandardCharsets.ISO_8859_1)));
    all.put("host", host);
    all.put(
        "authorization",
        SignatureV4.ALGORITHM
            + " Credential="
            + signing.key.accessKeyId()
            + "/"
            + signing.scope()
            + ",SignedHeaders="
            + names
            + ",Signature="
            + signature);
    var flat = new ArrayList<String>();
    all.forEach((name, value) -> flat.addAll(List.of(name, value)));
    return flat.toArray(String[]::new);
  }

  /** A presigned target. */
  String presigned(Signing signing, String method, String path, int expiresSeconds) {
    String query =
        "X-Amz-Algorithm="
            + SignatureV4.ALGORITHM
            + "&X-Amz-Credential="
            + PercentCoding.encode(signing.key.accessKeyId() + "/" + signing.scope(), false)
            + "&X-Amz-Date="
            + signing.timestamp()
            + "&X-Amz-Expires="
            + expiresSeconds
            + "&X-Amz-SignedHeaders=host";
    String canonical =
        String.join(
            "\n", method, path, query, "host:" + signing.host, "", "host", "UNSIGNED-PAYLOAD");
    String signature =
        signing.sign(
            SignatureV4.ALGORITHM, Sha256.hex(canonical.getBytes(StandardCharsets.ISO_8859_1)));
    return path + "?" + query + "&X-Amz-Signature=" + signature;
  }

  /**
   * A body in signed chunks, with its trailer if there is one.
   *
   * @param seed the request's signature
   * @param wrong index of a chunk whose signature is made wrong; -1: none
   */
  static byte[] chunks(
      Signing signing, String seed, List<byte[]> chunks, int wrong, Optional<String> trailer) {
    var out = new ByteArrayOutputStream();
    String previous = seed;
    for (int i = 0; i <= chunks.size(); i++) {
      byte[] chunk = i < chunks.size() ? chunks.get(i) : new byte[0];
      String signature =
          signing.sign(
              "AWS4-HMAC-SHA256-PAYLOAD",
              previous + "\n" + Sha256.EMPTY_HEX + "\n" + Sha256.hex(chunk));
      previous = signature;
      String told = i == wrong ? "0".repeat(64) : signature;
      write(out, Integer.toHexString(chunk.length) + ";chunk-signature=" + told + "\r\n");
      out.writeBytes(chunk);
      if (chunk.length > 0) {
        write(out, "\r\n");
      }
    }
    if (trailer.isPresent()) {
      String line = trailer.get() + "\n";
      write(out, trailer.get() + "\r\n");
      String signature =
          signing.sign(
              "AWS4-HMAC-SHA256-TRAILER",
              previous + "\n" + Sha256.hex(line.getBytes(StandardCharsets.US_ASCII)));
      write(out, "x-amz-trailer-signature:" + signature + "\r\n");
    }
    write(out, "\r\n");
    return out.toByteArray();
  }

  private static void write(ByteArrayOutputStream out, String text) {
    out.writeBytes(text.getBytes(StandardCharsets.US_ASCII));
  }
}
