package io.forebay.node.write;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Family;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.log.ControlPlane;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Bytes that all bodies of a node may hold until they are acknowledged. A chunk that waits for room
 * on full disks holds its own for as long; so that writers go on whose groups have room, no family
 * of groups has all of it where buckets are of more than one. Of a family who came first is served
 * first, so that a large chunk does not stand for as long as there are small ones; but these let it
 * go first only for a while, so that they do not stand behind one that finds no room.
 */
public final class WriteMemory {
  // Of the memory: what a family leaves to the others.
  private static final int OTHERS_PART = 4;
  // Bytes come in buffers of so many, and a chunk holds whole ones.
  private static final long COUNTED_BYTES = 1 << 20;

  // Whoever waits is served before later ones that want less for so long of each span: all at the
  // same time, for else many of them would be first by turns, and all the time.
  private static final long FIRST_NANOS = 10_000_000_000L;
  private static final long SPAN_NANOS = 30_000_000_000L;

  /** A place in the line. */
  record Turn(long number) {}

  /** Somebody who stands in it. */
  private record Waiter(Family family, long bytes, Turn turn) {}

  private final Env env;
  private final ControlPlane plane;
  private final long totalBytes;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final Map<Family, Long> heldBytes = new TreeMap<>();
  private final SortedMap<Long, Waiter> waiting = new TreeMap<>(); // by number of their turn
  private final Map<Family, Long> grants = new TreeMap<>();
  private long freeBytes;
  private long turns;
  private Outcome<Boolean> released;
  private long countedVersion = -1;
  private long ofOneBytes;

  /**
   * @param totalBytes at least 1
   */
  public WriteMemory(Env env, ControlPlane plane, long totalBytes) {
    if (totalBytes < 1) {
      throw new IllegalArgumentException("there must be memory for bodies: " + totalBytes);
    }
    this.env = env;
    this.plane = plane;
    this.totalBytes = totalBytes;
    this.freeBytes = totalBytes;
    this.released = new Outcome<>(env);
  }

  /** Bytes that nobody holds. */
  public long available() {
    lock.lock();
    try {
      return freeBytes;
    } finally {
      lock.unlock();
    }
  }

  /** How often anybody of a family was given some: whoever waits sees whether others go on. */
  long grants(Family family) {
    lock.lock();
    try {
      return grants.getOrDefault(family, 0L);
    } finally {
      lock.unlock();
    }
  }

  /** The next place in the line, for {@link #acquire}; with {@link #leave} at the end. */
  Turn turn() {
    lock.lock();
    try {
      return new Turn(++turns);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes bytes if they are free now, and nobody who waits is to have them; more than there are
   * count as all.
   */
  boolean tryAcquire(Family family, long bytes) {
    lock.lock();
    try {
      return take(family, counted(bytes), Long.MAX_VALUE);
    } finally {
      lock.unlock();
    }
  }

  private long counted(long bytes) {
    return Math.min((bytes + COUNTED_BYTES - 1) / COUNTED_BYTES * COUNTED_BYTES, totalBytes);
  }

  private boolean take(Family family, long wanted, long number) {
    if (wanted > freeBytes
        || hasItsPart(family, wanted)
        || waiting.headMap(number).values().stream()
            .anyMatch(before -> isFirst(before, family, wanted))) {
      return false;
    }
    freeBytes -= wanted;
    heldBytes.merge(family, wanted, Long::sum);
    grants.merge(family, 1L, Long::sum);
    return true;
  }

  /**
   * Whether a later one has to let it go first; for a while only, where the later one wants less.
   * Families do not stand behind each other, for what one leaves to the others is theirs; but for
   * the first chunk of a family that has nothing, which several others would take it from.
   */
  private boolean isFirst(Waiter before, Family family, long wanted) {
    return (before.family.equals(family) || !heldBytes.containsKey(before.family))
        && (before.bytes <= wanted || Math.floorMod(env.nanoTime(), SPAN_NANOS) < FIRST_NANOS);
  }

  /** A family that has nothing gets its first chunk, however large. */
  private boolean hasItsPart(Family family, long wanted) {
    long held = heldBytes.getOrDefault(family, 0L);
    return held > 0 && held + wanted > ofOneBytes();
  }

  /**
   * Takes bytes, waiting until the monotonic deadline; false when it passed first, and then it
   * still stands in the line.
   */
  boolean acquire(Family family, long bytes, Turn turn, long deadlineNanos) {
    long wanted = counted(bytes);
    while (true) {
      Outcome<Boolean> next;
      lock.lock();
      try {
        if (take(family, wanted, turn.number)) {
          return true;
        }
        waiting.put(turn.number, new Waiter(family, wanted, turn));
        next = released;
      } finally {
        lock.unlock();
      }
      if (!next.awaitUntil(deadlineNanos)) {
        return false;
      }
    }
  }

  /** Stands in the line no more, if it did: others may go. */
  void leave(Turn turn) {
    Outcome<Boolean> woken;
    lock.lock();
    try {
      if (waiting.remove(turn.number) == null) {
        return;
      }
      woken = released;
      released = new Outcome<>(env);
    } finally {
      lock.unlock();
    }
    woken.complete(true);
  }

  private long ofOneBytes() {
    ClusterImage image = plane.image();
    if (image.version() != countedVersion) {
      boolean others = image.buckets().stream().map(Bucket::family).distinct().count() > 1;
      ofOneBytes = others ? totalBytes - totalBytes / OTHERS_PART : totalBytes;
      countedVersion = image.version();
    }
    return ofOneBytes;
  }

  /** Gives bytes back; the same count that was taken. */
  void release(Family family, long bytes) {
    long count = counted(bytes);
    Outcome<Boolean> woken;
    lock.lock();
    try {
      long left = heldBytes.getOrDefault(family, 0L) - count;
      if (left < 0) {
        throw new IllegalStateException(
            "more memory given back than taken: " + count + " bytes of " + family);
      }
      if (left == 0) {
        heldBytes.remove(family);
      } else {
        heldBytes.put(family, left);
      }
      freeBytes += count;
      woken = released;
      released = new Outcome<>(env);
    } finally {
      lock.unlock();
    }
    woken.complete(true);
  }
}
