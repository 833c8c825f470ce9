package io.forebay.core.net;

import io.forebay.core.bytes.Bytes;
import java.util.Optional;

/**
 * What a handler answers and a caller gets.
 *
 * @param payload at most {@link Network#MAX_PAYLOAD_BYTES}; belongs to whoever takes the reply, who
 *     releases it
 */
public record Reply(Message message, Optional<Bytes> payload) {
  public Reply {
    if (payload.isPresent() && payload.get().length() > Network.MAX_PAYLOAD_BYTES) {
      throw new IllegalArgumentException(
          "payload of " + payload.get().length() + " bytes exceeds " + Network.MAX_PAYLOAD_BYTES);
    }
  }

  /** A reply without a payload. */
  public static Reply of(Message message) {
    return new Reply(message, Optional.empty());
  }

  /** Releases the payload, if there is one. */
  public void release() {
    payload.ifPresent(Bytes::release);
  }
}
