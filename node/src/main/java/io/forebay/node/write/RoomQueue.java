package io.forebay.node.write;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.Family;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.VolumeId;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;

/**
 * Where chunks of this node stand that found no room on any group of their family: one line for
 * each family, in the order in which they came. Only the first of a line tries, so that full disks
 * are not asked by everybody, and that who came first is served first.
 *
 * <p>A chunk of a bucket with a store waits for as long as the line moves, and for a time after it
 * has last moved: flushing makes room, and writers are slowed down to its rate. For one of a bucket
 * without a store only eviction of others' data can, which is a matter of a look at a disk.
 *
 * <p>Whoever stands in a line holds the memory of one chunk, and what that keeps others from is
 * bounded by {@link WriteMemory}. Bodies that would begin another chunk wait at the gate of the
 * line, with nothing in their hands.
 */
final class RoomQueue {
  private static final long TRY_NANOS = 100_000_000L;
  // A look at a disk begins within half a second and takes a second or some.
  private static final long EVICTION_NANOS = 5_000_000_000L;
  // Of the volumes that refused, how many a message names.
  private static final int NAMED = 4;

  private final Env env;
  private final long waitNanos;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Family, Line> lines = new TreeMap<>(); // guarded by lock, as is what is in it

  /**
   * @param waitNanos for how long a line of chunks with a store may stand still
   */
  RoomQueue(Env env, long waitNanos) {
    this.env = env;
    this.waitNanos = waitNanos;
  }

  /** Chunks that wait. */
  int size() {
    lock.lock();
    try {
      return lines.values().stream().mapToInt(line -> line.places.size()).sum();
    } finally {
      lock.unlock();
    }
  }

  /** Whether chunks of the family wait for room. */
  boolean waits(Family family) {
    lock.lock();
    try {
      return lines.containsKey(family);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Puts a chunk at the end of its line. Whoever enters must leave, by closing its place.
   *
   * @param unwanted complete when nobody waits for the chunk any more
   */
  Place enter(Bucket bucket, Outcome<Boolean> unwanted) {
    Place place;
    lock.lock();
    try {
      Line line = lines.computeIfAbsent(bucket.family(), family -> new Line());
      place = new Place(bucket, line, unwanted);
      line.places.add(place);
    } finally {
      lock.unlock();
    }
    unwanted.whenDone(any -> place.moved.complete(true));
    return place;
  }

  /**
   * Waits until no chunk of the family waits for room. The caller holds nothing that others may
   * wait for.
   *
   * @throws ForebayException NO_SPACE when those that wait are refused, or would be by now
   */
  void awaitNone(Bucket bucket) {
    long enteredNanos = env.nanoTime();
    Optional<Line> before = Optional.empty();
    while (true) {
      Line line;
      long endNanos;
      lock.lock();
      try {
        if (flushes(bucket) && before.isPresent() && before.get().refused()) {
          throw before.get().refusal(bucket);
        }
        line = lines.get(bucket.family());
        if (line == null) {
          return;
        }
        endNanos = line.endNanos(bucket, enteredNanos);
        if (env.nanoTime() - endNanos >= 0) {
          throw line.refusal(bucket);
        }
      } finally {
        lock.unlock();
      }
      boolean _ = line.over.awaitUntil(endNanos);
      before = Optional.of(line);
    }
  }

  private boolean flushes(Bucket bucket) {
    return !bucket.storeUrl().isEmpty() && waitNanos > 0;
  }

  private final class Line {
    final ArrayDeque<Place> places = new ArrayDeque<>();
    final Map<VolumeId, String> refusals = new TreeMap<>();
    // Complete when nobody stands here any more: with true if that is because those who wait for a
    // flush were refused.
    final Outcome<Boolean> over = new Outcome<>(env);
    long movedNanos = env.nanoTime();
    long nextTryNanos = movedNanos;

    /** Whether those who stood here were refused, the last of them. */
    boolean refused() {
      return over.isDone() && over.get();
    }

    long endNanos(Bucket bucket, long enteredNanos) {
      return flushes(bucket) ? movedNanos + waitNanos : enteredNanos + EVICTION_NANOS;
    }

    ForebayException refusal(Bucket bucket) {
      String copies = bucket.family().replicas() + " copies";
      return new ForebayException(
          ErrorCode.NO_SPACE,
          flushes(bucket)
              ? "no writer of this node has found room on a group of "
                  + copies
                  + " for "
                  + waitNanos / 1_000_000_000
                  + " s, for the flush does not make any; `forebay status` shows what the stores do"
                  + " not take, and why. Or delete objects, or give the nodes more disk: "
                  + words()
              : "no group of "
                  + copies
                  + " has room, and bucket '"
                  + bucket.name()
                  + "' has no store to flush to that is waited for; delete objects (their room"
                  + " comes back after the bucket's read grace) or give the nodes more disk: "
                  + words());
    }

    private String words() {
      lock.lock();
      try {
        String named = refusals.values().stream().limit(NAMED).collect(Collectors.joining("; "));
        return refusals.size() <= NAMED
            ? named
            : named + "; and " + (refusals.size() - NAMED) + " volumes more";
      } finally {
        lock.unlock();
      }
    }
  }

  /** A chunk's place in its line. Belongs to one thread. */
  final class Place implements AutoCloseable {
    private final Bucket bucket;
    private final Line line;
    private final long enteredNanos = env.nanoTime();
    private final Outcome<Boolean> unwanted;
    // Complete when it is the first, or unwanted.
    private final Outcome<Boolean> moved = new Outcome<>(env);
    private boolean stored;
    private boolean refused;

    private Place(Bucket bucket, Line line, Outcome<Boolean> unwanted) {
      this.bucket = bucket;
      this.line = line;
      this.unwanted = unwanted;
    }

    /** A volume had no room for the chunk. */
    void full(VolumeId volume, String why) {
      lock.lock();
      try {
        line.refusals.put(volume, why);
      } finally {
        lock.unlock();
      }
    }

    /**
     * Waits until the chunk may be tried again.
     *
     * @throws ForebayException NO_SPACE naming the full volumes, when the line stands still;
     *     CANCELLED when nobody wants the chunk any more
     */
    void awaitTurn() {
      while (true) {
        if (unwanted.isDone()) {
          throw new ForebayException(ErrorCode.CANCELLED, "the body was given up");
        }
        boolean isFirst;
        long untilNanos;
        lock.lock();
        try {
          long now = env.nanoTime();
          long endNanos = line.endNanos(bucket, enteredNanos);
          if (now - endNanos >= 0) {
            refused = true;
            throw line.refusal(bucket);
          }
          isFirst = line.places.peek() == this;
          if (isFirst && now - line.nextTryNanos >= 0) {
            line.nextTryNanos = now + TRY_NANOS;
            return;
          }
          untilNanos = isFirst && line.nextTryNanos - endNanos < 0 ? line.nextTryNanos : endNanos;
        } finally {
          lock.unlock();
        }
        if (isFirst) {
          env.sleep(untilNanos - env.nanoTime());
        } else {
          moved.awaitUntil(untilNanos);
        }
      }
    }

    /** The chunk was taken. */
    void stored() {
      stored = true;
    }

    @Override
    public void close() {
      lock.lock();
      try {
        line.places.remove(this);
        if (stored) {
          line.movedNanos = env.nanoTime();
          line.nextTryNanos = line.movedNanos;
        }
        if (line.places.isEmpty()) {
          lines.remove(bucket.family());
          line.over.complete(refused && flushes(bucket));
        } else {
          line.places.getFirst().moved.complete(true);
        }
      } finally {
        lock.unlock();
      }
    }
  }
}
