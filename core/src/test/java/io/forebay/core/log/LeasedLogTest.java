package io.forebay.core.log;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.Grant;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.Preconditions;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class LeasedLogTest {
  private static final long LENGTH = 400_000_000L;
  private static final LeaseSettings ON = new LeaseSettings(LENGTH, 0, List.of());
  private static final NodeId SELF = new NodeId("n1");
  private static final LeaseTable.Holder HOLDER = new LeaseTable.Holder(new NodeId("n2"), 22);
  private static final BucketId BUCKET = new BucketId(1);
  private static final byte[] QUERY =
      RecordCodec.of(NamespaceQuery.class).encode(new NamespaceQuery.Stat(BUCKET, "d/k"));
  private static final RecordCodec<Submission.InTerm> ENTRIES =
      RecordCodec.of(Submission.InTerm.class);

  /** A log of one voter whose term a test moves, and whose answers it may hold back. */
  private static final class Moved implements Consensus {
    final TestEnv env;
    final MemorySortedMap map = new MemorySortedMap();
    final Machine machine = new LoggedMachine(new NamespaceCommands(new NamespaceMachine(0)));
    volatile long term = 1;
    volatile Optional<Outcome<byte[]>> held = Optional.empty();
    volatile boolean loses;
    private long index; // guarded by this
    volatile int touching;

    Moved(TestEnv env) {
      this.env = env;
    }

    @Override
    public synchronized Outcome<byte[]> propose(byte[] entry) {
      if (!ENTRIES.decode(entry).submissions().isEmpty()) {
        touching++;
      }
      byte[] answer = apply(term, entry);
      if (loses) {
        return Outcome.failed(env, new ForebayException(ErrorCode.UNAVAILABLE, "lost"));
      }
      return held.orElseGet(() -> Outcome.of(env, answer));
    }

    synchronized byte[] apply(long ofTerm, byte[] entry) {
      var batch = new Batch();
      byte[] answer;
      try (SortedMap.View view = map.view()) {
        answer = machine.apply(ofTerm, ++index, entry, view, batch);
      }
      map.write(batch);
      return answer;
    }

    long leaseNanos() {
      try (SortedMap.View view = map.view()) {
        return LoggedMachine.leaseNanos(view);
      }
    }

    @Override
    public OptionalLong awaitsOwnDisk() {
      return OptionalLong.empty();
    }

    @Override
    public void handOver(long timeoutNanos) {}

    @Override
    public void confirmRead(long timeoutNanos) {
      if (loses) {
        throw new ForebayException(ErrorCode.TIMEOUT, "no majority");
      }
    }

    @Override
    public Leadership leadership() {
      return new Leadership(term, Optional.of(SELF), true);
    }

    @Override
    public SortedMap map() {
      return map;
    }

    @Override
    public void close() {}
  }

  /** Where leases are revoked. */
  private final class Holders implements Network {
    volatile Supplier<Outcome<Reply>> revoked =
        () -> Outcome.of(env, Reply.of(new ControlMessage.Revoked(true)));

    @Override
    public NodeId self() {
      return SELF;
    }

    @Override
    public Outcome<Reply> call(
        NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
      assertThat(to).isEqualTo(HOLDER.node());
      assertThat(message).isInstanceOf(ControlMessage.Revoke.class);
      return revoked.get();
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

  private final TestEnv env = new TestEnv();
  private final Moved log = new Moved(env);
  private final Holders holders = new Holders();
  private Optional<LogService> service = Optional.empty();
  private Optional<Thread> watcher = Optional.empty();
  private long sequence = 1;

  @AfterEach
  void stop() {
    service.ifPresent(LogService::close);
    watcher.ifPresent(Thread::interrupt);
    env.close();
  }

  /** A leader that does not look around by itself. */
  private LogService serve(LeasedLog leased) {
    var started =
        new LogService(
            env, log, new NamespaceCommands(new NamespaceMachine(0)), Optional.of(leased));
    service = Optional.of(started);
    return started;
  }

  private LogService start(LeaseSettings settings) {
    var leased = new LeasedLog(env, holders, log, settings);
    watch(leased);
    return serve(leased);
  }

  private void watch(LeasedLog leased) {
    watcher =
        Optional.of(
            env.spawn(
                "leases",
                () -> {
                  try {
                    leased.run();
                  } catch (ForebayException end) {
                    assertThat(end.code()).isEqualTo(ErrorCode.CANCELLED);
                  }
                }));
  }

  private void eventually(String what, BooleanSupplier condition) {
    long deadline = env.nanoTime() + 30_000_000_000L;
    while (!condition.getAsBoolean()) {
      assertThat(env.nanoTime()).as(what).isLessThan(deadline);
      env.sleep(2_000_000L);
    }
  }

  private static Optional<Grant> ask(LogService service) {
    return service.query(QUERY, HOLDER).lease();
  }

  private static void lease(LogService service, LeasedLogTest test) {
    test.eventually("a lease is given", () -> ask(service).isPresent());
  }

  private Submission deletion() {
    return new Submission(
        7,
        sequence++,
        1,
        RecordCodec.of(NamespaceCommand.class)
            .encode(
                new NamespaceCommand.Delete(
                    BUCKET,
                    "d/other",
                    Preconditions.NONE,
                    new FlushPolicy(FlushMode.CACHE_ONLY, 0, 0))));
  }

  private void delete(LogService service) {
    service.submit(
        RecordCodec.of(Submission.Many.class).encode(new Submission.Many(List.of(deletion()))));
  }

  @Test
  void aLeaseIsRevokedBeforeACommandIsProposed() {
    LogService service = start(ON);
    delete(service); // the first full lease of the term is over
    lease(service, this);
    var revocations = new int[2];
    holders.revoked =
        () -> {
          revocations[0]++;
          revocations[1] = log.touching;
          return Outcome.of(env, Reply.of(new ControlMessage.Revoked(true)));
        };
    delete(service);
    assertThat(revocations).containsExactly(1, 1);
    assertThat(log.touching).isEqualTo(2);
    delete(service);
    assertThat(revocations[0]).isEqualTo(1);
  }

  @Test
  void aHolderThatDoesNotConfirmIsWaitedOut() {
    LogService service = start(ON);
    delete(service);
    for (Supplier<Outcome<Reply>> answer :
        List.<Supplier<Outcome<Reply>>>of(
            () -> new Outcome<>(env),
            () -> Outcome.of(env, Reply.of(new ControlMessage.Revoked(false))),
            () ->
                Outcome.failed(
                    env, new ForebayException(ErrorCode.PEER_UNREACHABLE, "it is down")))) {
      holders.revoked = answer;
      eventually("a lease is given", () -> ask(service).isPresent());
      long given = env.nanoTime();
      eventually("it is prolonged", () -> ask(service).isPresent());
      delete(service);
      assertThat(env.nanoTime() - given).isGreaterThan(LENGTH);
    }
  }

  @Test
  void aNewTermProposesNothingBeforeAFullLease() {
    LogService service = start(ON);
    delete(service);
    log.term = 3;
    long elected = env.nanoTime();
    delete(service);
    assertThat(env.nanoTime() - elected).isGreaterThan(LENGTH);
  }

  @Test
  void noLeaseIsGivenWhileACommandIsUnderWay() {
    LogService service = start(ON);
    delete(service);
    lease(service, this);
    var held = new Outcome<byte[]>(env);
    log.held = Optional.of(held);
    Thread writer = env.spawn("writer", () -> delete(service));
    eventually("it is proposed", () -> log.touching == 2);
    assertThat(ask(service)).isEmpty();
    log.held = Optional.empty();
    held.complete(
        RecordCodec.of(Submission.Answers.class)
            .encode(new Submission.Answers(List.of(new byte[1]))));
    eventually("the writer is answered", () -> !writer.isAlive());
    assertThat(ask(service)).isPresent();
  }

  @Test
  void anUnknownOutcomeGivesNoLeaseUntilALaterEntryWasApplied() {
    var leased = new LeasedLog(env, holders, log, ON);
    LogService service = serve(leased);
    delete(service);
    assertThat(ask(service)).isPresent();
    log.loses = true;
    assertThatThrownBy(() -> delete(service)).isInstanceOf(ForebayException.class);
    log.loses = false;
    assertThat(ask(service)).isEmpty();
    delete(service); // another command's answer says nothing of the lost one's
    assertThat(ask(service)).isEmpty();
    watch(leased);
    eventually("leases again", () -> ask(service).isPresent());
  }

  @Test
  void anEntryOfAnotherTermDoesNothing() {
    byte[] entry = ENTRIES.encode(new Submission.InTerm(1, List.of(deletion()), 4, LENGTH));
    assertThat(LoggedMachine.notApplied(log.apply(5, entry))).isTrue();
    assertThat(log.leaseNanos()).isZero();
    assertThat(LoggedMachine.notApplied(log.apply(4, entry))).isFalse();
    assertThat(log.leaseNanos()).isEqualTo(LENGTH);
  }

  @Test
  void anEntryThatWaitedForNoLeasesDoesNothingOnceThereAreSome() {
    byte[] plain =
        RecordCodec.of(Submission.Entry.class).encode(new Submission.Entry(1, List.of(deletion())));
    assertThat(LoggedMachine.notApplied(log.apply(2, plain))).isFalse();
    log.apply(3, ENTRIES.encode(new Submission.InTerm(1, List.of(), 3, LENGTH)));
    // Queued in term 2, by a leader that then hung until it was elected again.
    assertThat(LoggedMachine.notApplied(log.apply(4, plain))).isTrue();
    log.apply(5, ENTRIES.encode(new Submission.InTerm(1, List.of(), 5, 0)));
    assertThat(LoggedMachine.notApplied(log.apply(5, plain))).isFalse();
  }

  @Test
  void noLeaseIsGivenBeforeTheLogSaysThatThereAreSome() {
    LogService quiet = serve(new LeasedLog(env, holders, log, ON)); // nobody announces
    assertThat(ask(quiet)).isEmpty();
    delete(quiet);
    assertThat(log.leaseNanos()).isEqualTo(LENGTH);
    assertThat(ask(quiet)).isPresent();
  }

  @Test
  void aLeaderThatGivesNoneWaitsForItsPredecessorsAndThenForgetsThem() {
    log.apply(1, ENTRIES.encode(new Submission.InTerm(1, List.of(), 1, LENGTH)));
    log.term = 2;
    long elected = env.nanoTime();
    LogService service = start(LeaseSettings.OFF);
    delete(service);
    assertThat(env.nanoTime() - elected).isGreaterThan(LENGTH);
    assertThat(log.leaseNanos()).isZero();
    assertThat(ask(service)).isEmpty();
  }

  @Test
  void withoutLeasesAnEntryIsWhatItWas() {
    var plain = new Submission.Entry(5, List.of(deletion()));
    byte[] bytes = RecordCodec.of(Submission.Entry.class).encode(plain);
    assertThat(ENTRIES.decode(bytes))
        .usingRecursiveComparison()
        .isEqualTo(new Submission.InTerm(5, plain.submissions(), 0, 0));
    LogService service = start(LeaseSettings.OFF);
    delete(service);
    assertThat(log.leaseNanos()).isZero();
  }
}
