package io.forebay.transport.frame;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;

/**
 * The fixed head of a frame. Big-endian:
 *
 * <pre>
 *  offset  size
 *       0     4  magic "FBYW"
 *       4     1  wire version
 *       5     1  type
 *       6     2  flags
 *       8     8  stream: number of the call or upload; 0 = the connection
 *      16     4  body length
 *      20     4  payload length
 *      24     4  CRC32C of the payload
 *      28     4  CRC32C of bytes 0 to 27 and the body
 *      32     …  body, then payload
 * </pre>
 *
 * @param flags {@link #LAST}, {@link #EMPTY}
 * @param payloadCrc32c 0 without a payload
 */
public record FrameHeader(
    FrameType type, int flags, long stream, int bodyLength, int payloadLength, int payloadCrc32c) {
  /** Length of a header in bytes. */
  public static final int BYTES = 32;

  /** The version of a connection whose ends have not agreed yet, and of every HELLO and ERROR. */
  public static final int FIRST_VERSION = 1;

  /** Flag: the stream ends with this ACK; this PING is an answer. */
  public static final int LAST = 1;

  /** Flag: there is a payload, and it is empty. */
  public static final int EMPTY = 2;

  static final int MAGIC = 0x46425957;
  private static final int CHECKED_BYTES = 28;

  /**
   * Header and body of a frame, ready to be sent before the payload.
   *
   * @param version what the ends have agreed on
   */
  public static byte[] encode(
      int version,
      FrameType type,
      int flags,
      long stream,
      byte[] body,
      int payloadLength,
      int payloadCrc32c) {
    if (body.length > type.maxBodyBytes() || payloadLength > type.maxPayloadBytes()) {
      throw new ForebayException(
          ErrorCode.ENTITY_TOO_LARGE,
          "a "
              + type
              + " frame has at most "
              + type.maxBodyBytes()
              + " bytes of body and "
              + type.maxPayloadBytes()
              + " of payload, not "
              + body.length
              + " and "
              + payloadLength);
    }
    ByteBuffer frame = ByteBuffer.allocate(BYTES + body.length);
    frame
        .putInt(MAGIC)
        .put((byte) (inAnyVersion(type.number()) ? FIRST_VERSION : version))
        .put((byte) type.number())
        .putShort((short) flags)
        .putLong(stream)
        .putInt(body.length)
        .putInt(payloadLength)
        .putInt(payloadCrc32c);
    frame.putInt(check(frame.array(), body)).put(body);
    return frame.array();
  }

  /**
   * Reads the fixed part; the checksum is verified by {@link #verify} once the body is there.
   *
   * @param agreed the version of the connection
   * @throws ForebayException CORRUPT for what is no header of ours or too large; WRONG_VERSION,
   *     except for HELLO and ERROR, which are read in any version
   */
  static FrameHeader parse(byte[] bytes, int agreed) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    int magic = in.getInt();
    if (magic != MAGIC) {
      throw corrupt("bad magic " + Integer.toHexString(magic) + ": the peer is no Forebay node");
    }
    int version = in.get() & 0xFF;
    int number = in.get() & 0xFF;
    int flags = in.getShort() & 0xFFFF;
    if (version != agreed && !inAnyVersion(number)) {
      throw new ForebayException(
          ErrorCode.WRONG_VERSION,
          "the peer speaks wire version " + version + ", this connection speaks " + agreed);
    }
    FrameType type =
        FrameType.ofNumber(number).orElseThrow(() -> corrupt("unknown frame type " + number));
    long stream = in.getLong();
    int bodyLength = in.getInt();
    int payloadLength = in.getInt();
    if (bodyLength < 0 || bodyLength > type.maxBodyBytes()) {
      throw corrupt(
          "oversize body: "
              + Integer.toUnsignedString(bodyLength)
              + " bytes, a "
              + type
              + " frame has at most "
              + type.maxBodyBytes());
    }
    if (payloadLength < 0 || payloadLength > type.maxPayloadBytes()) {
      throw corrupt(
          "oversize payload: "
              + Integer.toUnsignedString(payloadLength)
              + " bytes, a "
              + type
              + " frame has at most "
              + type.maxPayloadBytes());
    }
    return new FrameHeader(type, flags, stream, bodyLength, payloadLength, in.getInt());
  }

  private static boolean inAnyVersion(int number) {
    return number == FrameType.HELLO.number() || number == FrameType.ERROR.number();
  }

  static void verify(byte[] header, byte[] body) {
    if (check(header, body) != ByteBuffer.wrap(header).getInt(CHECKED_BYTES)) {
      throw corrupt("checksum of header and body does not match");
    }
  }

  /** Whether {@link #LAST} is set. */
  public boolean last() {
    return (flags & LAST) != 0;
  }

  static ForebayException corrupt(String why) {
    return new ForebayException(ErrorCode.CORRUPT, why);
  }

  private static int check(byte[] header, byte[] body) {
    var crc = new CRC32C();
    crc.update(header, 0, CHECKED_BYTES);
    crc.update(body);
    return (int) crc.getValue();
  }
}
