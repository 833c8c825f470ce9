package io.forebay.core.lease;

import io.forebay.core.env.Env;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What a node knows of directories under a lease: the answers about single keys, absence included.
 *
 * <p>Rule V3: an answer whose request was under way when its directory was revoked is not kept.
 * Rule V5: a lease is counted from before its request was sent, and its age is the larger of what
 * the monotonic and the wall clock say, so that a machine that stood still does not answer from
 * before. The clocks are read after the caller asked: what was true then is a right answer, however
 * long the caller's thread then takes.
 *
 * <p>Rule V4 needs nothing here: a leader revokes the lease of the node that sends a command like
 * any other.
 */
public final class LeaseCache {
  /** Most that the answers may take, as encoded; the directory leased longest ago goes first. */
  static final long MAX_BYTES = 16L << 20;

  private static final long ENTRY_BYTES = 256;
  private static final long MILLI = 1_000_000L;

  /**
   * An answer from memory.
   *
   * @param renew the caller, and no other, is to ask the leader again, to prolong the lease
   */
  public record Hit(NamespaceAnswer answer, boolean renew) {}

  /**
   * A request under way.
   *
   * @param number grows
   * @param sentNanos monotonic
   * @param sentMillis wall clock
   */
  public record Ticket(Directory directory, long number, long sentNanos, long sentMillis) {}

  /**
   * What is known of a directory.
   *
   * @param since the request that the lease is counted from
   */
  public record Known(
      Directory directory, Grant grant, Ticket since, SortedMap<String, NamespaceAnswer> answers) {}

  private record Entry(NamespaceAnswer answer, long bytes) {}

  /** A directory under a lease. */
  private static final class Leased {
    final Map<String, Entry> entries = new TreeMap<>();
    final Grant grant;
    Ticket since; // the request that the lease is counted from
    boolean renewing;
    long bytes;

    Leased(Grant grant, Ticket since) {
      this.grant = grant;
      this.since = since;
    }

    Leased(Leased other) {
      this(other.grant, other.since);
      entries.putAll(other.entries);
      renewing = other.renewing;
      bytes = other.bytes;
    }
  }

  private final Env env;
  private final long run;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final Map<Directory, Leased> directories = new TreeMap<>();
  private final Map<Directory, TreeSet<Long>> underWay = new TreeMap<>(); // numbers of tickets
  private final TreeMap<Long, Directory> byAge = new TreeMap<>(); // by the number of 'since'
  private long lastTicket;
  private long bytes;
  private long hits;
  private long misses;
  private long revocations;

  public LeaseCache(Env env) {
    this.env = env;
    this.run = env.random().nextLong();
  }

  /**
   * A cache of the same content, run and clock. The tickets of one are the other's, too; for the
   * checker, which goes on from one state in several ways.
   */
  public LeaseCache(LeaseCache other) {
    this.env = other.env;
    this.run = other.run;
    other.lock.lock();
    try {
      other.directories.forEach(
          (directory, leased) -> directories.put(directory, new Leased(leased)));
      other.underWay.forEach(
          (directory, tickets) -> underWay.put(directory, new TreeSet<>(tickets)));
      byAge.putAll(other.byAge);
      lastTicket = other.lastTicket;
      bytes = other.bytes;
      hits = other.hits;
      misses = other.misses;
      revocations = other.revocations;
    } finally {
      other.lock.unlock();
    }
  }

  /** Names this run of the process to leaders. */
  public long run() {
    return run;
  }

  /** What is known about a key, if a lease says that it is so now. */
  public Optional<Hit> find(Directory directory, String key) {
    lock.lock();
    try {
      Leased leased = directories.get(directory);
      if (leased == null) {
        misses++;
        return Optional.empty();
      }
      long age = ageNanos(leased.since);
      if (age >= leased.grant.lengthNanos()) {
        // Its entries wait for an answer under the same lease, which may have been prolonged.
        misses++;
        return Optional.empty();
      }
      Entry entry = leased.entries.get(key);
      if (entry == null) {
        misses++;
        return Optional.empty();
      }
      hits++;
      boolean renew = !leased.renewing && age >= leased.grant.lengthNanos() / 2;
      leased.renewing |= renew;
      return Optional.of(new Hit(entry.answer(), renew));
    } finally {
      lock.unlock();
    }
  }

  private long ageNanos(Ticket since) {
    long monotonic = env.nanoTime() - since.sentNanos;
    return Rule.V5_WALL.holds()
        ? Math.max(monotonic, (env.wallMillis() - since.sentMillis) * MILLI)
        : monotonic;
  }

  /** A request is going to be sent; ends with {@link #end}. */
  public Ticket begin(Directory directory) {
    lock.lock();
    try {
      Ticket ticket = now(directory, ++lastTicket);
      underWay.computeIfAbsent(directory, any -> new TreeSet<>()).add(ticket.number);
      return ticket;
    } finally {
      lock.unlock();
    }
  }

  private Ticket now(Directory directory, long number) {
    return new Ticket(directory, number, env.nanoTime(), env.wallMillis());
  }

  /** The request failed, or brought no lease. */
  public void end(Ticket ticket) {
    lock.lock();
    try {
      take(ticket);
    } finally {
      lock.unlock();
    }
  }

  /** Whether what a request brings may be kept; it ends. */
  private boolean take(Ticket ticket) {
    Leased leased = directories.get(ticket.directory);
    if (leased != null) {
      leased.renewing = false;
    }
    TreeSet<Long> here = underWay.get(ticket.directory);
    boolean valid = here != null && here.remove(ticket.number);
    if (here != null && here.isEmpty()) {
      underWay.remove(ticket.directory);
    }
    return valid;
  }

  /**
   * The request brought an answer with a lease; it is kept while it may be.
   *
   * @param encodedBytes what the answer takes, about
   */
  public void end(
      Ticket ticket, Grant grant, String key, NamespaceAnswer answer, long encodedBytes) {
    lock.lock();
    try {
      Ticket since = Rule.V5.holds() ? ticket : now(ticket.directory, ticket.number);
      if (!take(ticket) || ageNanos(since) >= grant.lengthNanos()) {
        return;
      }
      Leased leased = directories.get(since.directory);
      if (leased == null || isNewer(grant, leased.grant)) {
        drop(since.directory);
        leased = new Leased(grant, since);
        directories.put(since.directory, leased);
        byAge.put(since.number, since.directory);
      } else if (isNewer(leased.grant, grant)) {
        return; // overtaken: what was learnt under an older lease says nothing under this one
      } else if (since.number > leased.since.number) {
        byAge.remove(leased.since.number);
        byAge.put(since.number, since.directory);
        leased.since = since;
      }
      var entry = new Entry(answer, encodedBytes + ENTRY_BYTES + 2L * key.length());
      Entry before = leased.entries.put(key, entry);
      long more = entry.bytes() - (before == null ? 0 : before.bytes());
      leased.bytes += more;
      bytes += more;
      makeRoom();
    } finally {
      lock.unlock();
    }
  }

  private static boolean isNewer(Grant one, Grant other) {
    boolean newer =
        one.term() != other.term() ? one.term() > other.term() : one.number() > other.number();
    return newer && Rule.V3_NEXT.holds();
  }

  private void makeRoom() {
    while (bytes > MAX_BYTES) {
      drop(byAge.firstEntry().getValue());
    }
  }

  private void drop(Directory directory) {
    Leased gone = directories.remove(directory);
    if (gone != null) {
      byAge.remove(gone.since.number);
      bytes -= gone.bytes;
    }
  }

  /**
   * A leader takes leases back: when this returns, nothing is answered by them, nor by what is
   * under way.
   *
   * @param ofRun whose leases they are
   * @return false: another run's, of which this one knows nothing; it may still live
   */
  public boolean revoke(long ofRun, List<Directory> revoked) {
    if (ofRun != run) {
      return !Rule.V1_RUN.holds();
    }
    lock.lock();
    try {
      for (Directory directory : revoked) {
        revocations++;
        drop(directory);
        if (Rule.V3_VOID.holds()) {
          underWay.remove(directory);
        }
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Whether what a request brings may be kept, as far as leaders have said. */
  public boolean isUnderWay(Ticket ticket) {
    lock.lock();
    try {
      TreeSet<Long> here = underWay.get(ticket.directory);
      return here != null && here.contains(ticket.number);
    } finally {
      lock.unlock();
    }
  }

  /** What is known, under leases that may have run out. */
  public List<Known> known() {
    lock.lock();
    try {
      var all = new ArrayList<Known>();
      directories.forEach((directory, leased) -> {
        var answers = new TreeMap<String, NamespaceAnswer>();
        leased.entries.forEach((key, entry) -> answers.put(key, entry.answer()));
        all.add(new Known(directory, leased.grant, leased.since, answers));
      });
      return all;
    } finally {
      lock.unlock();
    }
  }

  /**
   * What the cache did.
   *
   * @param hits answered from memory
   * @param misses asked at the leader
   * @param revocations directories taken back
   * @param directories known, run out ones included
   * @param bytes that their answers take
   */
  public record Counters(long hits, long misses, long revocations, int directories, long bytes) {}

  /** What the cache did so far. */
  public Counters counters() {
    lock.lock();
    try {
      return new Counters(hits, misses, revocations, directories.size(), bytes);
    } finally {
      lock.unlock();
    }
  }
}
