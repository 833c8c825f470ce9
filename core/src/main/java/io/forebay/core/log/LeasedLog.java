package io.forebay.core.log;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.lease.Directory;
import io.forebay.core.lease.Grant;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.lease.Touched;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Network;
import io.forebay.core.rule.Rule;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Directory leases at the voters of a namespace's log (rules V1–V6).
 *
 * <p>A command that touches directories passes {@link #admit} before it is queued: no leases are
 * given there any more, those that are out are revoked, or waited out where their holder does not
 * confirm (V1); and the first full lease of the leader's term is over (V2). The entry that it
 * travels in is bound to that term: proposed by whoever leads again later, it does nothing. {@link
 * #settled} ends this when the command was applied. When its outcome is unknown the directories
 * stay without leases until a later entry of the same leader was applied, for then its own was
 * before, or never will be; or until the term ends. A time-out ends nothing.
 *
 * <p>How long leases may be is a fact of the log: none is given before an entry that says so was
 * applied, and a leader waits for the longer of that and its own setting. So settings of voters may
 * differ while they are changed, and a leader that gives no leases still waits for its
 * predecessor's. Where the log says nothing and the settings neither, nothing is done or logged.
 */
public final class LeasedLog {
  private static final long LOOK_NANOS = 50_000_000L;
  private static final long CONFIRM_NANOS = 2_000_000_000L;
  private static final int DIRECTORIES_PER_MESSAGE = 4_096;
  private static final RecordCodec<NamespaceCommand> COMMANDS =
      RecordCodec.of(NamespaceCommand.class);
  private static final RecordCodec<NamespaceQuery> QUERIES = RecordCodec.of(NamespaceQuery.class);
  private static final RecordCodec<Submission.InTerm> ENTRIES =
      RecordCodec.of(Submission.InTerm.class);

  /**
   * What a submission was admitted under.
   *
   * @param term that its entry is bound to; 0: to none
   * @param block to be settled; 0: none
   */
  record Bond(long term, long block) {
    static final Bond NONE = new Bond(0, 0);
  }

  private final Env env;
  private final Network network;
  private final Consensus consensus;
  private final long lengthNanos;
  private final LeaseTable table;
  private volatile long plainTerm; // in which neither the log nor the settings know of leases
  private volatile long announcedTerm;

  public LeasedLog(Env env, Network network, Consensus consensus, LeaseSettings settings) {
    this.env = env;
    this.network = network;
    this.consensus = consensus;
    this.lengthNanos = settings.lengthNanos();
    this.table = new LeaseTable(env, settings.lengthNanos(), settings.quietNanos());
  }

  /** What the leader's book says. */
  public LeaseTable.Counters counters() {
    return table.counters();
  }

  /**
   * Notices elections, says how long leases are, and settles what has an unknown outcome; until
   * interrupted.
   *
   * @throws ForebayException CANCELLED
   */
  public void run() {
    while (true) {
      Leadership leadership = consensus.leadership();
      if (leadership.self() && longestNanos(leadership.term()) > 0) {
        table.begin(leadership.term());
        if (announcedTerm != leadership.term()) {
          announce(leadership.term());
        }
        settleUnknown(leadership.term());
      }
      env.sleep(LOOK_NANOS);
    }
  }

  /** The longest lease that may be out: 0 when none is, and none will be given. */
  private long longestNanos(long term) {
    if (plainTerm == term) {
      return 0;
    }
    long longest = Math.max(lengthNanos, announcedNanos());
    if (longest == 0) {
      plainTerm = term;
    }
    return longest;
  }

  private long announcedNanos() {
    try (SortedMap.View view = consensus.map().view()) {
      return LoggedMachine.leaseNanos(view);
    }
  }

  private void announce(long term) {
    if (lengthNanos > 0 && announcedNanos() < lengthNanos) {
      byte[] entry = ENTRIES.encode(entry(term, List.of()));
      try {
        consensus.propose(entry).await(CONFIRM_NANOS, "announcing leases");
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        return; // looked at again soon
      }
    }
    announcedTerm = term;
  }

  private void settleUnknown(long term) {
    List<Long> blocks = table.unknown(term);
    if (blocks.isEmpty()) {
      return; // older terms' went with their terms
    }
    try {
      consensus.confirmRead(CONFIRM_NANOS);
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      return; // tried again soon
    }
    if (consensus.leadership().term() == term) {
      blocks.forEach(block -> table.settle(term, block));
    }
  }

  /**
   * Waits until a submission may be proposed.
   *
   * @throws ForebayException NOT_LEADER
   */
  Bond admit(Submission submission) {
    Leadership leadership = consensus.leadership();
    if (!leadership.self()) {
      throw notLeader(leadership);
    }
    long term = boundTerm(leadership.term());
    if (term == 0) {
      return Bond.NONE;
    }
    Touched touched = Touched.by(COMMANDS.decode(submission.command()));
    if (touched.nothing()) {
      return new Bond(term, 0);
    }
    LeaseTable.Blocked blocked =
        table
            .block(term, touched, longestNanos(term))
            .orElseThrow(() -> notLeader(consensus.leadership()));
    var bond = new Bond(term, blocked.block());
    try {
      revoke(blocked.revoke());
      blocked.ends().await();
      long left = blocked.notBeforeNanos() - env.nanoTime();
      if (left > 0) {
        env.sleep(left);
      }
    } catch (RuntimeException failure) {
      settled(bond);
      throw failure;
    }
    return bond;
  }

  /**
   * What an entry is bound to that is proposed now: the present term; 0: nothing.
   *
   * @param term in which this voter leads
   */
  long boundTerm(long term) {
    if (longestNanos(term) == 0) {
      return 0;
    }
    table.begin(term);
    return term;
  }

  private static ForebayException notLeader(Leadership leadership) {
    return new ForebayException(
        ErrorCode.NOT_LEADER, leadership.leader().map(Object::toString).orElse(""));
  }

  private void revoke(List<LeaseTable.Lease> leases) {
    var byHolder = new TreeMap<LeaseTable.Holder, List<LeaseTable.Lease>>();
    leases.forEach(
        lease -> byHolder.computeIfAbsent(lease.holder(), any -> new ArrayList<>()).add(lease));
    for (Map.Entry<LeaseTable.Holder, List<LeaseTable.Lease>> each : byHolder.entrySet()) {
      List<LeaseTable.Lease> all = each.getValue();
      if (!Rule.V4.holds() && each.getKey().node().equals(network.self())) {
        all.forEach(table::gone);
        continue;
      }
      for (int from = 0; from < all.size(); from += DIRECTORIES_PER_MESSAGE) {
        revoke(
            each.getKey(),
            List.copyOf(all.subList(from, Math.min(all.size(), from + DIRECTORIES_PER_MESSAGE))));
      }
    }
  }

  private void revoke(LeaseTable.Holder holder, List<LeaseTable.Lease> leases) {
    List<Directory> directories = leases.stream().map(LeaseTable.Lease::directory).toList();
    network
        .call(
            holder.node(),
            new ControlMessage.Revoke(holder.run(), directories),
            Optional.empty(),
            LeaseSettings.waitedOutNanos(lengthNanos))
        .whenDone(done -> {
          // A holder that does not confirm is waited out.
          if (done.failure().isEmpty()
              && done.get().message() instanceof ControlMessage.Revoked(boolean known)
              && known) {
            leases.forEach(table::gone);
          }
        });
  }

  /** An entry of submissions that were admitted in a term. */
  Submission.InTerm entry(long term, List<Submission> submissions) {
    return new Submission.InTerm(
        env.wallMillis(), submissions, term, table.toSayNanos(term, announcedNanos()));
  }

  /** A submission was applied, or never will be. */
  void settled(Bond bond) {
    if (bond.block() != 0) {
      table.settle(bond.term(), bond.block());
    }
  }

  /** Nobody knows whether a submission is going to be applied. */
  void unknown(Bond bond) {
    if (bond.block() != 0) {
      table.unknown(bond.term(), bond.block());
    }
  }

  /**
   * Gives a lease on what a query asks about; the answer is read afterwards (rule V3), from a view
   * that {@link #covers} it.
   *
   * @param term in which the caller leads, as it knew before it had that confirmed
   */
  Optional<Grant> grant(long term, byte[] query, LeaseTable.Holder holder) {
    if (lengthNanos == 0) {
      return Optional.empty();
    }
    table.begin(term);
    return Touched.askedBy(QUERIES.decode(query))
        .flatMap(directory -> table.grant(term, directory, holder));
  }

  /** Whether whoever leads next knows from the log how long it has to wait for this lease. */
  static boolean covers(SortedMap.View view, Grant grant) {
    return grant.isCoveredBy(LoggedMachine.leaseNanos(view));
  }
}
