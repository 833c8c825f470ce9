package io.forebay.gateway.http;

import java.net.InetSocketAddress;
import java.util.Optional;

/**
 * Where a server listens and what bounds it.
 *
 * @param name of its threads
 * @param listen address and port; port 0 takes any free one
 * @param ioThreads event loops, at least 1
 * @param maxConnections for one beyond, one that has been silent for a second gives way, or else it
 *     is closed at once
 * @param maxRequests requests under way; those beyond are refused as BUSY
 * @param idleNanos how long a connection may take until its next request's head is there
 * @param headNanos how long a head may take from its first byte to its last, however it drips
 * @param stallNanos how long a client may neither send a byte of a body nor take one of an answer
 * @param tls who the server is; empty: plain HTTP
 */
public record HttpServerConfig(
    String name,
    InetSocketAddress listen,
    int ioThreads,
    int maxConnections,
    int maxRequests,
    long idleNanos,
    long headNanos,
    long stallNanos,
    Optional<TlsIdentity> tls) {
  /** Bound of a request's line, and of its headers, in bytes each. */
  public static final int MAX_HEAD_BYTES = 64 << 10;

  private static final long SECOND = 1_000_000_000L;

  public HttpServerConfig {
    if (ioThreads < 1 || maxConnections < 1 || maxRequests < 1) {
      throw new IllegalArgumentException("an HTTP server needs threads, connections and requests");
    }
  }

  /** The usual bounds: 10,000 connections, 1,024 requests, idle 75 s, head 15 s, stall 30 s. */
  public static HttpServerConfig of(String name, InetSocketAddress listen) {
    // Most requests are answered on the event loop that read them.
    int threads = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, 32);
    return new HttpServerConfig(
        name,
        listen,
        threads,
        10_000,
        1_024,
        75 * SECOND,
        15 * SECOND,
        30 * SECOND,
        Optional.empty());
  }

  /** The same with other bounds of connections. */
  public HttpServerConfig withConnections(int most, long idle) {
    return new HttpServerConfig(
        name, listen, ioThreads, most, maxRequests, idle, headNanos, stallNanos, tls);
  }

  /** The same over TLS. */
  public HttpServerConfig withTls(TlsIdentity identity) {
    return new HttpServerConfig(
        name,
        listen,
        ioThreads,
        maxConnections,
        maxRequests,
        idleNanos,
        headNanos,
        stallNanos,
        Optional.of(identity));
  }
}
