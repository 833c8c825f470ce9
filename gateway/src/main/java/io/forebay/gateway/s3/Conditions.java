package io.forebay.gateway.s3;

import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteConditions;
import java.time.DateTimeException;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** Conditions as headers say them. */
final class Conditions {
  private Conditions() {}

  /**
   * The conditions of a read.
   *
   * @param prefix of the headers' names: empty, or x-amz-copy-source-
   * @throws S3Refusal when an If-Match names nothing
   */
  static ReadConditions read(S3Request request, String prefix) {
    return new ReadConditions(
        named(request, prefix + "if-match"),
        etags(request.header(prefix + "if-none-match")),
        date(request.header(prefix + "if-modified-since")),
        date(request.header(prefix + "if-unmodified-since")));
  }

  /**
   * The conditions of a write.
   *
   * @throws S3Refusal when S3 knows no such condition, or one names nothing
   */
  static WriteConditions write(S3Request request) {
    List<String> unless = named(request, "if-none-match");
    boolean absent =
        request.header("if-none-match").map(String::strip).filter("*"::equals).isPresent();
    if (!unless.isEmpty() && !absent) {
      throw new S3Refusal(
          S3Code.NOT_IMPLEMENTED, "If-None-Match of a write takes only *, not an ETag");
    }
    List<String> match = named(request, "if-match");
    if (match.size() > 1 || (absent && !match.isEmpty())) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST, "a write takes one If-Match with one ETag, or If-None-Match: *");
    }
    return new WriteConditions(match.stream().findFirst(), absent);
  }

  /** An ETag without quotes, and without the mark of a weak one. */
  static String etag(String text) {
    String bare = text.strip();
    if (bare.startsWith("W/")) {
      bare = bare.substring(2);
    }
    return bare.length() >= 2 && bare.startsWith("\"") && bare.endsWith("\"")
        ? bare.substring(1, bare.length() - 1)
        : bare;
  }

  /** The ETags of a header, at least one where there is the header: none would let all pass. */
  private static List<String> named(S3Request request, String header) {
    List<String> etags = etags(request.header(header));
    if (etags.isEmpty() && request.header(header).isPresent()) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT, header + " names no ETag: name one, or leave the header out");
    }
    return etags;
  }

  private static List<String> etags(Optional<String> header) {
    if (header.isEmpty()) {
      return List.of();
    }
    var etags = new ArrayList<String>();
    for (String part : header.get().split(",", -1)) {
      if (!part.isBlank()) {
        etags.add(etag(part));
      }
    }
    return etags;
  }

  /** A date as HTTP writes it; one that cannot be read is no condition (RFC 9110, 13.1.3). */
  static OptionalLong date(Optional<String> header) {
    if (header.isEmpty()) {
      return OptionalLong.empty();
    }
    try {
      return OptionalLong.of(
          ZonedDateTime.parse(header.get().strip(), DateTimeFormatter.RFC_1123_DATE_TIME)
              .toInstant()
              .toEpochMilli());
    } catch (DateTimeException notADate) {
      return OptionalLong.empty();
    }
  }
}
