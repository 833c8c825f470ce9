package io.forebay.sim.log;

import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Consensus;
import io.forebay.core.log.Leadership;
import io.forebay.core.log.Machine;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import io.forebay.sim.world.SimEnv;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/** One voter's place at a {@link SimLog}, for one run of its process. */
public final class SimConsensus implements Consensus {
  private static final long LOOK_NANOS = 20_000_000L;

  private final SimLog log;
  private final SimEnv env;
  private final NodeId self;
  private final SimLog.Stored disk;
  private final Machine machine;
  private final Map<Long, Outcome<byte[]>> expected = new TreeMap<>();
  private long term;
  private Optional<NodeId> leader = Optional.empty();
  private long leadsFrom; // entries there were when this voter was elected
  private long known; // entries that it may apply
  private Outcome<Boolean> news;

  SimConsensus(SimLog log, SimEnv env, NodeId self, SimLog.Stored disk, Machine machine) {
    this.log = log;
    this.env = env;
    this.self = self;
    this.disk = disk;
    this.machine = machine;
    this.known = disk.applied;
    this.news = new Outcome<>(env);
    env.spawn("log-apply", this::apply);
  }

  SimEnv env() {
    return env;
  }

  NodeId self() {
    return self;
  }

  boolean believesToLead() {
    return leader.filter(self::equals).isPresent();
  }

  void hear(long ofTerm, Optional<NodeId> who, long entries) {
    if (ofTerm < term) {
      return;
    }
    if (ofTerm > term) {
      leadsFrom = entries;
      failExpected();
    }
    term = ofTerm;
    leader = who;
    if (entries > known) {
      known = entries;
      wake();
    }
  }

  void stepDown() {
    leader = Optional.empty();
    failExpected();
  }

  private void failExpected() {
    var failed = List.copyOf(expected.values());
    expected.clear();
    failed.forEach(outcome ->
        outcome.fail(new ForebayException(ErrorCode.UNAVAILABLE, "no longer the leader")));
  }

  /** An entry of this voter's own is committed; its proposer waits for it to be applied here. */
  void expect(long index, Outcome<byte[]> answer) {
    if (disk.applied >= index) {
      throw new IllegalStateException("applied before it was committed: " + index);
    }
    expected.put(index, answer);
    if (index > known) {
      known = index;
      wake();
    }
  }

  @Override
  public String toString() {
    return env.process() + " applied " + disk.applied + " of " + known + " in term " + term;
  }

  private void wake() {
    Outcome<Boolean> waiting = news;
    news = new Outcome<>(env);
    waiting.complete(true);
  }

  private void apply() {
    while (true) {
      env.checkAlive();
      if (disk.applied >= known) {
        news.await();
        continue;
      }
      if (!believesToLead() && env.random().nextInt(8) == 0) {
        env.sleep(env.random().nextLong(5_000_000L));
      }
      env.checkAlive();
      long index = disk.applied + 1;
      var batch = new Batch();
      byte[] answer;
      try (SortedMap.View view = disk.map.view()) {
        answer = machine.apply(log.termOf(index), index, log.entry(index), view, batch);
      }
      disk.map.write(batch);
      disk.applied = index;
      log.applied(self, index, answer);
      Outcome<byte[]> waiting = expected.remove(index);
      if (waiting != null) {
        waiting.complete(answer);
      }
      // Whoever waits for the leader to have caught up looks again.
      wake();
    }
  }

  @Override
  public Outcome<byte[]> propose(byte[] entry) {
    env.checkAlive();
    var answer = new Outcome<byte[]>(env);
    if (!leadership().self()) {
      answer.fail(notLeader());
    } else {
      log.propose(this, term, entry, answer);
    }
    return answer;
  }

  private ForebayException notLeader() {
    return new ForebayException(ErrorCode.NOT_LEADER, leader.map(NodeId::name).orElse(""));
  }

  @Override
  public void confirmRead(long timeoutNanos) {
    env.checkAlive();
    long deadline = env.nanoTime() + timeoutNanos;
    long inTerm = term;
    env.sleep(log.delayNanos());
    while (!log.confirms(self, inTerm)) {
      if (term != inTerm || !believesToLead()) {
        throw notLeader();
      }
      if (env.nanoTime() >= deadline) {
        throw new ForebayException(
            ErrorCode.TIMEOUT, "no majority confirms that " + self + " leads");
      }
      env.sleep(LOOK_NANOS);
    }
    log.settled();
    long to = log.size();
    while (disk.applied < to) {
      if (!news.awaitUntil(deadline)) {
        throw new ForebayException(ErrorCode.TIMEOUT, self + " lags behind its log");
      }
      env.checkAlive();
    }
  }

  @Override
  public void handOver(long timeoutNanos) {
    env.checkAlive();
    env.sleep(log.delayNanos());
    log.handOver(self);
  }

  @Override
  public OptionalLong awaitsOwnDisk() {
    return OptionalLong.empty();
  }

  @Override
  public Leadership leadership() {
    env.checkAlive();
    return new Leadership(term, leader, believesToLead() && disk.applied >= leadsFrom);
  }

  @Override
  public SortedMap map() {
    env.checkAlive();
    return disk.map;
  }

  @Override
  public void close() {}
}
