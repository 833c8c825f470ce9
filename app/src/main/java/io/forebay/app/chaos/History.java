package io.forebay.app.chaos;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What clients did with keys, and whether it is what atomic registers do: as if each operation had
 * happened at one moment between its begin and its end. Safe for all threads.
 *
 * <p>Each value is written once, so that it is known which write a read has read, and the question
 * can be decided exactly (Gibbons and Korach, Testing Shared Memories, SIAM J. Comput. 26(4), 1997,
 * section 4). The operations of one value, its write and its reads, have a zone: from the first end
 * to the last begin. Where the first end comes first, the register had that value all through the
 * zone ("forward"). Else one moment of the zone is enough ("backward"). The history is atomic if
 * and only if no read ends before its write begins, no two forward zones overlap, and no backward
 * zone lies within a forward one.
 *
 * <p>A write that was not acknowledged may have happened at any time since its begin, or never: its
 * end is never. Before all writes the key is absent, which is a value too.
 *
 * <p>A write that its client has sent again may have happened as often, until its end: its value
 * may come back then. So nothing is said of reads of it that began before that.
 */
final class History {
  /** The value of a key that is not there. */
  static final long ABSENT = 0;

  private static final long NEVER = Long.MAX_VALUE;
  private static final long BEFORE_ALL = Long.MIN_VALUE;

  private final long originNanos = System.nanoTime();
  private final ReentrantLock lock = new ReentrantLock();
  // By key, then by value. All of these are guarded by lock.
  private final SortedMap<String, SortedMap<Long, List<Op>>> keys = new TreeMap<>();
  private final SortedSet<String> givenUp = new TreeSet<>();
  private long operations;
  private long acknowledged;

  /** A write or read of a value; times are nanoseconds since the origin. */
  private record Op(String who, boolean write, long begun, long ended, boolean repeated) {
    @Override
    public String toString() {
      return (write ? "written" : "read")
          + " by "
          + who
          + " from "
          + at(begun)
          + " to "
          + at(ended);
    }

    private static String at(long nanos) {
      return nanos == NEVER
          ? "(not acknowledged)"
          : nanos == BEFORE_ALL
              ? "the beginning"
              : String.format(Locale.ROOT, "%.4f s", nanos / 1e9);
    }
  }

  /** The operations of a value that bound its zone. */
  private record Zone(long value, Op firstEnded, Op lastBegun) {
    boolean isForward() {
      return firstEnded.ended < lastBegun.begun;
    }

    String against(Zone other) {
      return this + " and " + other + " contradict each other";
    }

    @Override
    public String toString() {
      return (value == ABSENT ? "absent" : "value " + value)
          + " ("
          + firstEnded
          + (firstEnded.equals(lastBegun) ? "" : "; " + lastBegun)
          + ")";
    }
  }

  /**
   * A value was written, and that was acknowledged. Times are of System.nanoTime.
   *
   * @param repeated whether it was sent more than once
   */
  void wrote(
      String key, long value, String who, long begunNanos, long endedNanos, boolean repeated) {
    add(
        key,
        value,
        new Op(who, true, begunNanos - originNanos, endedNanos - originNanos, repeated),
        true);
  }

  /**
   * Whether a value was written is not known.
   *
   * @param repeated whether it may have been sent more than once
   */
  void mayHaveWritten(String key, long value, String who, long begunNanos, boolean repeated) {
    add(key, value, new Op(who, true, begunNanos - originNanos, NEVER, repeated), false);
  }

  /** A value, or {@link #ABSENT}, was read. */
  void read(String key, long value, String who, long begunNanos, long endedNanos) {
    add(
        key,
        value,
        new Op(who, false, begunNanos - originNanos, endedNanos - originNanos, false),
        true);
  }

  /** A read was not answered. */
  void failedRead() {
    lock.lock();
    try {
      operations++;
    } finally {
      lock.unlock();
    }
  }

  private void add(String key, long value, Op op, boolean answered) {
    lock.lock();
    try {
      operations++;
      acknowledged += answered ? 1 : 0;
      keys.computeIfAbsent(key, any -> new TreeMap<>())
          .computeIfAbsent(value, any -> new ArrayList<>())
          .add(op);
    } finally {
      lock.unlock();
    }
  }

  /** Operations that were begun. */
  long operations() {
    lock.lock();
    try {
      return operations;
    } finally {
      lock.unlock();
    }
  }

  /** Those that were answered. */
  long acknowledged() {
    lock.lock();
    try {
      return acknowledged;
    } finally {
      lock.unlock();
    }
  }

  /** A key is no register any more, from here on. */
  void giveUp(String key) {
    lock.lock();
    try {
      givenUp.add(key);
    } finally {
      lock.unlock();
    }
  }

  /** All keys but those that were given up. */
  SortedSet<String> keys() {
    lock.lock();
    try {
      var found = new TreeSet<>(keys.keySet());
      found.removeAll(givenUp);
      return found;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Keys that may have a value of before then, by System.nanoTime: one was begun to be written, and
   * none that was begun since was acknowledged after it.
   */
  SortedSet<String> keysAsBefore(long nanos) {
    lock.lock();
    try {
      var found = new TreeSet<String>();
      keys.forEach((key, values) -> {
        List<Op> writes =
            values.values().stream().flatMap(List::stream).filter(op -> op.write).toList();
        // What was not acknowledged then is not: whoever was to publish it is gone.
        long lastEnd =
            writes.stream()
                .filter(op -> op.begun < nanos - originNanos && op.ended != NEVER)
                .mapToLong(op -> op.ended)
                .max()
                .orElse(BEFORE_ALL);
        boolean old = writes.stream().anyMatch(op -> op.begun < nanos - originNanos);
        boolean anew =
            writes.stream()
                .anyMatch(op ->
                    op.begun >= nanos - originNanos && op.begun > lastEnd && op.ended != NEVER);
        if (old && !anew) {
          found.add(key);
        }
      });
      return found;
    } finally {
      lock.unlock();
    }
  }

  /** Keys with a write of which it is not known whether it will happen yet. */
  SortedSet<String> uncertainKeys() {
    lock.lock();
    try {
      var found = new TreeSet<String>();
      keys.forEach((key, values) -> {
        if (values.values().stream().flatMap(List::stream).anyMatch(op -> op.ended == NEVER)) {
          found.add(key);
        }
      });
      return found;
    } finally {
      lock.unlock();
    }
  }

  /** What no atomic register does, in words; empty when all is well. */
  List<String> violations() {
    lock.lock();
    try {
      var found = new ArrayList<String>();
      keys.forEach((key, values) -> {
        if (!givenUp.contains(key)) {
          judge(key + ": ", values, found);
        }
      });
      return found;
    } finally {
      lock.unlock();
    }
  }

  private static void judge(String key, SortedMap<Long, List<Op>> values, List<String> found) {
    var zones = new ArrayList<Zone>();
    values.forEach((value, ops) -> zone(key, value, ops, found, zones));
    List<Zone> forward =
        zones.stream()
            .filter(Zone::isForward)
            .sorted(Comparator.comparingLong(zone -> zone.firstEnded.ended))
            .toList();
    for (int i = 1; i < forward.size(); i++) {
      Zone before = forward.get(i - 1);
      if (forward.get(i).firstEnded.ended < before.lastBegun.begun) {
        found.add(key + before.against(forward.get(i)));
      }
    }
    for (Zone zone : zones) {
      for (Zone around : forward) {
        if (!zone.isForward()
            && around.firstEnded.ended < zone.lastBegun.begun
            && zone.firstEnded.ended < around.lastBegun.begun) {
          found.add(key + around.against(zone));
        }
      }
    }
  }

  private static void zone(
      String key, long value, List<Op> ops, List<String> found, List<Zone> zones) {
    var all = new ArrayList<>(ops);
    if (value == ABSENT) {
      all.add(new Op("nobody", true, BEFORE_ALL, BEFORE_ALL, false));
    }
    Op first = firstEnded(all);
    long written = all.stream().filter(Op::write).mapToLong(Op::begun).min().orElse(NEVER);
    if (written == NEVER) {
      found.add(key + "value " + value + " was never written, and was " + first);
    } else if (first.ended < written) {
      found.add(key + "value " + value + " was " + first + ", before it was written");
    } else {
      long repeatedUntil =
          all.stream().filter(Op::repeated).mapToLong(Op::ended).max().orElse(BEFORE_ALL);
      all.removeIf(op -> !op.write && op.begun <= repeatedUntil);
      Op lastBegun = all.stream().max(Comparator.comparingLong(Op::begun)).orElseThrow();
      zones.add(new Zone(value, firstEnded(all), lastBegun));
    }
  }

  private static Op firstEnded(List<Op> ops) {
    return ops.stream().min(Comparator.comparingLong(Op::ended)).orElseThrow();
  }
}
