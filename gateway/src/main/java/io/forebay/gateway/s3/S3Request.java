package io.forebay.gateway.s3;

import io.forebay.gateway.http.RequestHead;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A request as S3 reads it.
 *
 * @param rawPath as it was sent, with its leading slash
 * @param path the same, decoded
 * @param query decoded, in the order of the request
 * @param bucket empty: the service itself
 * @param key empty: the bucket itself
 */
record S3Request(
    RequestHead head, String rawPath, String path, List<Param> query, String bucket, String key) {
  /** Most parameters that a query may have. */
  private static final int MAX_PARAMS = 100;

  record Param(String name, String value) {}

  S3Request {
    query = List.copyOf(query);
  }

  /**
   * Reads a request.
   *
   * @param domain see {@link S3Config}
   */
  static S3Request parse(RequestHead head, Optional<String> domain) {
    String target = head.target();
    if (target.startsWith("http://") || target.startsWith("https://")) {
      int slash = target.indexOf('/', target.indexOf("//") + 2);
      target = slash < 0 ? "/" : target.substring(slash);
    }
    if (!target.startsWith("/")) {
      throw new S3Refusal(S3Code.INVALID_URI, "the request's target must begin with '/'");
    }
    int mark = target.indexOf('?');
    String rawPath = mark < 0 ? target : target.substring(0, mark);
    String path = PercentCoding.decode(rawPath, false);
    var query = new ArrayList<Param>();
    if (mark >= 0) {
      for (String pair : target.substring(mark + 1).split("&", MAX_PARAMS + 1)) {
        if (pair.isEmpty()) {
          continue;
        }
        if (query.size() == MAX_PARAMS) {
          throw new S3Refusal(
              S3Code.INVALID_URI, "a query has at most " + MAX_PARAMS + " parameters");
        }
        int equals = pair.indexOf('=');
        query.add(
            new Param(
                PercentCoding.decode(equals < 0 ? pair : pair.substring(0, equals), true),
                equals < 0 ? "" : PercentCoding.decode(pair.substring(equals + 1), true)));
      }
    }
    Optional<String> hostBucket =
        domain.flatMap(name -> bucketOfHost(head.headers().first("host").orElse(""), name));
    if (hostBucket.isPresent()) {
      return new S3Request(head, rawPath, path, query, hostBucket.get(), path.substring(1));
    }
    int slash = path.indexOf('/', 1);
    return slash < 0
        ? new S3Request(head, rawPath, path, query, path.substring(1), "")
        : new S3Request(
            head, rawPath, path, query, path.substring(1, slash), path.substring(slash + 1));
  }

  private static Optional<String> bucketOfHost(String hostAndPort, String domain) {
    int colon = hostAndPort.lastIndexOf(':');
    String host =
        (colon < 0 || hostAndPort.endsWith("]") ? hostAndPort : hostAndPort.substring(0, colon))
            .toLowerCase(Locale.ROOT);
    String suffix = "." + domain.toLowerCase(Locale.ROOT);
    return host.endsWith(suffix) && host.length() > suffix.length()
        ? Optional.of(host.substring(0, host.length() - suffix.length()))
        : Optional.empty();
  }

  String method() {
    return head.method();
  }

  /** The first value of a header. */
  Optional<String> header(String lowerCaseName) {
    return head.headers().first(lowerCaseName);
  }

  /** The first value of a query parameter; empty text when it has none. */
  Optional<String> param(String name) {
    for (Param param : query) {
      if (param.name.equals(name)) {
        return Optional.of(param.value);
      }
    }
    return Optional.empty();
  }

  boolean has(String name) {
    return param(name).isPresent();
  }

  /**
   * A number in the query.
   *
   * @throws S3Refusal INVALID_ARGUMENT when it is none, or negative
   */
  int number(String name, int otherwise) {
    Optional<String> text = param(name);
    if (text.isEmpty() || text.get().isEmpty()) {
      return otherwise;
    }
    try {
      int number = Integer.parseInt(text.get());
      if (number >= 0) {
        return number;
      }
    } catch (NumberFormatException notANumber) {
      // refused below
    }
    throw new S3Refusal(
        S3Code.INVALID_ARGUMENT, name + " must be a whole number from 0 to " + Integer.MAX_VALUE);
  }
}
