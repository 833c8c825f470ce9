package io.forebay.gateway.s3;

import java.util.List;
import java.util.Set;

/**
 * Which pages of other origins may use the door, and how (the rules of S3's CORS configuration).
 * The first rule that fits decides.
 *
 * @param origins such as {@code https://app.example}, with at most one {@code *} each
 * @param methods of GET, PUT, POST, DELETE, HEAD
 * @param headers that requests may carry, with at most one {@code *} each; lower case
 * @param exposed headers of answers that a page may see
 * @param maxAgeSeconds how long a browser may keep the answer to a preflight
 */
public record CorsRule(
    List<String> origins,
    List<String> methods,
    List<String> headers,
    List<String> exposed,
    int maxAgeSeconds) {
  private static final Set<String> METHODS = Set.of("GET", "PUT", "POST", "DELETE", "HEAD");

  public CorsRule {
    origins = List.copyOf(origins);
    methods = List.copyOf(methods);
    headers = List.copyOf(headers);
    exposed = List.copyOf(exposed);
    if (origins.isEmpty() || methods.isEmpty() || !METHODS.containsAll(methods)) {
      throw new IllegalArgumentException(
          "a CORS rule needs origins, and methods of GET, PUT, POST, DELETE and HEAD");
    }
    for (List<String> patterns : List.of(origins, headers)) {
      for (String pattern : patterns) {
        if (pattern.indexOf('*') != pattern.lastIndexOf('*')) {
          throw new IllegalArgumentException("'" + pattern + "' has more than one *");
        }
      }
    }
    if (maxAgeSeconds < 0) {
      throw new IllegalArgumentException("a CORS rule's age is at least 0 s");
    }
  }

  boolean allows(String origin, String method) {
    return methods.contains(method)
        && origins.stream().anyMatch(pattern -> matches(pattern, origin));
  }

  boolean allowsHeader(String lowerCaseName) {
    return headers.stream().anyMatch(pattern -> matches(pattern, lowerCaseName));
  }

  /** Whether the rule is for every origin, so that answers do not depend on who asks. */
  boolean forAll() {
    return origins.contains("*");
  }

  private static boolean matches(String pattern, String text) {
    int star = pattern.indexOf('*');
    if (star < 0) {
      return pattern.equals(text);
    }
    String end = pattern.substring(star + 1);
    return text.length() >= pattern.length() - 1
        && text.startsWith(pattern.substring(0, star))
        && text.endsWith(end);
  }
}
