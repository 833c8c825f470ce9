package io.forebay.core.bytes;

import java.nio.ByteBuffer;

/**
 * A run of data on its way between a buffer, a socket and a disk. Either a {@link Slab} part (real
 * memory) or {@link Synthetic} (content that can be computed, so that a simulated cluster moves
 * terabytes for nothing).
 *
 * <p>Ownership: a Bytes is held by counted references. Whoever creates or retains one releases it
 * once; a callee that keeps it beyond its return retains it. Contents are immutable while more than
 * one holds it.
 */
public sealed interface Bytes permits SlabPart, Synthetic {
  /** Length in bytes, at least 0. */
  int length();

  /** CRC32C over the contents. Costs a pass over real memory. */
  int crc32c();

  /**
   * A part of this, sharing the memory and holding a reference of its own (the caller releases it).
   */
  Bytes slice(int offset, int length);

  /** Copies {@code length()} bytes into the target's remaining space and advances its position. */
  void copyTo(ByteBuffer target);

  /** Takes one more reference. */
  Bytes retain();

  /** Gives one reference back; the memory returns to its pool with the last one. */
  void release();

  /** The contents as a new array; for small bodies and tests. */
  default byte[] toArray() {
    byte[] copy = new byte[length()];
    copyTo(ByteBuffer.wrap(copy));
    return copy;
  }
}
