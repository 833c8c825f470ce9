package io.forebay.gateway.s3;

import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** What an object's metadata look like as headers, in both directions. */
final class ObjectHeaders {
  private static final String USER = "x-amz-meta-";
  private static final int MAX_USER_BYTES = 2048;
  private static final String DEFAULT_TYPE = "binary/octet-stream";

  private static final List<String> KEPT =
      List.of(
          "cache-control",
          "content-disposition",
          "content-encoding",
          "content-language",
          "expires");

  /** What of a presigned URL's query is the signature's, or asks for nothing. */
  private static final List<String> HOISTED =
      List.of(
          "x-amz-algorithm",
          "x-amz-credential",
          "x-amz-date",
          "x-amz-expires",
          "x-amz-signedheaders",
          "x-amz-signature",
          "x-amz-content-sha256",
          "x-amz-security-token",
          "x-amz-user-agent",
          "x-amz-sdk-",
          "x-amz-checksum-", // SDKs for browsers sign that of an empty body
          "x-amz-storage-class",
          "x-amz-request-payer",
          "x-amz-expected-bucket-owner");

  private static final Set<String> PLAIN_ACLS = Set.of("private", "bucket-owner-full-control");

  /** Headers of a write that ask for what there is not. */
  private static final List<String> REFUSED_PREFIXES =
      List.of(
          "x-amz-server-side-encryption",
          "x-amz-copy-source-server-side-encryption",
          "x-amz-object-lock-",
          "x-amz-grant-",
          "x-amz-if-match-",
          "x-amz-website-redirect-location",
          "x-amz-write-offset-bytes");

  private ObjectHeaders() {}

  /**
   * The metadata that a write's headers hold.
   *
   * @param kept what is kept beside what the request says
   * @throws S3Refusal METADATA_TOO_LARGE; INVALID_TAG
   */
  static ObjectMetadata metadata(S3Request request, Map<String, String> kept) {
    var headers = new TreeMap<String, String>(kept);
    var user = new TreeMap<String, String>();
    String contentType = "";
    int userBytes = 0;
    for (Header header : request.head().headers().all()) {
      String name = header.name();
      if (name.startsWith(USER)) {
        userBytes += name.length() - USER.length() + header.value().length();
        user.merge(name.substring(USER.length()), header.value(), (a, b) -> a + "," + b);
      } else if (name.equals("content-type")) {
        contentType = header.value();
      } else if (name.equals("content-encoding")) {
        String encoding = withoutAwsChunked(header.value());
        if (!encoding.isEmpty()) {
          headers.put(name, encoding);
        }
      } else if (KEPT.contains(name)) {
        headers.put(name, header.value());
      } else if (name.equals(Tags.HEADER)) {
        String tags = Tags.ofHeader(header.value()).text();
        if (!tags.isEmpty()) {
          headers.put(name, tags);
        }
      }
    }
    if (userBytes > MAX_USER_BYTES) {
      throw new S3Refusal(
          S3Code.METADATA_TOO_LARGE,
          "user metadata have at most " + MAX_USER_BYTES + " bytes, these have " + userBytes);
    }
    return new ObjectMetadata(contentType, headers, user);
  }

  /** Refuses a write that asks for what would silently not be done. */
  static void refuseUnknownWishes(S3Request request) {
    for (Header header : request.head().headers().all()) {
      if (REFUSED_PREFIXES.stream().anyMatch(header.name()::startsWith)) {
        throw new S3Refusal(
            S3Code.NOT_IMPLEMENTED, "the header " + header.name() + " is not implemented");
      }
    }
    String acl = request.header("x-amz-acl").orElse("private");
    if (!PLAIN_ACLS.contains(acl)) {
      throw new S3Refusal(
          S3Code.NOT_IMPLEMENTED, "x-amz-acl other than private is not implemented");
    }
  }

  /**
   * Headers that a presigned URL has in its query. What they ask for would not be done, and the
   * answer would not say so.
   */
  static void refuseHoisted(S3Request request) {
    boolean changes = request.method().equals("PUT") || request.method().equals("POST");
    for (S3Request.Param param : request.query()) {
      String name = param.name().toLowerCase(Locale.ROOT);
      if (changes
          && name.startsWith("x-amz-")
          && HOISTED.stream().noneMatch(known -> name.startsWith(known))
          && !(name.equals("x-amz-acl") && PLAIN_ACLS.contains(param.value()))) {
        throw new S3Refusal(
            S3Code.NOT_IMPLEMENTED,
            param.name() + " in the query is not implemented; sign it as a header");
      }
    }
  }

  private static String withoutAwsChunked(String encodings) {
    return String.join(
        ",",
        Arrays.stream(encodings.split(",", -1))
            .map(String::strip)
            .filter(encoding -> !encoding.equals("aws-chunked") && !encoding.isEmpty())
            .toList());
  }

  /** Adds what GET and HEAD say about an object, with the query's response-... overrides. */
  static void addTo(List<Header> answer, ObjectInfo info, S3Call call, boolean checksums) {
    S3Request request = call.request();
    ObjectMetadata metadata = info.metadata();
    answer.add(new Header("ETag", "\"" + info.etag() + "\""));
    answer.add(new Header("Last-Modified", HttpExchange.httpDate(info.modifiedMillis())));
    answer.add(new Header("Accept-Ranges", "bytes"));
    String type = metadata.contentType().isEmpty() ? DEFAULT_TYPE : metadata.contentType();
    boolean overrides =
        request.query().stream().anyMatch(param -> param.name().startsWith("response-"));
    answer.add(new Header("Content-Type", overrides ? override(call, "content-type", type) : type));
    for (String name : KEPT) {
      String kept = metadata.headers().getOrDefault(name, "");
      String value = overrides ? override(call, name, kept) : kept;
      if (!value.isEmpty()) {
        answer.add(new Header(name, value));
      }
    }
    metadata.user().forEach((name, value) -> answer.add(new Header(USER + name, value)));
    if (metadata.headers().containsKey(Tags.HEADER)) {
      int tags = Tags.among(metadata.headers()).byKey().size();
      answer.add(new Header(Tags.HEADER + "-count", Integer.toString(tags)));
    }
    if (checksums) {
      checksums(answer, metadata.headers(), request);
    }
  }

  /** Adds the checksums among headers, when the request asks for them. */
  static void checksums(List<Header> answer, Map<String, String> from, S3Request request) {
    if (request.header("x-amz-checksum-mode").orElse("").equalsIgnoreCase("ENABLED")) {
      echo(answer, from);
    }
  }

  /** Adds the checksums among headers, and of what kind they are. */
  static void echo(List<Header> answer, Map<String, String> from) {
    Map<String, String> sums = Checksum.among(from);
    sums.forEach((name, value) -> answer.add(new Header(name, value)));
    if (!sums.isEmpty()) {
      answer.add(new Header(Checksum.TYPE, from.getOrDefault(Checksum.TYPE, Checksum.FULL_OBJECT)));
    }
  }

  private static String override(S3Call call, String name, String otherwise) {
    String wanted = call.request().param("response-" + name).orElse("");
    if (wanted.isEmpty()) {
      return otherwise;
    }
    if (call.caller().anonymous()) {
      throw new S3Refusal(S3Code.INVALID_REQUEST, "response-... parameters need a signed request");
    }
    if (wanted.chars().anyMatch(c -> c < 0x20 || c == 0x7F)) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT, "response-" + name + " must not hold control characters");
    }
    return wanted;
  }
}
