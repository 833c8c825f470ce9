package io.forebay.core.bytes;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A part of a {@link Slab}; see {@link Bytes} for ownership. Its checksums are taken once: whoever
 * receives it from a socket or a disk has them already, and the next who needs them pays no pass.
 */
public final class SlabPart implements Bytes {
  private final Slab slab;
  private final int offset;
  private final int length;
  // Written once, with the same values whoever comes first; contents are immutable by then.
  private volatile int @Nullable [] blockCrcs;

  SlabPart(Slab slab, int offset, int length, int @Nullable [] blockCrcs) {
    this.slab = slab;
    this.offset = offset;
    this.length = length;
    this.blockCrcs = blockCrcs;
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
    return BlockCrcs.whole(blockCrcs(), length);
  }

  /**
   * The CRC32C of each {@link BlockCrcs#BLOCK_BYTES} from the part's beginning; the caller does not
   * change them. Costs a pass the first time.
   */
  public int[] blockCrcs() {
    int[] known = blockCrcs;
    if (known == null) {
      var crcs = new BlockCrcs(length);
      crcs.update(buffer());
      known = crcs.end();
      blockCrcs = known;
    }
    return known;
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
    Passes.copied(length);
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
