package io.forebay.sim.check;

import io.forebay.core.lease.Grant;
import io.forebay.core.lease.LeaseCache;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.log.LoggedMachine;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * How things stand in a {@link LeaseScope}. What is published under all keys is one number that
 * grows, and what a read returns is one of them: so the order that is looked for is that of a
 * single register, across keys too.
 */
final class LeaseScene {
  /**
   * One run of a node's process.
   *
   * @param mono its monotonic clock, ticks
   * @param wall its wall clock, ticks
   * @param leads the term in which it believes to lead; 0: in none
   * @param map the {@link LeaseScene#picture} that it has applied
   */
  record Run(
      int mono, int wall, boolean frozen, int leads, int map, LeaseTable table, LeaseCache cache) {
    Run at(int newMono, int newWall) {
      return new Run(newMono, newWall, frozen, leads, map, table, cache);
    }

    Run frozen(boolean now) {
      return new Run(mono, wall, now, leads, map, table, cache);
    }

    Run leading(int term, int applied) {
      return new Run(mono, wall, frozen, term, applied, table, cache);
    }

    Run with(LeaseTable newer) {
      return new Run(mono, wall, frozen, leads, map, newer, cache);
    }

    Run with(LeaseCache newer) {
      return new Run(mono, wall, frozen, leads, map, table, newer);
    }
  }

  /**
   * An entry that the present leader has proposed, as it was admitted.
   *
   * @param publish -1: none
   * @param boundTerm 0: none, and then it says nothing of leases
   * @param sayNanos how long leases may be
   */
  record Entry(int publish, int boundTerm, long block, long sayNanos) {
    boolean isOf(Attempt attempt) {
      return publish == attempt.publish()
          && boundTerm == attempt.term()
          && block == attempt.block();
    }
  }

  /** How far a question has come. */
  enum Asked {
    /** The voter has it, and looks whether it leads. */
    BEGUN,
    CONFIRMED,
    /** One of two is done: the lease is registered, and the value is read. */
    HALF,
    /** The answer is on its way. */
    ANSWERED
  }

  /**
   * A question for a key's value, and for a lease.
   *
   * @param term in which the voter believed to lead when the question came
   * @param value that was read
   * @param floor least that may be answered
   */
  record Ask(
      int process,
      int key,
      LeaseCache.Ticket ticket,
      int voter,
      int term,
      Asked stage,
      Optional<Grant> grant,
      int value,
      int floor) {
    Ask to(Asked next) {
      return new Ask(process, key, ticket, voter, term, next, grant, value, floor);
    }

    Ask with(Optional<Grant> given, Asked next) {
      return new Ask(process, key, ticket, voter, term, next, given, value, floor);
    }

    Ask with(int read, Asked next) {
      return new Ask(process, key, ticket, voter, term, next, grant, read, floor);
    }
  }

  /** How far an attempt to publish has come. */
  enum Stage {
    /** Leases have to end first. */
    WAITING,
    /** In the queue of the log. */
    ADMITTED,
    PROPOSED,
    /** Its submitter was told that nobody knows. */
    UNKNOWN
  }

  /**
   * A publish as one voter has it.
   *
   * @param term that it is bound to; 0: to none
   * @param block 0: none
   * @param awaited leases that are not confirmed gone
   */
  record Attempt(
      int publish,
      int voter,
      int term,
      long block,
      Stage stage,
      List<LeaseTable.Lease> awaited,
      long untilNanos,
      long notBeforeNanos) {
    Attempt to(Stage next) {
      return new Attempt(publish, voter, term, block, next, List.of(), untilNanos, notBeforeNanos);
    }

    Attempt without(LeaseTable.Lease gone) {
      List<LeaseTable.Lease> left =
          awaited.stream().filter(lease -> lease.number() != gone.number()).toList();
      return new Attempt(publish, voter, term, block, stage, left, untilNanos, notBeforeNanos);
    }
  }

  /**
   * A lease is taken back.
   *
   * @param confirmed the answer is on its way
   */
  record Revocation(int voter, LeaseTable.Lease lease, boolean confirmed) {}

  // The log.
  int term;
  int leader;
  long leaders; // by term, four bits each
  int version; // applied
  long versions; // by publish, four bits each; 0: not applied
  long saidNanos; // how long leases may be
  List<Entry> pending = List.of();

  final Run[] processes;
  List<Ask> asks = List.of();
  List<Attempt> attempts = List.of();
  List<Revocation> revocations = List.of();

  int started; // publishes
  int acknowledged; // bit by publish
  int floor; // least that a read that begins now may return
  long faults; // left, by kind, four bits each
  Optional<String> broken = Optional.empty();

  LeaseScene(Run[] processes) {
    this.processes = processes;
  }

  LeaseScene copy() {
    var copy = new LeaseScene(processes.clone());
    copy.term = term;
    copy.leader = leader;
    copy.leaders = leaders;
    copy.version = version;
    copy.versions = versions;
    copy.saidNanos = saidNanos;
    copy.pending = pending;
    copy.asks = asks;
    copy.attempts = attempts;
    copy.revocations = revocations;
    copy.started = started;
    copy.acknowledged = acknowledged;
    copy.floor = floor;
    copy.faults = faults;
    return copy;
  }

  /** Whether a process leads, and not by its own belief only. */
  boolean isLeader(int process) {
    return process == leader && processes[process].leads() == term;
  }

  int leaderOf(long ofTerm) {
    return nibble(leaders, (int) ofTerm);
  }

  /** The version that a publish made; 0: it is not applied. */
  int versionOf(int publish) {
    return nibble(versions, publish);
  }

  /** The version, and whether the log says that there may be leases. */
  int picture() {
    return picture(version, saidNanos > 0);
  }

  static int picture(int version, boolean leases) {
    return version << 1 | (leases ? 1 : 0);
  }

  /** Applies an entry, a publish only once; false: it is not meant for where the log holds it. */
  boolean apply(Entry entry, int inTerm) {
    if (!LoggedMachine.isMeantFor(entry.boundTerm(), inTerm, saidNanos)) {
      return false;
    }
    if (entry.boundTerm() != 0) {
      saidNanos = entry.sayNanos();
    }
    if (entry.publish() >= 0 && versionOf(entry.publish()) == 0) {
      version++;
      versions |= (long) version << (4 * entry.publish());
    }
    return true;
  }

  void acknowledge(int publish) {
    acknowledged |= 1 << publish;
    floor = Math.max(floor, versionOf(publish));
  }

  /** What an entry's place is among the pending ones; -1: it is none. */
  int place(Attempt attempt) {
    for (int i = 0; i < pending.size(); i++) {
      if (attempt.voter() == leader && pending.get(i).isOf(attempt)) {
        return i;
      }
    }
    return -1;
  }

  static int nibble(long of, int place) {
    return (int) (of >>> (4 * place)) & 0xF;
  }

  static <T> List<T> with(List<T> list, T more) {
    var longer = new ArrayList<T>(list.size() + 1);
    longer.addAll(list);
    longer.add(more);
    return longer;
  }

  static <T> List<T> with(List<T> list, int place, T other) {
    var changed = new ArrayList<>(list);
    changed.set(place, other);
    return changed;
  }

  static <T> List<T> without(List<T> list, int place) {
    var shorter = new ArrayList<>(list);
    shorter.remove(place);
    return shorter;
  }

  static <T> List<T> without(List<T> list, Predicate<T> those) {
    return list.stream().filter(those.negate()).toList();
  }
}
