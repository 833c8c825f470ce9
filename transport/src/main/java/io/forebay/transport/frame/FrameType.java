package io.forebay.transport.frame;

import java.util.Optional;

/** What a frame is. Numbers are the wire's and never reused. */
public enum FrameType {
  /** A step of the handshake; the only thing that an unknown peer may send, with ERROR. */
  HELLO(1, 4 << 10, 0),
  /** A call; the stream is its number. */
  CALL(2, Limits.MESSAGE_BYTES, Limits.PAYLOAD_BYTES),
  /** The answer to a call. */
  REPLY(3, Limits.MESSAGE_BYTES, Limits.PAYLOAD_BYTES),
  /** The failure of a call; on stream 0, why the connection ends. */
  ERROR(4, 4 << 10, 0),
  /** The head of an upload; the stream is its number. */
  OPEN(5, 64 << 10, 0),
  /** The next slice of an upload. */
  SLICE(6, 64, Limits.PAYLOAD_BYTES),
  /** How many slices the sender may have sent in all, and how far each hop is. */
  CREDIT(7, 128, 0),
  /** All slices were sent. */
  FINISH(8, 64, 0),
  /** What became of a chunk; with the flag {@link FrameHeader#LAST} the stream ends. */
  ACK(9, 64 << 10, 0),
  /** The sender gives an upload up. */
  ABORT(10, 4 << 10, 0),
  /** Are you there? With the flag {@link FrameHeader#LAST}: yes. */
  PING(11, 0, 0);

  /** The bounds that a receiver enforces before it takes memory. */
  private static final class Limits {
    static final int MESSAGE_BYTES = (4 << 20) + (4 << 10);
    static final int PAYLOAD_BYTES = 1 << 20;
  }

  private final int number;
  private final int maxBodyBytes;
  private final int maxPayloadBytes;

  FrameType(int number, int maxBodyBytes, int maxPayloadBytes) {
    this.number = number;
    this.maxBodyBytes = maxBodyBytes;
    this.maxPayloadBytes = maxPayloadBytes;
  }

  int number() {
    return number;
  }

  /** The longest body that a frame of this type may have. */
  public int maxBodyBytes() {
    return maxBodyBytes;
  }

  /** The longest payload that a frame of this type may have. */
  public int maxPayloadBytes() {
    return maxPayloadBytes;
  }

  static Optional<FrameType> ofNumber(int number) {
    for (FrameType type : values()) {
      if (type.number == number) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
