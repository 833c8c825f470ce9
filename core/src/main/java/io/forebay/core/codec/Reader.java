package io.forebay.core.codec;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A position in an array of bytes that nobody vouches for. */
final class Reader {
  private final byte[] bytes;
  private int position;
  private int depth;

  Reader(byte[] bytes) {
    this.bytes = bytes;
  }

  void enter() {
    if (++depth > Writer.MAX_DEPTH) {
      throw new Malformed("records nest deeper than " + Writer.MAX_DEPTH, position);
    }
  }

  void leave() {
    depth--;
  }

  int position() {
    return position;
  }

  int remaining() {
    return bytes.length - position;
  }

  byte getByte() {
    need(1);
    return bytes[position++];
  }

  short getShort() {
    need(Short.BYTES);
    short value = (short) Writer.SHORT.get(bytes, position);
    position += Short.BYTES;
    return value;
  }

  int getInt() {
    need(Integer.BYTES);
    int value = (int) Writer.INT.get(bytes, position);
    position += Integer.BYTES;
    return value;
  }

  long getLong() {
    need(Long.BYTES);
    long value = (long) Writer.LONG.get(bytes, position);
    position += Long.BYTES;
    return value;
  }

  /** 0 or 1, nothing else: equal values have equal bytes. */
  boolean getBoolean() {
    byte value = getByte();
    if (value != 0 && value != 1) {
      throw new Malformed("neither 0 nor 1: " + value, position - 1);
    }
    return value == 1;
  }

  /** At most 31 bits, in as few bytes as they need. */
  int getVarint() {
    int begin = position;
    long value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      byte next = getByte();
      value |= (next & 0x7fL) << shift;
      if (next >= 0) {
        if (next == 0 && shift > 0) {
          throw new Malformed("a number written longer than it is", begin);
        }
        if (value > Integer.MAX_VALUE) {
          break;
        }
        return (int) value;
      }
    }
    throw new Malformed("a number of more than 31 bits", begin);
  }

  /**
   * How many bytes or elements follow. Each takes a byte at least, which bounds what is allocated.
   */
  int getCount() {
    int begin = position;
    int count = getVarint();
    if (count > remaining()) {
      throw new Malformed(
          "announces " + count + " where " + remaining() + " bytes are left", begin);
    }
    return count;
  }

  byte[] getBytes() {
    int count = getCount();
    byte[] value = Arrays.copyOfRange(bytes, position, position + count);
    position += count;
    return value;
  }

  String getString() {
    int count = getCount();
    var value = new String(bytes, position, count, StandardCharsets.UTF_8);
    // The JDK puts U+FFFD where the bytes are no UTF-8; whether it stood there shows on the way
    // back.
    if (value.indexOf('\uFFFD') >= 0
        && !Arrays.equals(
            value.getBytes(StandardCharsets.UTF_8),
            Arrays.copyOfRange(bytes, position, position + count))) {
      throw new Malformed("text that is no UTF-8", position);
    }
    position += count;
    return value;
  }

  private void need(int count) {
    if (remaining() < count) {
      throw new Malformed("needs " + count + " bytes where " + remaining() + " are left", position);
    }
  }
}
