package io.forebay.node.write;

import io.forebay.core.env.Env;
import io.forebay.core.id.VolumeId;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How quickly members take what waits for them, link by link, as this node's writers see it: who
 * stands, or crawls, while others take what they get.
 *
 * <p>Why not wait for chunks: a member that is many times slower at full load shares its NIC among
 * so many of them that none arrives, and where all groups have it nobody else's does.
 *
 * <p>Why links: of a chain w → a → b of which b gets too little, a may send slowly or b take
 * slowly. What they take from this node itself decides: where b is quick and a is not it is a, the
 * other way round it is b, and else nobody is blamed. A link from this node is slow at its far end
 * where another one is quick; if none is, this node may be the slow one, and says nothing. All of
 * it is compared within the same few seconds, so a load that slows all down makes none of them
 * slow.
 */
final class LinkRates {
  /** Who takes so many times less than is usual holds chunks up. */
  private static final int TIMES = 6;

  // What is less than so much of what is usual is no sign of being well.
  private static final int QUICK_PART = 3;
  // For so long all in all, but about as long as a lease: whoever is dead is out then.
  private static final long HELD_NANOS = 800_000_000L;
  private static final long MOST_HELD_NANOS = 2_000_000_000L;
  // One chunk at least has to have waited for so long in one go: a try of the least patience, half
  // a second, is looked at less than ten times.
  private static final long LEAST_LONGEST_NANOS = 400_000_000L;
  // Who holds chunks up for so long is no measure for others.
  private static final long DOUBTED_NANOS = 300_000_000L;
  // What was long ago, with nobody waiting since, counts less: by so much of that time.
  private static final int FADES_PART = 4;
  // After a pause of so long a wait is another one, if no more than this is left of those before.
  private static final long PAUSE_NANOS = 200_000_000L;
  private static final long LEFT_NANOS = 100_000_000L;
  private static final long KEPT_NANOS = 6_000_000_000L;
  private static final int KEPT = 64;

  /**
   * @param from the volume before it in the chain; empty: this node
   */
  private record Link(Optional<VolumeId> from, VolumeId to) implements Comparable<Link> {
    private static final Comparator<Link> ORDER =
        Comparator.comparing(Link::to)
            .thenComparing(link -> link.from().isPresent())
            .thenComparing(link -> link.from().orElse(link.to()));

    @Override
    public int compareTo(Link other) {
      return ORDER.compare(this, other);
    }
  }

  /**
   * What a link has taken since it takes too little.
   *
   * <p>{@code excessNanos} is how much longer that took than it may have: a cumulative sum, which
   * is never below zero. While it is zero nothing else is of interest.
   */
  private static final class Held {
    long sinceNanos;
    long lastNanos;
    long excessNanos;
    long nanos; // of which some chunk waited
    long bytes;
    long longestNanos; // that one waited

    double bytesPerNano() {
      return Math.max(1, bytes) / (double) Math.max(1, nanos);
    }
  }

  /**
   * What a member took from this node itself, of one chunk.
   *
   * @param all whether that is what it could take
   */
  private record Took(
      VolumeId volume, long sinceNanos, long untilNanos, double bytesPerNano, boolean all) {}

  private final Env env;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Link, Held> held = new TreeMap<>(); // guarded by lock
  private final ArrayDeque<Took> recent = new ArrayDeque<>(); // the latest last; guarded by lock
  private double usual; // bytes for each nanosecond, the median; 0: not known; guarded by lock

  LinkRates(Env env) {
    this.env = env;
  }

  /**
   * A chunk waited for a link until now.
   *
   * @param from the volume before it in the chain; empty: this node
   * @param nanos since it was looked at last
   * @param waitedNanos since it waits for this link
   * @param bytes that it took in these nanos
   */
  void held(Optional<VolumeId> from, VolumeId to, long nanos, long waitedNanos, long bytes) {
    lock.lock();
    try {
      long now = env.nanoTime();
      Held link = held.computeIfAbsent(new Link(from, to), any -> new Held());
      long idle = Math.max(0, now - nanos - link.lastNanos);
      long left = link.excessNanos - idle / FADES_PART;
      if (left <= (idle >= PAUSE_NANOS ? LEFT_NANOS : 0) || isOver(link, now)) {
        link.sinceNanos = now - nanos;
        link.lastNanos = now - nanos;
        left = 0;
        link.nanos = 0;
        link.bytes = 0;
        link.longestNanos = 0;
      }
      // Chunks that wait side by side do not make it longer.
      long more = Math.max(0, now - Math.max(now - nanos, link.lastNanos));
      long due = bytes == 0 ? 0 : usual == 0 ? MOST_HELD_NANOS : (long) (TIMES * bytes / usual);
      link.excessNanos = Math.clamp(left + more - due, 0, MOST_HELD_NANOS);
      link.nanos += more;
      link.bytes += bytes;
      link.lastNanos = now;
      link.longestNanos = Math.max(link.longestNanos, waitedNanos);
    } finally {
      lock.unlock();
    }
  }

  /**
   * A member took so many bytes of a chunk from this node itself, and the chunk's client was not
   * what it waited for.
   */
  void took(VolumeId volume, long sinceNanos, long bytes) {
    took(volume, sinceNanos, bytes, true);
  }

  /** The same where others may have held it up: it is as quick as that, if not quicker. */
  void tookAtLeast(VolumeId volume, long sinceNanos, long bytes) {
    took(volume, sinceNanos, bytes, false);
  }

  private void took(VolumeId volume, long sinceNanos, long bytes, boolean all) {
    lock.lock();
    try {
      long now = env.nanoTime();
      double rate = (double) bytes / Math.max(1, now - sinceNanos);
      if (!all && rate < usual / QUICK_PART) {
        return;
      }
      recent.add(new Took(volume, sinceNanos, now, rate, all));
      while (recent.size() > KEPT || now - recent.element().untilNanos() >= KEPT_NANOS) {
        recent.remove();
      }
      if (all) {
        double[] rates =
            recent.stream().filter(Took::all).mapToDouble(Took::bytesPerNano).sorted().toArray();
        usual = rates[rates.length / 2];
      }
    } finally {
      lock.unlock();
    }
  }

  private static boolean isOver(Held link, long now) {
    return now - link.lastNanos >= KEPT_NANOS;
  }

  /**
   * Volumes that take many times less than others do, or nothing, though chunks wait for them: what
   * they take for a MiB, in microseconds, at least.
   */
  Map<VolumeId, Long> slow() {
    lock.lock();
    try {
      long now = env.nanoTime();
      held.values().removeIf(link -> link.excessNanos == 0 || isOver(link, now));
      var doubted = new TreeSet<VolumeId>();
      held.forEach((link, each) -> {
        if (link.from().isEmpty() && each.excessNanos >= DOUBTED_NANOS) {
          doubted.add(link.to());
        }
      });
      var slow = new TreeMap<VolumeId, Long>();
      held.forEach((link, each) -> {
        if (each.excessNanos >= HELD_NANOS && each.longestNanos >= LEAST_LONGEST_NANOS) {
          blamed(link, each, doubted)
              .ifPresent(volume -> {
                long micros = (long) ((1 << 20) / each.bytesPerNano() / 1_000);
                slow.merge(volume, Math.min(micros, each.nanos / 1_000), Math::max);
              });
        }
      });
      return slow;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Whose fault it is that a link takes too little: never of whom a chunk was quick meanwhile.
   *
   * @param doubted who holds chunks up itself, and is no measure for others
   */
  private Optional<VolumeId> blamed(Link link, Held held, Set<VolumeId> doubted) {
    double least = Math.max(usual / QUICK_PART, TIMES * held.bytesPerNano());
    var quick = new TreeSet<VolumeId>();
    recent.stream()
        .filter(took -> took.sinceNanos() - held.sinceNanos >= 0 && took.bytesPerNano() >= least)
        .forEach(took -> quick.add(took.volume()));
    if (link.from().isEmpty()) {
      return !quick.contains(link.to()) && quick.stream().anyMatch(each -> !doubted.contains(each))
          ? Optional.of(link.to())
          : Optional.empty();
    }
    VolumeId from = link.from().get();
    if (quick.contains(from) == quick.contains(link.to())) {
      return Optional.empty();
    }
    VolumeId quickOne = quick.contains(from) ? from : link.to();
    return doubted.contains(quickOne)
        ? Optional.empty()
        : Optional.of(quickOne.equals(from) ? link.to() : from);
  }
}
