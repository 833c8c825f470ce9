package io.forebay.node.replica;

import io.forebay.core.env.BoundedQueue;
import io.forebay.core.env.Env;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.VolumeId;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Chunks of this node's volumes that a read found damaged, or absent where they should be, until
 * somebody has looked after them. What does not fit in is dropped: the next read doubts it again.
 */
public final class DoubtedChunks {
  private static final int MOST = 4_096;

  /** What was found. */
  public enum Finding {
    /** Its bytes do not match their checksum, or cannot be read. */
    DAMAGED,
    /** An in-sync member does not have it. Of a chunk that is not owed that is no fault. */
    ABSENT
  }

  /** A chunk that should be looked after. */
  public record Doubt(VolumeId volume, ChunkId chunk, GroupId group, Finding finding) {}

  private record Key(VolumeId volume, ChunkId chunk) implements Comparable<Key> {
    @Override
    public int compareTo(Key other) {
      int order = volume.compareTo(other.volume);
      return order != 0 ? order : chunk.compareTo(other.chunk);
    }
  }

  private final BoundedQueue<Doubt> queue;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeMap<Key, Doubt> known = new TreeMap<>(); // guarded by lock
  private final AtomicLong damagedReads = new AtomicLong();

  public DoubtedChunks(Env env) {
    this.queue = new BoundedQueue<>(env, MOST);
  }

  /** Reads that met a wrong checksum or a disk error. */
  public long damagedReads() {
    return damagedReads.get();
  }

  /** A read has found this. Does not wait. */
  public void add(Doubt doubt) {
    if (doubt.finding() == Finding.DAMAGED) {
      damagedReads.incrementAndGet();
    }
    lock.lock();
    try {
      var key = new Key(doubt.volume(), doubt.chunk());
      if (!known.containsKey(key) && queue.offer(doubt)) {
        known.put(key, doubt);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Some that were not taken yet; waits for the first. Each is done at last. */
  public List<Doubt> take(int most) {
    var some = new ArrayList<Doubt>(List.of(queue.take()));
    while (some.size() < most) {
      Optional<Doubt> next = queue.poll();
      if (next.isEmpty()) {
        break;
      }
      some.add(next.get());
    }
    return some;
  }

  /** Looked after, or in vain: the next read that finds it so is heard again. */
  public void done(Doubt doubt) {
    lock.lock();
    try {
      known.remove(new Key(doubt.volume(), doubt.chunk()));
    } finally {
      lock.unlock();
    }
  }
}
