package io.forebay.core.bytes;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * Content that is computed from (seed, position) and takes no memory: byte i is a hash of seed and
 * i. For simulations and benchmarks. References are not counted.
 *
 * @param seed chooses the content
 * @param offset position of the first byte in the seed's endless stream, at least 0
 * @param length in bytes, at least 0
 */
public record Synthetic(long seed, long offset, int length) implements Bytes {
  private static final VarHandle WORDS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  public Synthetic {
    if (offset < 0 || length < 0) {
      throw new IllegalArgumentException("synthetic bytes at " + offset + "+" + length);
    }
  }

  @Override
  public int crc32c() {
    var crc = new CRC32C();
    byte[] block = new byte[Math.min(length, 8192)];
    for (int done = 0; done < length; ) {
      int count = Math.min(block.length, length - done);
      fill(block, count, offset + done);
      crc.update(block, 0, count);
      done += count;
    }
    return (int) crc.getValue();
  }

  @Override
  public Bytes slice(int from, int count) {
    if (from < 0 || count < 0 || from > length - count) {
      throw new IllegalArgumentException(
          "slice " + from + "+" + count + " of " + length + " bytes");
    }
    return new Synthetic(seed, offset + from, count);
  }

  @Override
  public void copyTo(ByteBuffer target) {
    byte[] block = new byte[Math.min(length, 8192)];
    for (int done = 0; done < length; ) {
      int count = Math.min(block.length, length - done);
      fill(block, count, offset + done);
      target.put(block, 0, count);
      done += count;
    }
  }

  @Override
  public Bytes retain() {
    return this;
  }

  @Override
  public void release() {}

  /** Whole words at once: this is what a simulation spends its time on. */
  private void fill(byte[] block, int count, long position) {
    int at = 0;
    for (; at < count && ((position + at) & 7) != 0; at++) {
      block[at] = byteAt(position + at);
    }
    for (; at + Long.BYTES <= count; at += Long.BYTES) {
      WORDS.set(block, at, word((position + at) >>> 3));
    }
    for (; at < count; at++) {
      block[at] = byteAt(position + at);
    }
  }

  private byte byteAt(long position) {
    return (byte) (word(position >>> 3) >>> ((position & 7) * 8));
  }

  private long word(long number) {
    long word = seed + number * 0x9E3779B97F4A7C15L;
    word = (word ^ (word >>> 30)) * 0xBF58476D1CE4E5B9L;
    word = (word ^ (word >>> 27)) * 0x94D049BB133111EBL;
    return word ^ (word >>> 31);
  }
}
