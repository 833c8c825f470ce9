package io.forebay.sim.log;

import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Machine;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.sim.net.SimLinks;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * One replicated log of a world. What a majority has accepted is committed: it stands here, once,
 * in order, and the voters apply it each in its own time. A leader is a voter that reaches a
 * majority both ways; when it does not, another is elected some hundred milliseconds later, in a
 * new term. A voter that was stopped or cut off goes on believing that it leads until it hears
 * otherwise, as a real one does.
 *
 * <p>A proposal can be lost, committed with a lost answer, or committed only when its leader is
 * long gone (an entry that some follower had): its proposer then hears that the outcome is unknown.
 */
public final class SimLog {
  private static final long TICK_NANOS = 100_000_000L;
  private static final long STEP_DOWN_NANOS = 1_000_000_000L;
  private static final long ANSWER_LOST_NANOS = 1_500_000_000L;
  private static final int ONE_ANSWER_LOST_OF = 400;

  /** What a voter has on its disk for this log. */
  static final class Stored {
    MemorySortedMap map = new MemorySortedMap();
    long applied;
  }

  /** What becomes of the log at a commit. */
  @FunctionalInterface
  public interface Committed {
    /**
     * An entry is committed.
     *
     * @return what every voter must come to
     */
    byte[] at(long term, long index, byte[] entry);
  }

  private record Entry(long term, byte[] content, byte[] answer) {}

  private record Proposal(SimConsensus by, long term, byte[] entry, Outcome<byte[]> answer) {}

  private final SimWorld world;
  private final SimLinks links;
  private final String name;
  private final List<NodeId> voters;
  private final Committed committed;
  private final Consumer<String> violations;
  private final RandomGenerator random;
  private final List<Entry> entries = new ArrayList<>();
  private final ArrayDeque<Proposal> stragglers = new ArrayDeque<>();
  private final Map<NodeId, Stored> disks = new TreeMap<>();
  private final Map<NodeId, SimConsensus> seats = new TreeMap<>();
  private final Map<NodeId, Long> aloneSinceNanos = new TreeMap<>();
  private long term;
  private @Nullable NodeId leader;
  private long electionAtNanos;
  private long lastCommitNanos;
  private boolean answersAll;
  private long slowUntilNanos;
  private boolean over;

  /**
   * @param name for the event log
   * @param voters who may lead, at least one
   * @param committed called at the moment of each commit, with indexes from 1
   * @param violations hears of voters that came to another answer
   */
  public SimLog(
      SimWorld world,
      SimLinks links,
      String name,
      List<NodeId> voters,
      Committed committed,
      Consumer<String> violations) {
    this.world = world;
    this.links = links;
    this.name = name;
    this.voters = List.copyOf(voters);
    this.committed = committed;
    this.violations = violations;
    this.random = world.stream("log " + name);
    voters.forEach(voter -> disks.put(voter, new Stored()));
    tick();
  }

  /**
   * A voter's process takes its place; the one before it is dead.
   *
   * @param replay whether it lost its map and applies the log from its beginning
   */
  public SimConsensus join(SimEnv env, NodeId voter, Machine machine, boolean replay) {
    Stored disk = disks.get(voter);
    if (disk == null) {
      throw new IllegalArgumentException(voter + " is no voter of " + name);
    }
    if (replay) {
      disk.map = new MemorySortedMap();
      disk.applied = 0;
    }
    if (voter.equals(leader)) {
      event("lost its leader " + leader + ", which starts anew");
      leader = null;
      electionAtNanos = world.nanoTime() + random.nextLong(150_000_000L, 900_000_000L);
    }
    var seat = new SimConsensus(this, env, voter, disk, machine);
    seats.put(voter, seat);
    return seat;
  }

  /** Who leads now; empty between a loss and an election. */
  public Optional<NodeId> leader() {
    return Optional.ofNullable(leader).filter(this::reachesMajority);
  }

  /** Takes the leadership away; nobody leads for so long. */
  public void depose(long nanos) {
    event("nobody leads for " + nanos / 1_000_000 + " ms");
    leader = null;
    electionAtNanos = world.nanoTime() + nanos;
  }

  /** Makes commits slow for so long. */
  public void slow(long nanos) {
    slowUntilNanos = world.nanoTime() + nanos;
  }

  /** Nothing more is elected or committed. */
  public void close() {
    over = true;
  }

  /** Where each voter stands. */
  @Override
  public String toString() {
    return name
        + " of "
        + entries.size()
        + " in term "
        + term
        + ", led by "
        + leader
        + ": "
        + seats.values();
  }

  /** Entries committed so far. */
  public long size() {
    return entries.size();
  }

  private void event(String what) {
    world.log().add(world.nanoTime(), name + " " + what);
  }

  private boolean reachesMajority(NodeId voter) {
    SimConsensus seat = seats.get(voter);
    if (seat == null || seat.env().killed() || seat.env().paused()) {
      return false;
    }
    int reached = 0;
    for (NodeId other : voters) {
      SimConsensus peer = seats.get(other);
      if (peer != null
          && !peer.env().killed()
          && !peer.env().paused()
          && (other.equals(voter) || (links.open(voter, other) && links.open(other, voter)))) {
        reached++;
      }
    }
    return reached > voters.size() / 2;
  }

  private void tick() {
    if (over) {
      return;
    }
    long now = world.nanoTime();
    if (leader != null && !reachesMajority(leader)) {
      event("lost its leader " + leader);
      leader = null;
      electionAtNanos = now + random.nextLong(150_000_000L, 900_000_000L);
    }
    if (leader == null && now >= electionAtNanos) {
      elect();
    }
    for (SimConsensus seat : seats.values()) {
      tell(seat, now);
    }
    world.at(now + TICK_NANOS, this::tick);
  }

  private void tell(SimConsensus seat, long now) {
    NodeId known = leader;
    NodeId voter = seat.self();
    // What a stopped voter has missed, it hears again a tick after it goes on: until then it may
    // take itself for the leader.
    if (known != null
        && !seat.env().paused()
        && (known.equals(voter) || links.open(known, voter))) {
      long to = entries.size();
      long at = term;
      seat.env().deliver(() -> seat.hear(at, Optional.of(known), to));
    }
    // A leader that hears of no majority steps down by itself.
    if (seat.believesToLead() && !reachesMajority(voter)) {
      long since = aloneSinceNanos.computeIfAbsent(voter, any -> now);
      if (now - since >= STEP_DOWN_NANOS) {
        seat.env().deliver(seat::stepDown);
      }
    } else {
      aloneSinceNanos.remove(voter);
    }
  }

  private void elect() {
    elect(voters.stream().filter(this::reachesMajority).toList());
  }

  /** A leader has one of the others lead, if one can. */
  void handOver(NodeId from) {
    if (!over && from.equals(leader)) {
      elect(
          voters.stream().filter(voter -> !voter.equals(from) && reachesMajority(voter)).toList());
    }
  }

  private void elect(List<NodeId> eligible) {
    if (eligible.isEmpty()) {
      return;
    }
    leader = eligible.get(random.nextInt(eligible.size()));
    term++;
    event("elects " + leader + " in term " + term);
    // What followers of the old leader had accepted comes true with the new one, or never.
    settled();
  }

  /**
   * A majority follows a leader behind everything proposed so far: what is undecided was in its log
   * before, or is lost.
   */
  void settled() {
    while (!stragglers.isEmpty()) {
      Proposal late = stragglers.remove();
      if (random.nextBoolean()) {
        event("commits late");
        commit(late.term(), late.entry());
      }
    }
  }

  long term() {
    return term;
  }

  /** Whether a majority follows this voter in this term, now. */
  boolean confirms(NodeId voter, long inTerm) {
    return !over && term == inTerm && voter.equals(leader) && reachesMajority(voter);
  }

  long delayNanos() {
    return world.nanoTime() < slowUntilNanos
        ? random.nextLong(50_000_000L, 900_000_000L)
        : random.nextLong(200_000L, 2_000_000L);
  }

  void propose(SimConsensus by, long inTerm, byte[] entry, Outcome<byte[]> answer) {
    // One leader's proposals are committed in their order.
    lastCommitNanos = Math.max(lastCommitNanos, world.nanoTime() + delayNanos());
    world.at(lastCommitNanos, () -> decide(new Proposal(by, inTerm, entry, answer)));
  }

  /** Loses no answer from now on: where time is measured, each would stand for seconds. */
  public void answerAll() {
    answersAll = true;
  }

  private void decide(Proposal proposal) {
    SimConsensus by = proposal.by();
    long inTerm = proposal.term();
    if (over) {
      return;
    }
    if (!confirms(by.self(), inTerm) || seats.get(by.self()) != by) {
      if (term == inTerm) {
        stragglers.add(proposal);
      }
      unknown(proposal);
      return;
    }
    settled();
    commit(inTerm, proposal.entry());
    if (!answersAll && random.nextInt(ONE_ANSWER_LOST_OF) == 0) {
      event("loses an answer");
      unknown(proposal);
    } else {
      long index = entries.size();
      by.env().deliver(() -> by.expect(index, proposal.answer()));
    }
    for (SimConsensus seat : seats.values()) {
      tell(seat, world.nanoTime());
    }
  }

  private void unknown(Proposal proposal) {
    world.at(
        world.nanoTime() + ANSWER_LOST_NANOS,
        () ->
            proposal
                .by()
                .env()
                .deliver(() ->
                    proposal
                        .answer()
                        .fail(
                            new ForebayException(
                                ErrorCode.UNAVAILABLE,
                                "the log " + name + " lost its leader before it answered"))));
  }

  private void commit(long ofTerm, byte[] content) {
    byte[] answer = committed.at(ofTerm, entries.size() + 1L, content);
    entries.add(new Entry(ofTerm, content, answer));
  }

  byte[] entry(long index) {
    return entries.get((int) index - 1).content();
  }

  long termOf(long index) {
    return entries.get((int) index - 1).term();
  }

  /** A voter has applied an entry: all must come to the same answer. */
  void applied(NodeId voter, long index, byte[] answer) {
    if (!Arrays.equals(answer, entries.get((int) index - 1).answer())) {
      violations.accept(
          voter + " came to another answer than others at " + index + " of the log " + name);
    }
  }
}
