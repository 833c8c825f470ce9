package io.forebay.core.lease;

import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The leader's book of leases: who may answer for which directory until when, which commands are
 * under way into which directories, and what was written of late.
 *
 * <p>Rule V1: while a command that touches a directory is under way, from before its leases are
 * revoked until it is applied (or the term ends), {@link #grant} gives none there. A lease stays in
 * the book until its holder has confirmed that it is gone, or it has run out: a second command into
 * the same directory waits for the same end.
 *
 * <p>Everything belongs to one term. The book of a new one is empty: what an older leader gave is
 * waited out by whoever proposes (rule V2).
 */
public final class LeaseTable {
  /** Most leases at once; beyond it, none are given until some have run out. */
  static final int MAX_LEASES = 1 << 17;

  /** Most commands that wait or are under way; beyond it they are refused. */
  static final int MAX_UNDER_WAY = 1 << 14;

  /** Most directories whose last write is remembered; beyond it all are forgotten. */
  static final int MAX_WRITTEN = 1 << 16;

  /**
   * Who has a lease.
   *
   * @param run drawn by each run of the node's process: another one knows nothing of the lease
   */
  public record Holder(NodeId node, long run) implements Comparable<Holder> {
    @Override
    public int compareTo(Holder other) {
      int order = node.compareTo(other.node);
      return order != 0 ? order : Long.compare(run, other.run);
    }
  }

  /** A lease in the book. */
  public static final class Lease {
    private final Holder holder;
    private final Directory directory;
    private final long number;
    private final Outcome<Boolean> gone;
    private long untilNanos; // guarded by the table's lock
    private boolean revoking; // guarded by the table's lock

    private Lease(Env env, Holder holder, Directory directory, long number, long untilNanos) {
      this.holder = holder;
      this.directory = directory;
      this.number = number;
      this.gone = new Outcome<>(env);
      this.untilNanos = untilNanos;
    }

    private Lease(Lease other) {
      this.holder = other.holder;
      this.directory = other.directory;
      this.number = other.number;
      this.gone = other.gone;
      this.untilNanos = other.untilNanos;
      this.revoking = other.revoking;
    }

    /** Who has it. */
    public Holder holder() {
      return holder;
    }

    /** What it is for. */
    public Directory directory() {
      return directory;
    }

    /** Names it among all of its table. */
    public long number() {
      return number;
    }
  }

  /**
   * What has to end before a command may be proposed.
   *
   * @param untilNanos when the last of the leases has run out
   */
  public record Ends(List<Lease> leases, long untilNanos) {
    /** Waits until every lease is gone or has run out. */
    public void await() {
      for (Lease lease : leases) {
        if (!lease.gone.awaitUntil(untilNanos)) {
          return; // by then all have run out
        }
      }
    }
  }

  /**
   * A command may not be proposed yet.
   *
   * @param block ends with {@link #settle}
   * @param revoke leases that nobody has begun to revoke; the caller does
   * @param notBeforeNanos nor before then, though all of them are gone
   */
  public record Blocked(long block, List<Lease> revoke, Ends ends, long notBeforeNanos) {}

  /** A lease as it stands in the book. */
  public record Row(Lease lease, long untilNanos, boolean revoking) {}

  /**
   * What a table goes by, beside the commands that are under way.
   *
   * @param leases by directory and holder; some may have run out
   */
  public record Book(long term, long beganNanos, List<Row> leases) {}

  private final Env env;
  private final long lengthNanos;
  private final long quietNanos;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final Map<Directory, TreeMap<Holder, Lease>> leases = new TreeMap<>();
  private final Map<Long, Touched> underWay = new TreeMap<>(); // by block
  private final Map<Directory, Integer> blocked = new TreeMap<>();
  private final Map<Long, Touched> wide = new TreeMap<>(); // of underWay
  private final TreeSet<Long> unknown = new TreeSet<>(); // of underWay
  private final Map<Directory, Long> writtenNanos = new TreeMap<>();
  private long term;
  private long beganNanos;
  private int count;
  private long lastNumber;
  private long lastBlock;
  private long granted;
  private long revoked;

  /**
   * @param lengthNanos what a holder may count on; 0: {@link #grant} gives nothing
   */
  public LeaseTable(Env env, long lengthNanos, long quietNanos) {
    this.env = env;
    this.lengthNanos = lengthNanos;
    this.quietNanos = quietNanos;
  }

  /**
   * A table of the same content and clock. The leases of one may be named to the other; for the
   * checker, which goes on from one state in several ways.
   */
  public LeaseTable(LeaseTable other) {
    this(other.env, other.lengthNanos, other.quietNanos);
    other.lock.lock();
    try {
      other.leases.forEach((directory, theirs) -> {
        var holders = new TreeMap<Holder, Lease>();
        theirs.forEach((holder, lease) -> holders.put(holder, new Lease(lease)));
        leases.put(directory, holders);
      });
      underWay.putAll(other.underWay);
      blocked.putAll(other.blocked);
      wide.putAll(other.wide);
      unknown.addAll(other.unknown);
      writtenNanos.putAll(other.writtenNanos);
      term = other.term;
      beganNanos = other.beganNanos;
      count = other.count;
      lastNumber = other.lastNumber;
      lastBlock = other.lastBlock;
      granted = other.granted;
      revoked = other.revoked;
    } finally {
      other.lock.unlock();
    }
  }

  /**
   * This voter leads in a term; called before anything else of that term, and again at will.
   *
   * @return when it was first called for the term: not before the election
   */
  public long begin(long ofTerm) {
    lock.lock();
    try {
      if (ofTerm > term) {
        term = ofTerm;
        beganNanos = env.nanoTime();
        leases.clear();
        count = 0;
        underWay.clear();
        blocked.clear();
        wide.clear();
        unknown.clear();
      }
      return beganNanos;
    } finally {
      lock.unlock();
    }
  }

  /**
   * How long leases may be, as an entry has to say that is proposed now: shorter than before only
   * when no longer one of an older leader can be out.
   *
   * @param saidNanos as the log has said so far
   */
  public long toSayNanos(long ofTerm, long saidNanos) {
    long longest = Math.max(lengthNanos, saidNanos);
    boolean over = begin(ofTerm) + LeaseSettings.waitedOutNanos(longest) <= env.nanoTime();
    return over || !Rule.V2_SHORTER.holds() ? lengthNanos : longest;
  }

  /**
   * Gives or prolongs a lease. The value that it covers is read afterwards (rule V3): whatever
   * changes it is proposed later, and revokes the lease first.
   */
  public Optional<Grant> grant(long ofTerm, Directory directory, Holder holder) {
    lock.lock();
    try {
      long now = env.nanoTime();
      if (ofTerm != term || lengthNanos == 0 || isBlocked(directory) || isFresh(directory, now)) {
        return Optional.empty();
      }
      if (count >= MAX_LEASES) {
        dropOver(now);
      }
      if (count >= MAX_LEASES) {
        return Optional.empty();
      }
      long until = now + LeaseSettings.waitedOutNanos(lengthNanos);
      TreeMap<Holder, Lease> holders = leases.computeIfAbsent(directory, any -> new TreeMap<>());
      Lease present = holders.get(holder);
      if (present != null && !isRevoking(present) && present.untilNanos > now) {
        present.untilNanos = until;
      } else {
        present = new Lease(env, holder, directory, ++lastNumber, until);
        if (holders.put(holder, present) == null) {
          count++;
        }
      }
      granted++;
      return Optional.of(new Grant(term, present.number, lengthNanos));
    } finally {
      lock.unlock();
    }
  }

  private boolean isBlocked(Directory directory) {
    return Rule.V1_GIVEN.holds()
        && (blocked.containsKey(directory)
            || wide.values().stream().anyMatch(touched -> touched.touches(directory)));
  }

  /** One that is being revoked ends by its own message: that must not end another. */
  private static boolean isRevoking(Lease lease) {
    return lease.revoking && Rule.V1_LATE.holds();
  }

  private boolean isFresh(Directory directory, long now) {
    Long written = writtenNanos.get(directory);
    return written != null && now - written < quietNanos;
  }

  private void dropOver(long now) {
    for (Iterator<TreeMap<Holder, Lease>> all = leases.values().iterator(); all.hasNext(); ) {
      TreeMap<Holder, Lease> holders = all.next();
      int before = holders.size();
      holders.values().removeIf(lease -> lease.untilNanos <= now);
      count -= before - holders.size();
      if (holders.isEmpty()) {
        all.remove();
      }
    }
  }

  /**
   * A command is going to be proposed: from now on no leases are given where it touches, until
   * {@link #settle} or the end of the term. Sent twice it blocks twice: what is known of one
   * sending says nothing of the other.
   *
   * @param longestNanos the longest lease that an older leader may have given
   * @return what the caller revokes and waits for; empty when the term is over
   * @throws ForebayException BUSY when too many wait
   */
  public Optional<Blocked> block(long ofTerm, Touched touched, long longestNanos) {
    lock.lock();
    try {
      if (ofTerm != term) {
        return Optional.empty();
      }
      if (underWay.size() >= MAX_UNDER_WAY) {
        throw new ForebayException(
            ErrorCode.BUSY,
            MAX_UNDER_WAY + " commands wait for leases or the log; try again later");
      }
      long now = env.nanoTime();
      long block = ++lastBlock;
      underWay.put(block, touched);
      touched.directories().forEach(directory -> blocked.merge(directory, 1, Integer::sum));
      if (touched.wide()) {
        wide.put(block, touched);
      }
      List<Lease> all = Rule.V1.holds() ? out(touched, now) : List.of();
      var begin = new ArrayList<Lease>();
      long until = now;
      for (Lease lease : all) {
        until = Math.max(until, lease.untilNanos);
        if (!lease.revoking) {
          lease.revoking = true;
          begin.add(lease);
          revoked++;
        }
      }
      written(touched, now);
      long olderOut = beganNanos + LeaseSettings.waitedOutNanos(longestNanos);
      return Optional.of(
          new Blocked(block, begin, new Ends(all, until), Rule.V2.holds() ? olderOut : now));
    } finally {
      lock.unlock();
    }
  }

  private List<Lease> out(Touched touched, long now) {
    var all = new ArrayList<Lease>();
    touched.directories().forEach(directory -> collect(directory, now, all));
    if (touched.wide()) {
      leases.keySet().stream()
          .filter(touched::touches)
          .toList()
          .forEach(directory -> collect(directory, now, all));
    }
    return all;
  }

  private void collect(Directory directory, long now, List<Lease> into) {
    TreeMap<Holder, Lease> holders = leases.get(directory);
    if (holders == null) {
      return;
    }
    int before = holders.size();
    holders.values().removeIf(lease -> lease.untilNanos <= now);
    count -= before - holders.size();
    if (holders.isEmpty()) {
      leases.remove(directory);
    }
    into.addAll(holders.values());
  }

  private void written(Touched touched, long now) {
    if (quietNanos == 0) {
      return;
    }
    if (writtenNanos.size() >= MAX_WRITTEN) {
      writtenNanos.values().removeIf(at -> now - at >= quietNanos);
      if (writtenNanos.size() >= MAX_WRITTEN) {
        writtenNanos.clear();
      }
    }
    touched.directories().forEach(directory -> writtenNanos.put(directory, now));
  }

  /** The holder has confirmed that it no longer answers by this lease. */
  public void gone(Lease lease) {
    lock.lock();
    try {
      TreeMap<Holder, Lease> holders = leases.get(lease.directory);
      Lease present = holders == null ? null : holders.get(lease.holder);
      if (holders != null && present != null && present.number == lease.number) {
        holders.remove(lease.holder);
        count--;
        if (holders.isEmpty()) {
          leases.remove(lease.directory);
        }
      }
    } finally {
      lock.unlock();
    }
    lease.gone.complete(true);
  }

  /** What blocks was applied here, or never will be. */
  public void settle(long ofTerm, long block) {
    lock.lock();
    try {
      Touched touched = ofTerm == term ? underWay.remove(block) : null;
      if (touched == null) {
        return;
      }
      wide.remove(block);
      unknown.remove(block);
      for (Directory directory : touched.directories()) {
        blocked.computeIfPresent(directory, (any, times) -> times == 1 ? null : times - 1);
      }
      written(touched, env.nanoTime());
    } finally {
      lock.unlock();
    }
  }

  /** Nobody knows whether what blocks is going to be applied. It blocks until it is settled. */
  public void unknown(long ofTerm, long block) {
    if (!Rule.V1_UNKNOWN.holds()) {
      settle(ofTerm, block);
    }
    lock.lock();
    try {
      if (ofTerm == term && underWay.containsKey(block)) {
        unknown.add(block);
      }
    } finally {
      lock.unlock();
    }
  }

  /** What blocks with an unknown outcome. */
  public List<Long> unknown(long ofTerm) {
    lock.lock();
    try {
      return ofTerm == term ? List.copyOf(unknown) : List.of();
    } finally {
      lock.unlock();
    }
  }

  /** What the table goes by now. */
  public Book book() {
    lock.lock();
    try {
      var rows = new ArrayList<Row>();
      for (TreeMap<Holder, Lease> holders : leases.values()) {
        for (Lease lease : holders.values()) {
          rows.add(new Row(lease, lease.untilNanos, lease.revoking));
        }
      }
      return new Book(term, beganNanos, rows);
    } finally {
      lock.unlock();
    }
  }

  /**
   * What the book says.
   *
   * @param leases that may not have run out
   * @param underWay commands that keep directories from being leased
   */
  public record Counters(long granted, long revoked, int leases, int underWay) {}

  /** What the book says now. */
  public Counters counters() {
    lock.lock();
    try {
      return new Counters(granted, revoked, count, underWay.size());
    } finally {
      lock.unlock();
    }
  }
}
