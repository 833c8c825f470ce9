package io.forebay.core.bytes;

import io.forebay.core.env.Env;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A bounded pool of equal {@link Slab}s. Memory is taken from the machine on first use and recycled
 * for ever: fresh pages are what a copy costs most. Whoever finds the pool empty waits, or is told
 * so; the bound is what keeps a server with any number of clients within its memory.
 */
public final class SlabPool {
  private static final int ALIGNMENT_BYTES = 4096;

  private final int slabBytes;
  private final int count;
  private final Permits permits;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Slab> idle = new ArrayDeque<>(); // guarded by lock

  /**
   * @param slabBytes size of each slab, a positive multiple of 4,096
   * @param count how many there may be, at least 1
   */
  public SlabPool(Env env, int slabBytes, int count) {
    if (slabBytes <= 0 || slabBytes % ALIGNMENT_BYTES != 0) {
      throw new IllegalArgumentException(
          "slab size must be a positive multiple of 4096: " + slabBytes);
    }
    this.slabBytes = slabBytes;
    this.count = count;
    this.permits = new Permits(env, count);
  }

  /** Size of each slab in bytes. */
  public int slabBytes() {
    return slabBytes;
  }

  /** How many slabs there may be. */
  public int count() {
    return count;
  }

  /** How many slabs are not lent at the moment. */
  public long available() {
    return permits.available();
  }

  /**
   * Lends a slab, waiting for one without a bound. The caller releases it. Contents are arbitrary.
   */
  public Slab take() {
    permits.acquire(1);
    return lend();
  }

  /**
   * Lends a slab, waiting until the monotonic deadline.
   *
   * @throws ForebayException BUSY when the deadline passed first
   */
  public Slab take(long deadlineNanos) {
    if (!permits.acquire(1, deadlineNanos)) {
      throw new ForebayException(
          ErrorCode.BUSY,
          "all " + count + " buffers of " + slabBytes + " bytes are in use; try again later");
    }
    return lend();
  }

  /** Lends a slab if one is free now; for event loops, which must not wait. */
  public Optional<Slab> tryTake() {
    return permits.tryAcquire(1) ? Optional.of(lend()) : Optional.empty();
  }

  private Slab lend() {
    Slab slab;
    lock.lock();
    try {
      slab = idle.poll();
    } finally {
      lock.unlock();
    }
    if (slab == null) {
      ByteBuffer memory;
      try {
        memory =
            ByteBuffer.allocateDirect(slabBytes + ALIGNMENT_BYTES).alignedSlice(ALIGNMENT_BYTES);
      } catch (OutOfMemoryError none) {
        permits.release(1);
        throw none;
      }
      slab = new Slab(memory.slice(0, slabBytes), this::recycle);
    }
    slab.lend();
    return slab;
  }

  private void recycle(Slab slab) {
    lock.lock();
    try {
      idle.push(slab);
    } finally {
      lock.unlock();
    }
    permits.release(1);
  }
}
