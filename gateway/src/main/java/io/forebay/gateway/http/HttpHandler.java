package io.forebay.gateway.http;

/** What a door does with requests. */
public interface HttpHandler {
  /** Why the server does not hand a request to the door. */
  enum Refusal {
    /** More requests are under way than the server's bound. */
    BUSY,
    /** The request line and headers are larger than the server's bound. */
    HEAD_TOO_LARGE,
    /** What came is not HTTP/1.1. */
    MALFORMED,
    /** Plain HTTP came to a port that speaks HTTPS. The refusal goes out unencrypted. */
    NOT_TLS
  }

  /**
   * Answers one request, blocking, on a virtual thread of its own. Returning or throwing without
   * having answered closes the connection.
   */
  void handle(HttpExchange exchange);

  /** How a refusal looks in the door's protocol. Called on an event loop: must not block. */
  Answer refuse(Refusal refusal);
}
