package io.forebay.core.bytes;

import java.nio.ByteBuffer;
import java.util.zip.CRC32C;

/** A part of a {@link Slab}; see {@link Bytes} for ownership. */
public final class SlabPart implements Bytes {
  private final Slab slab;
  private final int offset;
  private final int length;

  SlabPart(Slab slab, int offset, int length) {
    this.slab = slab;
    this.offset = offset;
    this.length = length;
  }

  /** A read-only view of exactly this part; valid while a reference is held. */
  public ByteBuffer buffer() {
    return slab.buffer().slice(offset, length).asReadOnlyBuffer();
  }

  /** Where the part begins in its slab. */
  public int offset() {
    return offset;
  }

  @Override
  public int length() {
    return length;
  }

  @Override
  public int crc32c() {
    var crc = new CRC32C();
    crc.update(buffer());
    return (int) crc.getValue();
  }

  @Override
  public Bytes slice(int from, int count) {
    if (from < 0 || count < 0 || from > length - count) {
      throw new IllegalArgumentException(
          "slice " + from + "+" + count + " of " + length + " bytes");
    }
    return slab.bytes(offset + from, count);
  }

  @Override
  public void copyTo(ByteBuffer target) {
    target.put(buffer());
  }

  @Override
  public Bytes retain() {
    slab.retain();
    return this;
  }

  @Override
  public void release() {
    slab.release();
  }
}
