package io.forebay.node.replica;

import io.forebay.core.env.Env;
import io.forebay.core.id.ChunkId;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * When this node's chunks were last written or read, about: a table of fixed size, in which chunks
 * share a place by their hash. The younger use counts for all of them, so a mistake keeps a chunk
 * for longer and never sends one away that was just used more. In memory only: after a restart
 * nothing is known until it is read again.
 */
public final class Recency {
  // A place of 8 bytes for so much of the disks: one for each chunk of the usual size and some
  // more.
  private static final long BYTES_PER_PLACE = 4L << 20;
  private static final long LEAST_PLACES = 1 << 6;
  // 8 MiB.
  private static final long MOST_PLACES = 1 << 20;

  private final Env env;
  private final long startNanos;
  private final AtomicLongArray usedNanos;

  /**
   * @param capacityBytes of all volumes of the node
   */
  public Recency(Env env, long capacityBytes) {
    this.env = env;
    this.startNanos = env.nanoTime();
    long places = Math.clamp(capacityBytes / BYTES_PER_PLACE, LEAST_PLACES, MOST_PLACES);
    this.usedNanos = new AtomicLongArray((int) Long.highestOneBit(places));
  }

  /** The chunk is written or read now. */
  public void used(ChunkId chunk) {
    usedNanos.setRelease(place(chunk), env.nanoTime() - startNanos + 1);
  }

  /** When it was last used, in nanoseconds since the start; 0: not since. */
  public long usedNanos(ChunkId chunk) {
    return usedNanos.getAcquire(place(chunk));
  }

  private int place(ChunkId chunk) {
    // Fibonacci hashing: ids in a row, as objects have them, go to places far apart.
    long mixed = (chunk.session().value() * 31 + chunk.sequence()) * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 33) & (usedNanos.length() - 1);
  }
}
