package io.forebay.core.log;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class LevelsTest {
  private static final NodeId SELF = new NodeId("n1");
  private static final NodeId SECOND = new NodeId("n2");
  private static final NodeId THIRD = new NodeId("n3");
  private static final byte[] QUOTA =
      RecordCodec.of(NamespaceCommand.class)
          .encode(new NamespaceCommand.SetQuota(new BucketId(1), 1));
  private static final byte[] SESSION =
      RecordCodec.of(NamespaceCommand.class).encode(new NamespaceCommand.OpenSession(SELF));

  private final TestEnv env = new TestEnv();
  private final MemorySortedMap map = new MemorySortedMap();
  private final LocalConsensus log =
      new LocalConsensus(env, SELF, map, new LoggedMachine(commands()));
  private final Voters voters = new Voters();
  private LogService service = new LogService(env, log, commands());
  private long sequence;

  private static NamespaceCommands commands() {
    return new NamespaceCommands(new NamespaceMachine(0));
  }

  /** What each voter says that it knows; who is not there does not answer. */
  private final class Voters implements Network {
    final Map<NodeId, Integer> known = new ConcurrentSkipListMap<>();
    final AtomicInteger asked = new AtomicInteger();

    @Override
    public NodeId self() {
      return SELF;
    }

    @Override
    public Outcome<Reply> call(
        NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
      assertThat(message).isInstanceOf(ControlMessage.AskLevel.class);
      if (to.equals(THIRD)) {
        asked.incrementAndGet();
      }
      Integer level = known.get(to);
      return level == null
          ? Outcome.failed(env, new ForebayException(ErrorCode.CORRUPT, "no such message"))
          : Outcome.of(env, Reply.of(new ControlMessage.KnownLevel(level)));
    }

    @Override
    public void serve(CallHandler calls, ChunkReceiver chunks) {
      throw new UnsupportedOperationException();
    }

    @Override
    public ChunkUpload upload(ChunkPut put, long deadlineNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void addresses(Map<NodeId, String> hostPorts) {
      throw new UnsupportedOperationException();
    }
  }

  @AfterEach
  void stop() {
    service.close();
    env.close();
  }

  private Thread start(int known) {
    var levels = new Levels(env, voters, List.of(SELF, SECOND, THIRD), List.of(service), known);
    return env.spawn(
        "levels",
        () -> {
          try {
            levels.loops().getFirst().run();
          } catch (ForebayException end) {
            assertThat(end.code()).isEqualTo(ErrorCode.CANCELLED);
          }
        });
  }

  private void eventually(String what, BooleanSupplier condition) {
    long deadline = env.nanoTime() + 30_000_000_000L;
    while (!condition.getAsBoolean()) {
      assertThat(env.nanoTime()).as(what).isLessThan(deadline);
      env.sleep(2_000_000L);
    }
  }

  private void submit(byte[] command) {
    service.submit(
        RecordCodec.of(Submission.Many.class)
            .encode(
                new Submission.Many(List.of(new Submission(7, ++sequence, sequence, command)))));
  }

  /** An entry as a leader of another version may have logged it. */
  private void log(Submission.Raise entry) {
    byte[] _ = log.propose(RecordCodec.of(Submission.Raise.class).encode(entry)).await();
  }

  @Test
  void theLevelRisesWhenTheLastVoterKnowsItAndItsCommandsAreRefusedBefore()
      throws InterruptedException {
    voters.known.put(SELF, Level.QUOTAS);
    voters.known.put(SECOND, Level.QUOTAS);
    Thread levels = start(Level.QUOTAS);
    int before = voters.asked.get();
    eventually(
        "one that does not know the question was asked", () -> voters.asked.get() > before + 2);
    voters.known.put(THIRD, Level.FIRST);
    int then = voters.asked.get();
    eventually("one of an older version was asked", () -> voters.asked.get() > then + 2);
    assertThat(service.level()).isEqualTo(Level.FIRST);
    assertThatThrownBy(() -> submit(QUOTA))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.UNAVAILABLE))
        .hasMessageContaining("not all voters");
    submit(SESSION);
    voters.known.put(THIRD, Level.QUOTAS + 1);
    eventually("the level has risen", () -> service.level() == Level.QUOTAS);
    submit(QUOTA);
    levels.join(); // it does not know more
  }

  @Test
  void aLevelRisesAlsoWhereLeasesBindEntriesToTheirTerm() {
    var settings = new LeaseSettings(50_000_000L, 0, List.of());
    var leased = new LeasedLog(env, voters, log, settings);
    service.close();
    service = new LogService(env, log, commands(), Optional.of(leased));
    service.raise(Level.QUOTAS);
    assertThat(service.level()).isEqualTo(Level.QUOTAS);
    assertThat(map.read(LoggedMachine::leaseNanos)).isEqualTo(settings.lengthNanos());
  }

  @Test
  void aLevelNeverSinks() {
    log(new Submission.Raise(1, List.of(), 0, 0, Level.QUOTAS));
    log(new Submission.Raise(1, List.of(), 0, 0, Level.FIRST));
    assertThat(service.level()).isEqualTo(Level.QUOTAS);
  }

  @Test
  void aVoterThatDoesNotKnowTheLevelAppliesNothingOfItAndDoesNotStartOnIt() {
    log(new Submission.Raise(1, List.of(), 0, 0, Level.QUOTAS));
    var older = new LoggedMachine(commands(), Level.FIRST);
    var batch = new Batch();
    try (SortedMap.View view = map.view()) {
      assertThatThrownBy(() -> older.load(view)).hasMessageContaining("level 2");
    }
    byte[] entry =
        RecordCodec.of(Submission.Raise.class)
            .encode(
                new Submission.Raise(
                    1, List.of(new Submission(1, 1, 1, SESSION)), 0, 0, Level.QUOTAS));
    try (SortedMap.View empty = new MemorySortedMap().view()) {
      assertThatThrownBy(() -> older.apply(1, 1, entry, empty, batch))
          .isInstanceOfSatisfying(
              ForebayException.class,
              refused -> assertThat(refused.code()).isEqualTo(ErrorCode.WRONG_VERSION))
          .hasMessageContaining("knows levels up to 1");
    }
    assertThat(batch.changes()).isEmpty();
  }
}
