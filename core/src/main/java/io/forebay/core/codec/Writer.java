package io.forebay.core.codec;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A growing array of bytes. */
final class Writer {
  static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.BIG_ENDIAN);
  static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);
  static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  /** Deeper than any type of ours; what is deeper is a cycle or an attack on the stack. */
  static final int MAX_DEPTH = 64;

  private byte[] bytes = new byte[64];
  private int length;
  private int depth;

  void enter() {
    if (++depth > MAX_DEPTH) {
      throw new IllegalArgumentException("records nest deeper than " + MAX_DEPTH);
    }
  }

  void leave() {
    depth--;
  }

  void putByte(int value) {
    room(1);
    bytes[length++] = (byte) value;
  }

  void putShort(short value) {
    room(Short.BYTES);
    SHORT.set(bytes, length, value);
    length += Short.BYTES;
  }

  void putInt(int value) {
    room(Integer.BYTES);
    INT.set(bytes, length, value);
    length += Integer.BYTES;
  }

  void putLong(long value) {
    room(Long.BYTES);
    LONG.set(bytes, length, value);
    length += Long.BYTES;
  }

  /** Seven bits a byte, the lowest first, the top bit set on all but the last. */
  void putVarint(int value) {
    int left = value;
    while (left > 0x7f) {
      putByte(left | 0x80);
      left >>>= 7;
    }
    putByte(left);
  }

  void putBytes(byte[] value) {
    putVarint(value.length);
    room(value.length);
    System.arraycopy(value, 0, bytes, length, value.length);
    length += value.length;
  }

  /** UTF-8. A lone surrogate has none: the JDK would write '?', and two names would become one. */
  void putString(String value) {
    for (int i = 0; i < value.length(); i++) {
      char unit = value.charAt(i);
      if (Character.isSurrogate(unit)) {
        if (!Character.isHighSurrogate(unit)
            || i + 1 == value.length()
            || !Character.isLowSurrogate(value.charAt(i + 1))) {
          throw new IllegalArgumentException("a string holds a lone surrogate at " + i);
        }
        i++;
      }
    }
    putBytes(value.getBytes(StandardCharsets.UTF_8));
  }

  byte[] toArray() {
    return Arrays.copyOf(bytes, length);
  }

  private void room(int count) {
    if (bytes.length - length < count) {
      long wanted = Math.max((long) length + count, bytes.length * 2L);
      if ((long) length + count > Integer.MAX_VALUE - 8) {
        throw new IllegalArgumentException("a value takes more than 2 GiB");
      }
      bytes = Arrays.copyOf(bytes, (int) Math.min(wanted, Integer.MAX_VALUE - 8));
    }
  }
}
