package io.forebay.node.replica;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.core.id.ChunkId;
import io.forebay.core.net.Network;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Slices of chunks that are read again and again, in memory: whole slices of 1 MiB, verified when
 * they came from the disk. Chunks never change, so a slice is right for as long as anybody has a
 * reason to ask for it; nothing is ever invalidated.
 *
 * <p>The first read of a slice only leaves its name, so that a scan over everything displaces
 * nothing; a second one keeps it. Who goes is chosen by SIEVE (Zhang et al., NSDI 2024): one hand,
 * which spares what was read since it last came by. Nobody waits for room: while all buffers are in
 * readers' hands, what is read is not kept (docs/decisions/0011).
 */
public final class MemoryTier {
  private static final int SLICE_BYTES = Network.MAX_PAYLOAD_BYTES;
  private static final int SMALL_BYTES = 128 << 10;
  private static final long LEAST_BYTES = 8 << 20;
  // Of the memory: for chunks, and ends of chunks, of up to SMALL_BYTES.
  private static final int SMALL_PART = 8;
  // Names of slices that were read once, for each that is kept.
  private static final int NAMES = 4;

  private final Optional<Shelf> large;
  private final Optional<Shelf> small;
  private final AtomicLong hits = new AtomicLong();

  /**
   * @param capacityBytes what it may hold, outside the heap; less than 8 MiB: nothing
   */
  public MemoryTier(Env env, long capacityBytes) {
    long forSmall = capacityBytes / SMALL_PART;
    boolean any = capacityBytes >= LEAST_BYTES;
    this.small = any ? Optional.of(new Shelf(env, SMALL_BYTES, forSmall)) : Optional.empty();
    this.large =
        any ? Optional.of(new Shelf(env, SLICE_BYTES, capacityBytes - forSmall)) : Optional.empty();
  }

  /** Reads answered from it, since the start. */
  public long hits() {
    return hits.get();
  }

  /** Bytes that it holds. */
  public long heldBytes() {
    return large.map(Shelf::heldBytes).orElse(0L) + small.map(Shelf::heldBytes).orElse(0L);
  }

  /**
   * A part of a chunk that is in memory; never waits.
   *
   * @return exactly that part; the caller releases it
   */
  public Optional<Bytes> find(StoredChunk chunk, int offset, int length) {
    Slice slice = Slice.at(chunk.id(), offset);
    int from = offset - slice.begin();
    Optional<Bytes> found =
        from + length > slice.lengthIn(chunk)
            ? Optional.empty()
            : shelf(slice.lengthIn(chunk)).flatMap(shelf -> shelf.find(slice, from, length));
    if (found.isPresent()) {
      hits.incrementAndGet();
    }
    return found;
  }

  /**
   * Reads a part of a chunk, as {@link Volume#read}: from memory, else from the volume, which holds
   * it; then it may be kept.
   *
   * @param pool for what is not kept
   */
  public Bytes read(Volume volume, StoredChunk chunk, int offset, int length, SlabPool pool) {
    Optional<Bytes> found = find(chunk, offset, length);
    if (found.isPresent()) {
      return found.get();
    }
    Slice slice = Slice.at(chunk.id(), offset);
    int from = offset - slice.begin();
    int whole = slice.lengthIn(chunk);
    Optional<Shelf> keeper =
        from + length > whole ? Optional.empty() : shelf(whole).filter(each -> each.wants(slice));
    if (keeper.isEmpty()) {
      return volume.read(chunk.id(), offset, length, pool);
    }
    Shelf shelf = keeper.get();
    Bytes bytes;
    try {
      bytes = volume.read(chunk.id(), slice.begin(), whole, shelf.pool);
    } catch (RuntimeException | Error failure) {
      shelf.giveUp();
      throw failure;
    }
    try {
      shelf.keep(slice, bytes);
      return bytes.slice(from, length);
    } finally {
      bytes.release();
    }
  }

  private Optional<Shelf> shelf(int lengthBytes) {
    return lengthBytes <= SMALL_BYTES ? small : large;
  }

  /** Which MiB of a chunk. */
  private record Slice(ChunkId chunk, int index) implements Comparable<Slice> {
    static Slice at(ChunkId chunk, int offset) {
      return new Slice(chunk, offset / SLICE_BYTES);
    }

    int begin() {
      return index * SLICE_BYTES;
    }

    int lengthIn(StoredChunk stored) {
      return Math.min(SLICE_BYTES, stored.lengthBytes() - begin());
    }

    @Override
    public int compareTo(Slice other) {
      int byIndex = Integer.compare(index, other.index);
      return byIndex != 0 ? byIndex : chunk.compareTo(other.chunk);
    }
  }

  /** A slice in memory, between an older and a newer one. */
  private static final class Kept {
    final Slice slice;
    final Bytes bytes;
    boolean visited;
    @Nullable Kept older;
    @Nullable Kept newer;

    Kept(Slice slice, Bytes bytes) {
      this.slice = slice;
      this.bytes = bytes;
    }
  }

  /** Slices in buffers of one size. */
  private static final class Shelf {
    final SlabPool pool;
    private final ReentrantLock lock = new ReentrantLock();
    // All guarded by lock.
    private final TreeMap<Slice, Kept> kept = new TreeMap<>();
    private final TreeSet<Slice> named = new TreeSet<>();
    private final ArrayDeque<Slice> names = new ArrayDeque<>(); // as they came; some have gone
    private @Nullable Kept oldest;
    private @Nullable Kept newest;
    private @Nullable Kept hand;
    private int loading;
    private long heldBytes;

    Shelf(Env env, int slabBytes, long capacityBytes) {
      this.pool =
          new SlabPool(
              env, slabBytes, (int) Math.min(capacityBytes / slabBytes, Integer.MAX_VALUE));
    }

    long heldBytes() {
      lock.lock();
      try {
        return heldBytes;
      } finally {
        lock.unlock();
      }
    }

    Optional<Bytes> find(Slice slice, int from, int length) {
      lock.lock();
      try {
        Kept found = kept.get(slice);
        if (found == null) {
          return Optional.empty();
        }
        found.visited = true;
        return Optional.of(found.bytes.slice(from, length));
      } finally {
        lock.unlock();
      }
    }

    /** Whether a slice is to be kept; then {@link #keep} or {@link #giveUp} follows. */
    boolean wants(Slice slice) {
      lock.lock();
      try {
        if (!named.remove(slice)) {
          name(slice);
          return false;
        }
        while (kept.size() + loading >= pool.count()) {
          if (kept.isEmpty()) {
            return false;
          }
          evict();
        }
        // What was evicted may be in a reader's hands still.
        if (pool.available() <= loading) {
          return false;
        }
        loading++;
        return true;
      } finally {
        lock.unlock();
      }
    }

    private void name(Slice slice) {
      named.add(slice);
      names.add(slice);
      if (names.size() > (long) NAMES * pool.count()) {
        named.remove(names.remove());
      }
    }

    void giveUp() {
      lock.lock();
      try {
        loading--;
      } finally {
        lock.unlock();
      }
    }

    void keep(Slice slice, Bytes bytes) {
      lock.lock();
      try {
        loading--;
        if (kept.containsKey(slice)) {
          return; // two readers came at once
        }
        var added = new Kept(slice, bytes.retain());
        added.older = newest;
        if (newest != null) {
          newest.newer = added;
        } else {
          oldest = added;
        }
        newest = added;
        kept.put(slice, added);
        heldBytes += bytes.length();
      } finally {
        lock.unlock();
      }
    }

    /** SIEVE: the hand goes from the oldest to the newest, and round again. */
    private void evict() {
      Kept at = hand == null ? oldest : hand;
      while (at != null && at.visited) {
        at.visited = false;
        at = at.newer == null ? oldest : at.newer;
      }
      if (at == null) {
        throw new IllegalStateException("nothing is kept");
      }
      hand = at.newer;
      if (at.older == null) {
        oldest = at.newer;
      } else {
        at.older.newer = at.newer;
      }
      if (at.newer == null) {
        newest = at.older;
      } else {
        at.newer.older = at.older;
      }
      kept.remove(at.slice);
      heldBytes -= at.bytes.length();
      at.bytes.release();
    }
  }
}
