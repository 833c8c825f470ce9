package io.forebay.core.log;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.BoundedQueue;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.lease.Grant;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.rule.Level;
import io.forebay.core.rule.Rule;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/**
 * The leader's side of one log: puts submissions that wait together into one entry (an entry costs
 * about a hundred times a command), keeps several entries under way, and answers each. Reads share
 * one confirmation round, begun after they came.
 *
 * <p>With leases, submissions wait in the thread that brings them until they may be proposed; an
 * entry holds only such as were admitted in the same term.
 */
public final class LogService implements AutoCloseable {
  private static final int QUEUED_COMMANDS = 8192;
  private static final int COMMANDS_PER_ENTRY = 1024;
  private static final int BYTES_PER_ENTRY = 1 << 20;
  private static final int ENTRIES_UNDER_WAY = 2;
  private static final long READ_TIMEOUT_NANOS = 2_000_000_000L;
  private static final RecordCodec<Submission.Entry> ENTRIES =
      RecordCodec.of(Submission.Entry.class);
  private static final RecordCodec<Submission.InTerm> BOUND_ENTRIES =
      RecordCodec.of(Submission.InTerm.class);
  private static final RecordCodec<Submission.Raise> RAISES =
      RecordCodec.of(Submission.Raise.class);
  private static final RecordCodec<Submission.Many> REQUESTS =
      RecordCodec.of(Submission.Many.class);
  private static final RecordCodec<Submission.Answers> ANSWERS =
      RecordCodec.of(Submission.Answers.class);

  private record Waiting(Submission submission, LeasedLog.Bond bond, Outcome<byte[]> answer) {}

  private final Env env;
  private final Consensus consensus;
  private final Commands commands;
  private final Optional<LeasedLog> leases;
  private final BoundedQueue<Waiting> queue;
  private final Permits underWay;
  private final Thread batcher;
  private final ReentrantLock readLock = new ReentrantLock();
  private Optional<Outcome<Boolean>> nextRound = Optional.empty(); // guarded by readLock
  private boolean roundRuns; // guarded by readLock

  public LogService(Env env, Consensus consensus, Commands commands) {
    this(env, consensus, commands, Optional.empty());
  }

  /**
   * @param leases of the same log, whose commands are a namespace's
   */
  public LogService(Env env, Consensus consensus, Commands commands, Optional<LeasedLog> leases) {
    this.env = env;
    this.consensus = consensus;
    this.commands = commands;
    this.leases = leases;
    this.queue = new BoundedQueue<>(env, QUEUED_COMMANDS);
    this.underWay = new Permits(env, ENTRIES_UNDER_WAY);
    this.batcher = env.spawn("log-batcher", this::batch);
  }

  /** Who leads, as this voter knows. */
  public Leadership leadership() {
    return consensus.leadership();
  }

  /** As {@link Consensus#awaitsOwnDisk}. */
  public OptionalLong awaitsOwnDisk() {
    return consensus.awaitsOwnDisk();
  }

  /** Has another voter lead, where this one does and another one can. */
  public void handOver(long timeoutNanos) {
    consensus.handOver(timeoutNanos);
  }

  /** The level of the log, as far as this voter has applied it. */
  public int level() {
    return consensus.map().read(LoggedMachine::level);
  }

  /**
   * Raises the level of the log; on the leader, when every voter has said that it knows it.
   *
   * @throws ForebayException NOT_LEADER; UNAVAILABLE or TIMEOUT with an unknown outcome; and it may
   *     be in vain without a word, where leases begin or the term ends meanwhile
   */
  void raise(int level) {
    long term = leases.map(leased -> leased.boundTerm(requireLeader().term())).orElse(0L);
    long leaseNanos = term == 0 ? 0 : leases.orElseThrow().entry(term, List.of()).leaseNanos();
    byte[] entry =
        RAISES.encode(new Submission.Raise(env.wallMillis(), List.of(), term, leaseNanos, level));
    byte[] _ = consensus.propose(entry).await(READ_TIMEOUT_NANOS, "raising the level of a log");
  }

  /**
   * Logs what a {@link Submitter} sent and waits for the answers.
   *
   * @return encoded answers
   * @throws ForebayException NOT_LEADER; CORRUPT for what is no command, and then none is logged;
   *     BUSY when too many wait; UNAVAILABLE or TIMEOUT with an unknown outcome, the former also
   *     for a command of a newer level than the log's
   */
  public byte[] submit(byte[] request) {
    requireLeader();
    List<Submission> submissions = REQUESTS.decode(request).submissions();
    int needed =
        submissions.stream()
            .mapToInt(submission -> commands.check(submission.command()))
            .max()
            .orElse(Level.FIRST);
    if (needed > Level.FIRST && needed > level()) {
      throw new ForebayException(
          ErrorCode.UNAVAILABLE,
          "not all voters run a version of Forebay that knows this command yet");
    }
    var waiting = new ArrayList<Waiting>();
    for (Submission submission : submissions) {
      LeasedLog.Bond bond =
          leases.map(leased -> leased.admit(submission)).orElse(LeasedLog.Bond.NONE);
      var one = new Waiting(submission, bond, new Outcome<>(env));
      if (!queue.offer(one)) {
        settled(bond);
        throw new ForebayException(
            ErrorCode.BUSY, QUEUED_COMMANDS + " commands wait for the log; try again later");
      }
      waiting.add(one);
    }
    return ANSWERS.encode(
        new Submission.Answers(waiting.stream().map(one -> one.answer().await()).toList()));
  }

  /**
   * Answers a query from a linearizable picture.
   *
   * @throws ForebayException NOT_LEADER; UNAVAILABLE; TIMEOUT
   */
  public byte[] query(byte[] query) {
    return read(view -> commands.query(view, query));
  }

  /**
   * As {@link #query(byte[])}, and gives a lease on what is asked about where it may be given.
   *
   * @throws ForebayException NOT_LEADER; UNAVAILABLE; TIMEOUT
   */
  public ControlMessage.LeasedAnswer query(byte[] query, LeaseTable.Holder holder) {
    long term = requireLeader().term();
    confirm();
    Optional<Grant> given = leases.flatMap(leased -> leased.grant(term, query, holder));
    return consensus
        .map()
        .read(view ->
            new ControlMessage.LeasedAnswer(
                commands.query(view, query), given.filter(grant -> LeasedLog.covers(view, grant))));
  }

  /**
   * Reads from a linearizable picture, which ends with the call.
   *
   * @throws ForebayException NOT_LEADER; UNAVAILABLE; TIMEOUT
   */
  public <T> T read(Function<SortedMap.View, T> reading) {
    requireLeader();
    confirm();
    return consensus.map().read(reading);
  }

  private Leadership requireLeader() {
    Leadership leadership = consensus.leadership();
    if (!leadership.self()) {
      throw new ForebayException(
          ErrorCode.NOT_LEADER, leadership.leader().map(Object::toString).orElse(""));
    }
    return leadership;
  }

  private void confirm() {
    if (!Rule.V6.holds()) {
      return;
    }
    Outcome<Boolean> round;
    boolean mine;
    readLock.lock();
    try {
      // A round that runs began before this read came; it needs the one after it.
      mine = nextRound.isEmpty();
      round = nextRound.orElseGet(() -> new Outcome<>(env));
      nextRound = Optional.of(round);
      if (roundRuns) {
        mine = false;
      } else if (mine) {
        roundRuns = true;
      }
    } finally {
      readLock.unlock();
    }
    if (mine) {
      runRounds();
    }
    round.await(2 * READ_TIMEOUT_NANOS, "confirming leadership for a read");
  }

  private void runRounds() {
    while (true) {
      Outcome<Boolean> round;
      readLock.lock();
      try {
        if (nextRound.isEmpty()) {
          roundRuns = false;
          return;
        }
        round = nextRound.get();
        nextRound = Optional.empty();
      } finally {
        readLock.unlock();
      }
      try {
        consensus.confirmRead(READ_TIMEOUT_NANOS);
        round.complete(true);
      } catch (RuntimeException failure) {
        round.fail(failure);
      }
      readLock.lock();
      try {
        if (nextRound.isPresent()) {
          // The caller has its own answer to fetch; whoever waits for the next round gets another
          // thread.
          env.spawn("log-read-round", this::runRounds);
          return;
        }
        roundRuns = false;
        return;
      } finally {
        readLock.unlock();
      }
    }
  }

  private void batch() {
    try {
      Optional<Waiting> begin = Optional.empty();
      while (true) {
        Waiting first = begin.isPresent() ? begin.get() : queue.take();
        begin = Optional.empty();
        underWay.acquire(1);
        var batch = new ArrayList<Waiting>();
        batch.add(first);
        int bytes = first.submission().command().length;
        while (batch.size() < COMMANDS_PER_ENTRY && bytes < BYTES_PER_ENTRY) {
          Optional<Waiting> more = queue.poll();
          if (more.isEmpty()) {
            break;
          }
          if (more.get().bond().term() != first.bond().term()) {
            begin = more;
            break;
          }
          batch.add(more.get());
          bytes += more.get().submission().command().length;
        }
        propose(first.bond().term(), batch);
      }
    } catch (ForebayException end) {
      if (end.code() != ErrorCode.CANCELLED) {
        throw end;
      }
    }
  }

  private void propose(long term, List<Waiting> batch) {
    Outcome<byte[]> proposed;
    try {
      proposed = consensus.propose(entry(term, batch.stream().map(Waiting::submission).toList()));
    } catch (RuntimeException failure) {
      underWay.release(1);
      fail(batch, failure);
      return;
    }
    proposed.whenDone(done -> {
      underWay.release(1);
      Optional<Throwable> failure = done.failure();
      if (failure.isPresent()) {
        fail(batch, failure.get());
        return;
      }
      batch.forEach(one -> settled(one.bond()));
      if (LoggedMachine.notApplied(done.get())) {
        var again = new ForebayException(ErrorCode.NOT_LEADER, "");
        batch.forEach(one -> one.answer().fail(again));
        return;
      }
      List<byte[]> answers = ANSWERS.decode(done.get()).answers();
      for (int i = 0; i < batch.size(); i++) {
        batch.get(i).answer().complete(answers.get(i));
      }
    });
  }

  private byte[] entry(long term, List<Submission> submissions) {
    return term == 0
        ? ENTRIES.encode(new Submission.Entry(env.wallMillis(), submissions))
        : BOUND_ENTRIES.encode(leases.orElseThrow().entry(term, submissions));
  }

  private void fail(List<Waiting> batch, Throwable failure) {
    for (Waiting one : batch) {
      leases.ifPresent(leased -> leased.unknown(one.bond()));
      one.answer().fail(failure);
    }
  }

  private void settled(LeasedLog.Bond bond) {
    leases.ifPresent(leased -> leased.settled(bond));
  }

  @Override
  public void close() {
    batcher.interrupt();
  }
}
