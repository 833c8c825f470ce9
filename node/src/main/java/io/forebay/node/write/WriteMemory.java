package io.forebay.node.write;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Family;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.log.ControlPlane;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Bytes that all bodies of a node may hold until they are acknowledged. A chunk that waits for room
 * on full disks holds its own for as long; so that writers go on whose groups have room, no family
 * of groups has all of it where buckets are of more than one.
 */
public final class WriteMemory {
  // Of the memory: what a family leaves to the others.
  private static final int OTHERS_PART = 4;

  private final Env env;
  private final ControlPlane plane;
  private final long totalBytes;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final Map<Family, Long> heldBytes = new TreeMap<>();
  private final Map<Family, Integer> waiting = new TreeMap<>();
  private long freeBytes;
  private long grants;
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

  /** How often anybody was given some: whoever waits sees by it whether others go on. */
  long grants() {
    lock.lock();
    try {
      return grants;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes bytes if they are free now, and nobody of the family waits for some; more than there are
   * count as all.
   */
  boolean tryAcquire(Family family, long bytes) {
    lock.lock();
    try {
      return !waiting.containsKey(family) && take(family, bytes);
    } finally {
      lock.unlock();
    }
  }

  private boolean take(Family family, long bytes) {
    long wanted = Math.min(bytes, totalBytes);
    long held = heldBytes.getOrDefault(family, 0L);
    // A family that has nothing gets its first chunk, however large.
    if (wanted > freeBytes || (held > 0 && held + wanted > ofOneBytes())) {
      return false;
    }
    freeBytes -= wanted;
    heldBytes.put(family, held + wanted);
    grants++;
    return true;
  }

  /** Takes bytes, waiting until the monotonic deadline; false when it passed first. */
  boolean acquire(Family family, long bytes, long deadlineNanos) {
    countWaiting(family, 1);
    try {
      while (true) {
        Outcome<Boolean> next;
        lock.lock();
        try {
          if (take(family, bytes)) {
            return true;
          }
          next = released;
        } finally {
          lock.unlock();
        }
        if (!next.awaitUntil(deadlineNanos)) {
          return false;
        }
      }
    } finally {
      countWaiting(family, -1);
    }
  }

  private void countWaiting(Family family, int change) {
    lock.lock();
    try {
      waiting.merge(family, change, (old, more) -> old + more == 0 ? null : old + more);
    } finally {
      lock.unlock();
    }
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
    long count = Math.min(bytes, totalBytes);
    Outcome<Boolean> waiting;
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
      waiting = released;
      released = new Outcome<>(env);
    } finally {
      lock.unlock();
    }
    waiting.complete(true);
  }
}
