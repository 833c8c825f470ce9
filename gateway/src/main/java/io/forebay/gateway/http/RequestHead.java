package io.forebay.gateway.http;

import java.net.InetAddress;
import java.util.OptionalLong;

/**
 * A request without its body.
 *
 * @param method as sent, such as GET
 * @param target path and query as sent, still percent-encoded
 * @param contentLength as announced; empty: no body, or chunked
 * @param chunked whether the body comes with Transfer-Encoding: chunked
 * @param secure whether it came over TLS
 * @param peer who has connected
 */
public record RequestHead(
    String method,
    String target,
    Headers headers,
    OptionalLong contentLength,
    boolean chunked,
    boolean secure,
    InetAddress peer) {
  /** What the URL began with that the client used. */
  public String scheme() {
    return secure ? "https://" : "http://";
  }
}
