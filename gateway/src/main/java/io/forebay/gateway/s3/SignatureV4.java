package io.forebay.gateway.s3;

import io.forebay.core.cluster.AccessKey;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.gateway.http.Header;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import javax.crypto.Mac;

/**
 * Checks AWS Signature Version 4, in the Authorization header or in a presigned URL
 * ("Authenticating Requests (AWS Signature Version 4)" of the Amazon S3 API reference).
 */
final class SignatureV4 {
  static final String ALGORITHM = "AWS4-HMAC-SHA256";
  static final long MAX_SKEW_MILLIS = 15 * 60_000L;
  private static final int MAX_EXPIRES_SECONDS = 7 * 24 * 3600;
  private static final String UNSIGNED = "UNSIGNED-PAYLOAD";
  private static final Pattern SHA256_HEX = Pattern.compile("[0-9a-f]{64}");
  private static final Pattern SPACES = Pattern.compile(" +");

  /** Headers that AWS lets pass unsigned although their names begin with x-amz-. */
  private static final Set<String> MAY_BE_UNSIGNED =
      Set.of("x-amz-content-sha256", "x-amz-user-agent");

  /** Most signing keys that are kept: a key, region and day make one. */
  private static final int MAX_SIGNING_KEYS = 1_024;

  private final S3Config config;
  private final AccessKeys keys;

  /** Derived ones, for four HMACs take longer than the rest of a check. Only of keys that exist. */
  private final ConcurrentHashMap<SigningKeyOf, SigningKey> signingKeys = new ConcurrentHashMap<>();

  SignatureV4(S3Config config, AccessKeys keys) {
    this.config = config;
    this.keys = keys;
  }

  /** The whole of what a signing key is derived from: a changed secret is another one. */
  private record SigningKeyOf(AccessKey key, String date, String region) {}

  private record SigningKey(byte[] bytes, Mac mac) {}

  private record Credential(String accessKeyId, String date, String region, String scope) {}

  /**
   * Finds out who sends a request.
   *
   * @throws ForebayException UNAUTHENTICATED, NO_SUCH_ACCESS_KEY, SIGNATURE_MISMATCH, CLOCK_SKEW,
   *     ACCESS_DENIED (expired)
   * @throws S3Refusal when the claim itself is malformed
   */
  Caller verify(S3Request request, long nowMillis) {
    Optional<String> authorization = request.header("authorization");
    if (authorization.isPresent()) {
      return verifyHeader(request, authorization.get(), nowMillis);
    }
    if (request.has("X-Amz-Algorithm") || request.has("X-Amz-Signature")) {
      return verifyPresigned(request, nowMillis);
    }
    if (request.has("Signature") && request.has("AWSAccessKeyId")) {
      throw onlyV4();
    }
    if (!config.anonymous() || !request.head().peer().isLoopbackAddress()) {
      throw new ForebayException(
          ErrorCode.UNAUTHENTICATED, "the request is not signed; sign it with an access key");
    }
    return anonymous(request.header("x-amz-content-sha256").orElse(UNSIGNED));
  }

  private Caller anonymous(String payload) {
    return caller(Rights.ALL, payload, Optional.empty());
  }

  private Rights rights(Credential credential) {
    return new Rights(keys.grants(credential.accessKeyId));
  }

  /**
   * Finds out who has signed a form's policy ("Authenticating Requests in Browser-Based Uploads
   * Using POST"). A form without a policy is an unsigned request.
   *
   * @param fields of the form, by lower-case name
   * @throws ForebayException UNAUTHENTICATED, NO_SUCH_ACCESS_KEY, SIGNATURE_MISMATCH
   * @throws S3Refusal when the claim itself is malformed
   */
  Caller verifyForm(S3Request request, Map<String, String> fields) {
    if (!fields.containsKey("policy")) {
      if (!config.anonymous() || !request.head().peer().isLoopbackAddress()) {
        throw new ForebayException(
            ErrorCode.UNAUTHENTICATED, "the form has no policy; sign one with an access key");
      }
      return anonymous(UNSIGNED);
    }
    if (fields.containsKey("awsaccesskeyid")) {
      throw onlyV4();
    }
    if (!field(fields, "x-amz-algorithm").equals(ALGORITHM)) {
      throw new S3Refusal(S3Code.INVALID_ARGUMENT, "x-amz-algorithm must be " + ALGORITHM);
    }
    Credential credential =
        credential(field(fields, "x-amz-credential"), S3Code.AUTHORIZATION_QUERY_ERROR);
    String timestamp = field(fields, "x-amz-date");
    var _ = millis(timestamp, S3Code.AUTHORIZATION_QUERY_ERROR);
    checkDate(credential, timestamp, S3Code.AUTHORIZATION_QUERY_ERROR);
    SigningKey signingKey = signingKey(credential);
    String expected =
        HexFormat.of().formatHex(Sha256.hmac(signingKey.mac, field(fields, "policy")));
    if (!Sha256.same(expected, field(fields, "x-amz-signature"))) {
      throw new ForebayException(
          ErrorCode.SIGNATURE_MISMATCH,
          "the signature of the policy does not match: check the secret key");
    }
    return new Caller(
        false, rights(credential), Caller.Payload.PLAIN, Optional.empty(), Optional.empty());
  }

  private static String field(Map<String, String> fields, String name) {
    String value = fields.get(name);
    if (value == null) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT,
          "Bucket POST must contain a field named '"
              + name
              + "'. If it is specified, please check"
              + " the order of the fields.");
    }
    return value;
  }

  private Caller verifyHeader(S3Request request, String authorization, long nowMillis) {
    if (!authorization.startsWith(ALGORITHM + " ")) {
      throw onlyV4();
    }
    String credentialText = "";
    String signedHeaders = "";
    String signature = "";
    for (String part : authorization.substring(ALGORITHM.length() + 1).split(",", -1)) {
      String field = part.strip();
      int equals = field.indexOf('=');
      String value = equals < 0 ? "" : field.substring(equals + 1);
      switch (equals < 0 ? "" : field.substring(0, equals)) {
        case "Credential" -> credentialText = value;
        case "SignedHeaders" -> signedHeaders = value;
        case "Signature" -> signature = value;
        default ->
            throw malformed("it has a field other than Credential, SignedHeaders, Signature");
      }
    }
    if (credentialText.isEmpty() || signedHeaders.isEmpty() || signature.isEmpty()) {
      throw malformed("it needs Credential, SignedHeaders and Signature");
    }
    Credential credential = credential(credentialText, S3Code.AUTHORIZATION_HEADER_MALFORMED);
    String timestamp =
        request
            .header("x-amz-date")
            .orElseThrow(() ->
                new ForebayException(
                    ErrorCode.UNAUTHENTICATED, "a signed request needs the header x-amz-date"));
    long signedMillis = millis(timestamp, S3Code.AUTHORIZATION_HEADER_MALFORMED);
    checkDate(credential, timestamp, S3Code.AUTHORIZATION_HEADER_MALFORMED);
    if (Math.abs(nowMillis - signedMillis) > MAX_SKEW_MILLIS) {
      throw new ForebayException(
          ErrorCode.CLOCK_SKEW,
          "the request was signed at "
              + timestamp
              + ", more than 15 minutes from this server's clock");
    }
    String payload =
        request
            .header("x-amz-content-sha256")
            .orElseThrow(() ->
                new S3Refusal(
                    S3Code.INVALID_REQUEST,
                    "Missing required header for this request: x-amz-content-sha256"));
    Caller.ChunkSigning signing =
        check(request, credential, timestamp, signedHeaders, signature, payload, false);
    return caller(rights(credential), payload, Optional.of(signing));
  }

  private Caller verifyPresigned(S3Request request, long nowMillis) {
    if (!request.param("X-Amz-Algorithm").orElse("").equals(ALGORITHM)) {
      throw queryError("X-Amz-Algorithm must be " + ALGORITHM);
    }
    Credential credential =
        credential(required(request, "X-Amz-Credential"), S3Code.AUTHORIZATION_QUERY_ERROR);
    String timestamp = required(request, "X-Amz-Date");
    long signedMillis = millis(timestamp, S3Code.AUTHORIZATION_QUERY_ERROR);
    checkDate(credential, timestamp, S3Code.AUTHORIZATION_QUERY_ERROR);
    int expires;
    try {
      expires = Integer.parseInt(required(request, "X-Amz-Expires"));
    } catch (NumberFormatException notANumber) {
      throw queryError("X-Amz-Expires must be a number of seconds");
    }
    if (expires < 1 || expires > MAX_EXPIRES_SECONDS) {
      throw queryError("X-Amz-Expires must be 1 to " + MAX_EXPIRES_SECONDS + " seconds");
    }
    if (nowMillis > signedMillis + expires * 1000L) {
      throw new ForebayException(ErrorCode.ACCESS_DENIED, "Request has expired");
    }
    if (signedMillis > nowMillis + MAX_SKEW_MILLIS) {
      throw new ForebayException(ErrorCode.ACCESS_DENIED, "Request is not yet valid");
    }
    String payload =
        request
            .param("X-Amz-Content-Sha256")
            .or(() -> request.header("x-amz-content-sha256"))
            .orElse(UNSIGNED);
    Caller.ChunkSigning signing =
        check(
            request,
            credential,
            timestamp,
            required(request, "X-Amz-SignedHeaders"),
            required(request, "X-Amz-Signature"),
            payload,
            true);
    return caller(rights(credential), payload, Optional.of(signing));
  }

  private Caller.ChunkSigning check(
      S3Request request,
      Credential credential,
      String timestamp,
      String signedHeaders,
      String signature,
      String payload,
      boolean presigned) {
    List<String> signed = List.of(signedHeaders.split(";", -1));
    SigningKey signingKey = signingKey(credential);
    checkSigned(request, signed);
    // Clients differ in how they escape a path: most as AWS says, some sign what they send.
    boolean matches = false;
    String asAwsSays = PercentCoding.encode(request.path(), true);
    for (String path :
        asAwsSays.equals(request.rawPath())
            ? List.of(asAwsSays)
            : List.of(asAwsSays, request.rawPath())) {
      String canonical = canonicalRequest(request, path, signed, payload, presigned);
      String toSign =
          ALGORITHM
              + "\n"
              + timestamp
              + "\n"
              + credential.scope
              + "\n"
              + Sha256.hex(canonical.getBytes(StandardCharsets.ISO_8859_1));
      String expected = HexFormat.of().formatHex(Sha256.hmac(signingKey.mac, toSign));
      matches |= Sha256.same(expected, signature);
    }
    if (!matches) {
      throw new ForebayException(
          ErrorCode.SIGNATURE_MISMATCH,
          "the signature does not match: check the secret key and what was signed");
    }
    return new Caller.ChunkSigning(signingKey.bytes, timestamp, credential.scope, signature);
  }

  private SigningKey signingKey(Credential credential) {
    AccessKey key =
        keys.find(credential.accessKeyId)
            .orElseThrow(() ->
                new ForebayException(
                    ErrorCode.NO_SUCH_ACCESS_KEY, "there is no such access key here"));
    var of = new SigningKeyOf(key, credential.date, credential.region);
    SigningKey known = signingKeys.get(of);
    if (known != null) {
      return known;
    }
    if (signingKeys.size() >= MAX_SIGNING_KEYS) {
      signingKeys.clear();
    }
    byte[] bytes = Sha256.signingKey(key.secret(), credential.date, credential.region, "s3");
    var derived = new SigningKey(bytes, Sha256.mac(bytes));
    signingKeys.put(of, derived);
    return derived;
  }

  private static void checkSigned(S3Request request, List<String> signed) {
    if (!signed.contains("host")) {
      throw new S3Refusal(S3Code.UNSIGNED_HEADERS, "the header host must be signed");
    }
    for (Header header : request.head().headers().all()) {
      String name = header.name();
      if (name.startsWith("x-amz-") && !signed.contains(name) && !MAY_BE_UNSIGNED.contains(name)) {
        throw new S3Refusal(
            S3Code.UNSIGNED_HEADERS,
            "There were headers present in the request which were not signed: " + name);
      }
    }
  }

  /** Chars are bytes (ISO 8859-1): paths and queries are ASCII here, header values as sent. */
  private static String canonicalRequest(
      S3Request request, String path, List<String> signed, String payload, boolean presigned) {
    var text = new StringBuilder(512);
    text.append(request.method()).append('\n');
    text.append(path).append('\n');
    List<String[]> pairs = new ArrayList<>(request.query().size());
    for (S3Request.Param param : request.query()) {
      if (!presigned || !param.name().equals("X-Amz-Signature")) {
        pairs.add(
            new String[] {
              PercentCoding.encode(param.name(), false), PercentCoding.encode(param.value(), false)
            });
      }
    }
    pairs.sort(
        Comparator.comparing((String[] pair) -> pair[0]).thenComparing((String[] pair) -> pair[1]));
    for (int i = 0; i < pairs.size(); i++) {
      text.append(i == 0 ? "" : "&").append(pairs.get(i)[0]).append('=').append(pairs.get(i)[1]);
    }
    text.append('\n');
    for (String name : signed) {
      text.append(name).append(':');
      List<String> values = request.head().headers().values(name);
      for (int i = 0; i < values.size(); i++) {
        text.append(i == 0 ? "" : ",").append(withoutRunsOfSpaces(values.get(i).strip()));
      }
      text.append('\n');
    }
    return text.append('\n')
        .append(String.join(";", signed))
        .append('\n')
        .append(payload)
        .toString();
  }

  private static String withoutRunsOfSpaces(String value) {
    return value.contains("  ") ? SPACES.matcher(value).replaceAll(" ") : value;
  }

  /** An unsigned request has no signing. */
  private static Caller caller(
      Rights rights, String payload, Optional<Caller.ChunkSigning> signing) {
    boolean anonymous = signing.isEmpty();
    return switch (payload) {
      case UNSIGNED ->
          new Caller(anonymous, rights, Caller.Payload.PLAIN, Optional.empty(), signing);
      case "STREAMING-UNSIGNED-PAYLOAD-TRAILER" ->
          new Caller(
              anonymous,
              rights,
              Caller.Payload.UNSIGNED_CHUNKS_AND_TRAILER,
              Optional.empty(),
              signing);
      case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" ->
          new Caller(
              anonymous, rights, Caller.Payload.SIGNED_CHUNKS, Optional.empty(), needed(signing));
      case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" ->
          new Caller(
              anonymous,
              rights,
              Caller.Payload.SIGNED_CHUNKS_AND_TRAILER,
              Optional.empty(),
              needed(signing));
      default -> {
        if (payload.startsWith("STREAMING-AWS4-ECDSA")) {
          throw new S3Refusal(S3Code.NOT_IMPLEMENTED, "SigV4A is not implemented");
        }
        if (!SHA256_HEX.matcher(payload).matches()) {
          throw new S3Refusal(
              S3Code.INVALID_ARGUMENT,
              "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING-... kind, or a valid"
                  + " sha256 value");
        }
        yield new Caller(anonymous, rights, Caller.Payload.PLAIN, Optional.of(payload), signing);
      }
    };
  }

  private static Optional<Caller.ChunkSigning> needed(Optional<Caller.ChunkSigning> signing) {
    if (signing.isEmpty()) {
      throw new S3Refusal(S3Code.INVALID_REQUEST, "signed chunks need a signed request");
    }
    return signing;
  }

  private Credential credential(String text, S3Code code) {
    String[] parts = text.split("/", -1);
    int count = parts.length;
    if (count < 5) {
      throw new S3Refusal(code, "the Credential must be KEY/YYYYMMDD/REGION/s3/aws4_request");
    }
    String date = parts[count - 4];
    String region = parts[count - 3];
    if (!parts[count - 2].equals("s3") || !parts[count - 1].equals("aws4_request")) {
      throw new S3Refusal(code, "the Credential must end with /s3/aws4_request");
    }
    if (!region.equals(config.region())) {
      throw new S3Refusal(
          code, "the region '" + region + "' is wrong; expecting '" + config.region() + "'");
    }
    String id = String.join("/", List.of(parts).subList(0, count - 4));
    return new Credential(id, date, region, date + "/" + region + "/s3/aws4_request");
  }

  private static void checkDate(Credential credential, String timestamp, S3Code code) {
    if (!timestamp.startsWith(credential.date + "T")) {
      throw new S3Refusal(code, "the Credential's date differs from the time of signing");
    }
  }

  private static long millis(String timestamp, S3Code code) {
    // By hand, since a formatter takes longer than the whole of a signature's hashes.
    if (timestamp.length() == 16 && timestamp.charAt(8) == 'T' && timestamp.charAt(15) == 'Z') {
      try {
        return LocalDateTime.of(
                    digits(timestamp, 0, 4),
                    digits(timestamp, 4, 6),
                    digits(timestamp, 6, 8),
                    digits(timestamp, 9, 11),
                    digits(timestamp, 11, 13),
                    digits(timestamp, 13, 15))
                .toEpochSecond(ZoneOffset.UTC)
            * 1000;
      } catch (DateTimeException notATime) {
        // refused below
      }
    }
    throw new S3Refusal(code, "the time of signing must look like 20260131T235959Z");
  }

  /** A number of digits only; -1, which no field of a time is, for anything else. */
  private static int digits(String text, int begin, int end) {
    int number = 0;
    for (int i = begin; i < end; i++) {
      int digit = text.charAt(i) - '0';
      if (digit < 0 || digit > 9) {
        return -1;
      }
      number = 10 * number + digit;
    }
    return number;
  }

  private static String required(S3Request request, String name) {
    return request.param(name).orElseThrow(() -> queryError("the query lacks " + name));
  }

  private static S3Refusal queryError(String why) {
    return new S3Refusal(S3Code.AUTHORIZATION_QUERY_ERROR, why);
  }

  private static S3Refusal malformed(String why) {
    return new S3Refusal(
        S3Code.AUTHORIZATION_HEADER_MALFORMED, "the Authorization header is malformed: " + why);
  }

  private static S3Refusal onlyV4() {
    return new S3Refusal(
        S3Code.INVALID_REQUEST,
        "the authorization mechanism is not supported; please use " + ALGORITHM);
  }
}
