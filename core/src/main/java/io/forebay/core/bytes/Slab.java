package io.forebay.core.bytes;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * A piece of off-heap memory with counted references, from a bounded {@link SlabPool}. Aligned to 4
 * KiB, so that a disk can read and write it directly.
 */
public final class Slab {
  private final ByteBuffer memory;
  private final Consumer<Slab> recycler;
  private final AtomicInteger references = new AtomicInteger();

  Slab(ByteBuffer memory, Consumer<Slab> recycler) {
    this.memory = memory;
    this.recycler = recycler;
  }

  /** Size of the memory in bytes, a multiple of 4,096. */
  public int capacity() {
    return memory.capacity();
  }

  /**
   * A view of the whole memory with its own position and limit. Only the holder of the only
   * reference writes to it.
   */
  public ByteBuffer buffer() {
    requireLive();
    return memory.duplicate().clear();
  }

  /**
   * A part of this slab as {@link Bytes}, with a reference of its own.
   *
   * @param offset from 0
   * @param length at least 0, offset + length within capacity
   */
  public Bytes bytes(int offset, int length) {
    if (offset < 0 || length < 0 || offset > capacity() - length) {
      throw new IllegalArgumentException(
          "part " + offset + "+" + length + " lies outside of a slab of " + capacity());
    }
    retain();
    return new SlabPart(this, offset, length, null);
  }

  /**
   * As {@link #bytes(int, int)}, of contents whose checksums were taken on their way in.
   *
   * @param blockCrcs the CRC32C of each {@link BlockCrcs#BLOCK_BYTES}; not changed any more
   */
  public Bytes bytes(int offset, int length, int[] blockCrcs) {
    if (offset < 0 || length < 0 || offset > capacity() - length) {
      throw new IllegalArgumentException(
          "part " + offset + "+" + length + " lies outside of a slab of " + capacity());
    }
    retain();
    return new SlabPart(this, offset, length, blockCrcs);
  }

  /** Takes one more reference. */
  public Slab retain() {
    int before = references.getAndIncrement();
    if (before <= 0) {
      references.getAndDecrement();
      throw new IllegalStateException("slab is used after its last release");
    }
    return this;
  }

  /** Gives one reference back; with the last one the memory returns to its pool. */
  public void release() {
    int left = references.decrementAndGet();
    if (left < 0) {
      throw new IllegalStateException("slab is released more often than retained");
    }
    if (left == 0) {
      recycler.accept(this);
    }
  }

  void lend() {
    if (!references.compareAndSet(0, 1)) {
      throw new IllegalStateException("slab is lent twice");
    }
  }

  private void requireLive() {
    if (references.get() <= 0) {
      throw new IllegalStateException("slab is used after its last release");
    }
  }
}
