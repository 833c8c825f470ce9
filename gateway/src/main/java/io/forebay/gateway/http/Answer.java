package io.forebay.gateway.http;

import java.util.List;

/**
 * A whole answer that fits into memory. The server adds Content-Length, Date and Connection.
 *
 * @param body not changed after it was handed over
 */
public record Answer(int status, List<Header> headers, byte[] body) {
  public Answer {
    headers = List.copyOf(headers);
  }

  /** An answer without a body. */
  public static Answer empty(int status, List<Header> headers) {
    return new Answer(status, headers, new byte[0]);
  }
}
