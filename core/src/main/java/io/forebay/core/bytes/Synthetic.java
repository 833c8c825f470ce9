package io.forebay.core.bytes;

import java.nio.ByteBuffer;
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
  public Synthetic {
    if (offset < 0 || length < 0) {
      throw new IllegalArgumentException("synthetic bytes at " + offset + "+" + length);
    }
  }

  @Override
  public int crc32c() {
    var crc = new CRC32C();
    byte[] block = new byte[Math.min(length, 8192)];
    int done = 0;
    while (done < length) {
      int count = Math.min(block.length, length - done);
      for (int i = 0; i < count; i++) {
        block[i] = byteAt(offset + done + i);
      }
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
    for (int i = 0; i < length; i++) {
      target.put(byteAt(offset + i));
    }
  }

  @Override
  public Bytes retain() {
    return this;
  }

  @Override
  public void release() {}

  private byte byteAt(long position) {
    long word = seed + (position >>> 3) * 0x9E3779B97F4A7C15L;
    word = (word ^ (word >>> 30)) * 0xBF58476D1CE4E5B9L;
    word = (word ^ (word >>> 27)) * 0x94D049BB133111EBL;
    word ^= word >>> 31;
    return (byte) (word >>> ((position & 7) * 8));
  }
}
