package io.forebay.core.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.Group;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Scope;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ControlMessage.Answer;
import io.forebay.core.net.ControlMessage.Query;
import io.forebay.core.net.DataMessage.ChunkData;
import io.forebay.core.net.DataMessage.ChunkRead;
import io.forebay.core.net.DataMessage.Ping;
import io.forebay.core.net.DataMessage.Pong;
import io.forebay.core.net.HopAck.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * What every {@link Network} does. Implementations give three connected ends, n0 to n2, and a way
 * to kill one.
 */
public abstract class NetworkContract {
  private static final long SECOND = 1_000_000_000L;
  private static final int SLICE_BYTES = 64 << 10;
  private static final ChunkId CHUNK = new ChunkId(new SessionId(7), 1);

  /** The world that the ends live in. */
  protected abstract Env env();

  /** One of three ends that know each other's addresses. */
  protected abstract Network end(int index);

  /** Ends one as a crash would. */
  protected abstract void kill(int index);

  @Test
  void callsCarryMessagesAndPayloadsBothWays() {
    SlabPool pool = pool();
    end(1)
        .serve(
            (from, message, payload) -> {
              assertThat(from).isEqualTo(node(0));
              assertThat(payload.orElseThrow().toArray()).startsWith(1, 2, 3);
              return new Reply(message, Optional.of(slab(pool, 9, 300_000)));
            },
            nobody());
    Bytes sent = slab(pool, 1, 1 << 20);
    Reply reply =
        end(0)
            .call(node(1), new Query("ns-0", new byte[] {5}), Optional.of(sent), 10 * SECOND)
            .await();
    sent.release();
    assertThat(reply.message()).isInstanceOf(Query.class);
    assertThat(reply.payload().orElseThrow().length()).isEqualTo(300_000);
    assertThat(reply.payload().orElseThrow().toArray()).startsWith(9, 10, 11);
    reply.release();
    awaitAllFree(pool);
  }

  @Test
  void anEmptyPayloadIsNotAbsent() {
    end(1)
        .serve(
            (from, message, payload) ->
                payload.isPresent() && payload.get().length() == 0
                    ? new Reply(message, Optional.of(new Synthetic(1, 0, 0)))
                    : Reply.of(message),
            nobody());
    Outcome<Reply> call =
        end(0).call(node(1), new Ping(), Optional.of(new Synthetic(1, 0, 0)), 10 * SECOND);
    assertThat(call.await().payload().orElseThrow().length()).isZero();
    assertThat(end(0).call(node(1), new Ping(), Optional.empty(), 10 * SECOND).await().payload())
        .isEmpty();
  }

  @Test
  void anEndCallsItself() {
    end(0).serve((from, message, payload) -> Reply.of(new Pong()), nobody());
    assertThat(end(0).call(node(0), new Ping(), Optional.empty(), SECOND).await().message())
        .isEqualTo(new Pong());
  }

  @Test
  void aBodyOfMegabytesArrives() {
    byte[] large = new byte[Network.MAX_MESSAGE_BYTES - 100];
    large[large.length - 1] = 77;
    end(1)
        .serve(
            (from, message, payload) -> Reply.of(new Answer(((Query) message).query())), nobody());
    Reply reply =
        end(0).call(node(1), new Query("cluster", large), Optional.empty(), 10 * SECOND).await();
    assertThat(((Answer) reply.message()).answer()).isEqualTo(large);
    assertThatThrownBy(() ->
            end(0)
                .call(
                    node(1),
                    new Query("cluster", new byte[Network.MAX_MESSAGE_BYTES]),
                    Optional.empty(),
                    SECOND)
                .await())
        .satisfies(code(ErrorCode.ENTITY_TOO_LARGE));
  }

  @Test
  void errorsKeepCodeAndMessage() {
    end(1)
        .serve(
            (from, message, payload) -> {
              throw new ForebayException(ErrorCode.STALE_EPOCH, "group 3 is at epoch 9");
            },
            nobody());
    assertThatThrownBy(
            () -> end(0).call(node(1), new Ping(), Optional.empty(), 10 * SECOND).await())
        .satisfies(code(ErrorCode.STALE_EPOCH))
        .hasMessage("group 3 is at epoch 9");
  }

  @Test
  void whatIsNoForebayExceptionBecomesInternal() {
    end(1)
        .serve(
            (from, message, payload) -> {
              throw new IllegalStateException("bug");
            },
            nobody());
    assertThatThrownBy(
            () -> end(0).call(node(1), new Ping(), Optional.empty(), 10 * SECOND).await())
        .satisfies(code(ErrorCode.INTERNAL));
  }

  @Test
  void aCallThatIsNotAnsweredTimesOut() {
    var answered = new Outcome<Void>(env());
    end(1)
        .serve(
            (from, message, payload) -> {
              answered.await();
              return Reply.of(new Pong());
            },
            nobody());
    assertThatThrownBy(() -> end(0).call(node(1), new Ping(), Optional.empty(), SECOND / 5).await())
        .satisfies(code(ErrorCode.TIMEOUT));
    answered.complete(null);
  }

  @Test
  void anUnknownNodeIsUnreachable() {
    assertThatThrownBy(
            () -> end(0).call(new NodeId("nobody"), new Ping(), Optional.empty(), SECOND).await())
        .satisfies(code(ErrorCode.PEER_UNREACHABLE));
  }

  @Test
  void callsOfAPeerThatDiesFailAtOnce() {
    var entered = new Outcome<Void>(env());
    end(1)
        .serve(
            (from, message, payload) -> {
              entered.complete(null);
              return Reply.of(new Outcome<Message>(env()).await());
            },
            nobody());
    Outcome<Reply> call = end(0).call(node(1), new Ping(), Optional.empty(), 60 * SECOND);
    entered.await();
    kill(1);
    assertThatThrownBy(() -> call.await(10 * SECOND, "the failure"))
        .satisfies(code(ErrorCode.PEER_UNREACHABLE));
  }

  @Test
  void manyCallsAtOnceAreAllAnsweredWithTheirOwnAnswer() {
    end(1)
        .serve(
            (from, message, payload) -> {
              var read = (ChunkRead) message;
              Bytes bytes = new Synthetic(read.offset(), 0, 5000 + read.offset());
              return new Reply(new ChunkData(bytes.crc32c()), Optional.of(bytes));
            },
            nobody());
    try (var scope = new Scope(env(), "caller")) {
      for (int i = 0; i < 600; i++) {
        int number = i;
        scope.fork(() -> {
          var read = new ChunkRead(CHUNK, new GroupId(1), number, 1, 0);
          Reply reply = end(0).call(node(1), read, Optional.empty(), 60 * SECOND).await();
          Bytes payload = reply.payload().orElseThrow();
          assertThat(payload.length()).isEqualTo(5000 + number);
          assertThat(payload.crc32c()).isEqualTo(((ChunkData) reply.message()).crc32c());
          assertThat(payload.crc32c()).isEqualTo(new Synthetic(number, 0, 5000 + number).crc32c());
          reply.release();
          return null;
        });
      }
      scope.join();
    }
  }

  @Test
  void aChunkGoesOverOneTwoAndThreeHops() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    int sequence = 1;
    for (List<Integer> chain :
        List.of(List.of(1), List.of(1, 2), List.of(0), List.of(0, 1), List.of(0, 1, 2))) {
      ChunkId id = new ChunkId(new SessionId(7), sequence++);
      ChunkUpload upload = end(0).upload(put(id, 1, chain), soon());
      Sent sent = send(upload, pool, 11);
      ChunkAck ack = sent.finish(upload).await();
      assertThat(ack.hops())
          .extracting(HopAck::volume)
          .containsExactlyElementsOf(chain.stream().map(NetworkContract::volume).toList());
      assertThat(ack.allStored()).as("chain %s: %s", chain, ack).isTrue();
      for (int hop : chain) {
        assertThat(stores.get(hop).committed.get(id)).isEqualTo(sent.crc);
        assertThat(stores.get(hop).lengths.get(id)).isEqualTo(sent.length);
      }
    }
    awaitAllFree(pool);
  }

  @Test
  void aStaleEpochIsRefusedWithTheNewerRecord() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    stores.get(1).newer = epochNine();
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(0, 1, 2)), soon());
    Sent sent = send(upload, pool, 3);
    ChunkAck ack = sent.finish(upload).await();
    assertThat(statuses(ack)).containsExactly(Status.STORED, Status.STALE_EPOCH, Status.UNREACHED);
    assertThat(ack.hops().get(1).newer().orElseThrow().epoch()).isEqualTo(new Epoch(9));
    assertThat(stores.get(2).admitted).isEmpty();
    awaitAllFree(pool);
  }

  @Test
  void aRefusalByTheFirstHopEndsTheUploadAtOnce() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    stores.get(1).newer = epochNine();
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(1, 2)), soon());
    Bytes slice = slab(pool, 1, SLICE_BYTES);
    int crc = slice.crc32c();
    while (upload.write(slice, crc, env().nanoTime() + 10 * SECOND)) {
      assertThat(upload.acknowledgedBytes()).isZero();
    }
    slice.release();
    assertThat(upload.ended()).isTrue();
    assertThat(statuses(upload.finish(0, 0).await()))
        .containsExactly(Status.STALE_EPOCH, Status.UNREACHED);
    awaitAllFree(pool);
  }

  @Test
  void aRefusalBehindIsKnownBeforeTheChunkIsWhole() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    int sequence = 0;
    int aborted = 0;
    for (List<Integer> chain : List.of(List.of(0, 1), List.of(0, 1, 2), List.of(1, 2))) {
      Store refusing = stores.get(chain.getLast());
      refusing.newer = epochNine();
      var id = new ChunkId(new SessionId(8), ++sequence);
      ChunkUpload upload = end(0).upload(put(id, 1, chain), soon());
      Sent sent = send(upload, pool, 1);
      awaitUntil(() -> statuses(upload.acknowledgedSoFar()).getLast().equals(Status.STALE_EPOCH));
      assertThat(upload.ended()).isFalse();
      sent.more(upload, pool, 20); // several windows: nobody waits for the one that refused
      upload.abort("of no use");
      aborted += chain.size() - 1;
      int all = aborted;
      awaitUntil(() -> stores.stream().mapToInt(store -> store.aborted.get()).sum() == all);
      refusing.newer = null;
    }
    assertThat(stores).allMatch(store -> store.committed.isEmpty());
    awaitAllFree(pool);
  }

  @Test
  void aDeadHopBehindLeavesTheFirstCopyToComplete() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    kill(2);
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(0, 2)), soon());
    Sent sent = send(upload, pool, 20);
    ChunkAck ack = sent.finish(upload).await();
    assertThat(statuses(ack)).containsExactly(Status.STORED, Status.UNREACHED);
    assertThat(stores.get(0).committed).containsEntry(CHUNK, sent.crc);
    awaitAllFree(pool);
  }

  @Test
  void aHopThatDiesInTheMiddleIsUnreachedAndTheOthersComplete() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(0, 1, 2)), soon());
    Sent sent = send(upload, pool, 4);
    awaitUntil(() -> stores.get(2).written.get() == 4);
    kill(2);
    sent.more(upload, pool, 16);
    ChunkAck ack = sent.finish(upload).await();
    assertThat(statuses(ack)).containsExactly(Status.STORED, Status.STORED, Status.UNREACHED);
    awaitAllFree(pool);
  }

  @Test
  void aFailingDiskIsReportedAndTheHopBehindCompletes() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    stores.get(1).failing = true;
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(0, 1, 2)), soon());
    Sent sent = send(upload, pool, 20);
    ChunkAck ack = sent.finish(upload).await();
    assertThat(statuses(ack)).containsExactly(Status.STORED, Status.FAILED, Status.STORED);
    assertThat(ack.hops().get(1).detail()).contains("disk is gone");
    awaitAllFree(pool);
  }

  @Test
  void anAbortFreesTheRoomAtEveryHop() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(0, 1, 2)), soon());
    send(upload, pool, 3);
    awaitUntil(() -> stores.get(2).written.get() == 3);
    upload.abort("the client went away");
    upload.abort("twice");
    assertThatThrownBy(() -> upload.finish(1, 1).await()).satisfies(code(ErrorCode.CANCELLED));
    awaitUntil(() -> stores.stream().allMatch(store -> store.aborted.get() == 1));
    assertThat(stores).allMatch(store -> store.committed.isEmpty());
    awaitAllFree(pool);
  }

  @Test
  void aSlowDiskHoldsTheSenderAtTheWindow() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    stores.get(2).hold = true;
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(1, 2)), soon());
    Bytes slice = slab(pool, 1, SLICE_BYTES);
    int crc = slice.crc32c();
    int written = 0;
    while (upload.write(slice, crc, env().nanoTime() + SECOND / 2)) {
      written++;
      assertThat(written).isLessThan(100);
    }
    assertThat(upload.ended()).isFalse();
    assertThat(upload.acknowledgedBytes()).isZero();
    awaitUntil(() -> upload.progressBytes().get(0) > 0);
    assertThat(upload.progressBytes().get(1)).isZero();
    stores.get(2).letGo();
    awaitUntil(() -> upload.acknowledgedBytes() > 0);
    assertThat(upload.write(slice, crc, env().nanoTime() + 10 * SECOND)).isTrue();
    upload.abort("seen enough");
    slice.release();
    awaitAllFree(pool);
  }

  @Test
  void theDeadlineEndsAnUploadThatNobodyAnswers() {
    SlabPool pool = pool();
    List<Store> stores = stores();
    stores.get(2).hold = true;
    ChunkUpload upload = end(0).upload(put(CHUNK, 1, List.of(0, 2)), env().nanoTime() + SECOND);
    Sent sent = send(upload, pool, 2);
    ChunkAck ack = sent.finish(upload).await();
    assertThat(statuses(ack)).containsExactly(Status.STORED, Status.UNREACHED);
    awaitUntil(() -> stores.get(2).aborted.get() == 1);
    stores.get(2).letGo();
    awaitAllFree(pool);
  }

  @Test
  void manyUploadsCrossEachOtherWithoutStandingStill() {
    // See Network.upload: a window of 8 and the one at hand, for each.
    SlabPool pool = new SlabPool(env(), SLICE_BYTES, 60 * 9);
    List<Store> stores = stores();
    try (var scope = new Scope(env(), "writer")) {
      for (int i = 0; i < 60; i++) {
        int writer = i % 3;
        ChunkId id = new ChunkId(new SessionId(100 + writer), 1 + i);
        List<Integer> chain =
            i % 2 == 0
                ? List.of(writer, (writer + 1) % 3, (writer + 2) % 3)
                : List.of((writer + 2) % 3, (writer + 1) % 3, writer);
        scope.fork(() -> {
          ChunkUpload upload =
              end(writer).upload(put(id, 1, chain), env().nanoTime() + 60 * SECOND);
          Sent sent = send(upload, pool, 12);
          ChunkAck ack = sent.finish(upload).await();
          assertThat(ack.allStored()).as("%s", ack).isTrue();
          chain.forEach(hop -> assertThat(stores.get(hop).committed.get(id)).isEqualTo(sent.crc));
          return null;
        });
      }
      scope.join();
    }
    awaitAllFree(pool);
  }

  // What the tests share.

  private static Group epochNine() {
    return new Group(
        new GroupId(1),
        new Family(2, 2, Durability.REPLICATED),
        new Epoch(9),
        List.of(),
        List.of(),
        false);
  }

  private List<Store> stores() {
    return IntStream.range(0, 3)
        .mapToObj(i -> {
          var store = new Store(env(), volume(i));
          end(i).serve((from, message, payload) -> Reply.of(new Pong()), store);
          return store;
        })
        .toList();
  }

  /** What was sent so far. */
  private static final class Sent {
    private int length;
    private int crc;

    private void more(ChunkUpload upload, SlabPool pool, int slices) {
      for (int i = 0; i < slices; i++) {
        Bytes slice = slab(pool, length / SLICE_BYTES, SLICE_BYTES);
        int sliceCrc = slice.crc32c();
        assertThat(upload.write(slice, sliceCrc, Long.MAX_VALUE / 2)).isTrue();
        slice.release();
        crc = length == 0 ? sliceCrc : Crc32cCombiner.combine(crc, sliceCrc, SLICE_BYTES);
        length += SLICE_BYTES;
      }
    }

    private Outcome<ChunkAck> finish(ChunkUpload upload) {
      return upload.finish(length, crc);
    }
  }

  private static Sent send(ChunkUpload upload, SlabPool pool, int slices) {
    var sent = new Sent();
    sent.more(upload, pool, slices);
    return sent;
  }

  private SlabPool pool() {
    return new SlabPool(env(), 1 << 20, 64);
  }

  private long soon() {
    return env().nanoTime() + 30 * SECOND;
  }

  private static Bytes slab(SlabPool pool, int first, int length) {
    Slab slab = pool.take();
    var memory = slab.buffer();
    for (int i = 0; i < length; i++) {
      memory.put(i, (byte) (first + i));
    }
    Bytes bytes = slab.bytes(0, length);
    slab.release();
    return bytes;
  }

  private static ChunkPut put(ChunkId id, long epoch, List<Integer> chain) {
    return new ChunkPut(
        id,
        new GroupId(1),
        new Epoch(epoch),
        Durability.REPLICATED,
        16 << 20,
        chain.stream().map(i -> new Hop(node(i), volume(i))).toList());
  }

  private static NodeId node(int index) {
    return new NodeId("n" + index);
  }

  private static VolumeId volume(int index) {
    return new VolumeId(1000 + index);
  }

  private static List<Status> statuses(ChunkAck ack) {
    return ack.hops().stream().map(HopAck::status).toList();
  }

  private static ChunkReceiver nobody() {
    return (from, put) -> {
      throw new ForebayException(ErrorCode.UNAVAILABLE, "no chunks here");
    };
  }

  private static java.util.function.Consumer<Throwable> code(ErrorCode code) {
    return thrown -> {
      assertThat(thrown).isInstanceOf(ForebayException.class);
      assertThat(((ForebayException) thrown).code()).isEqualTo(code);
    };
  }

  private void awaitAllFree(SlabPool pool) {
    awaitUntil(() -> pool.available() == pool.count());
  }

  private void awaitUntil(java.util.function.BooleanSupplier condition) {
    long deadline = env().nanoTime() + 30 * SECOND;
    while (!condition.getAsBoolean()) {
      if (env().nanoTime() > deadline) {
        throw new AssertionError("the condition did not come true within 30 s");
      }
      env().sleep(1_000_000);
    }
  }

  /** A receiver that keeps lengths and checksums, and can be told to be slow, full or broken. */
  private static final class Store implements ChunkReceiver {
    private final Env env;
    private final VolumeId volume;
    private final ConcurrentHashMap<ChunkId, Integer> committed = new ConcurrentHashMap<>();
    private final ConcurrentHashMap<ChunkId, Integer> lengths = new ConcurrentHashMap<>();
    private final TreeMap<ChunkId, NodeId> admitted = new TreeMap<>();
    private final AtomicInteger written = new AtomicInteger();
    private final AtomicInteger aborted = new AtomicInteger();
    private final AtomicLong order = new AtomicLong();
    private final Outcome<Void> released;
    private volatile boolean hold;
    private volatile boolean failing;
    private volatile Group newer;

    Store(Env env, VolumeId volume) {
      this.env = env;
      this.volume = volume;
      this.released = new Outcome<>(env);
    }

    void letGo() {
      hold = false;
      released.complete(null);
    }

    @Override
    public Admission admit(NodeId from, ChunkPut put) {
      if (newer != null) {
        return new Admission.Refuse(
            new HopAck(volume, Status.STALE_EPOCH, Optional.of(newer), "stale"));
      }
      assertThat(put.chain().get(0).volume()).isEqualTo(volume);
      return new Admission.Accept(new Sink(put.id()));
    }

    private final class Sink implements LocalSink {
      private final ChunkId id;
      private final List<Integer> crcs = new ArrayList<>();
      private int length;
      private int crc;

      Sink(ChunkId id) {
        this.id = id;
      }

      @Override
      public Outcome<Void> write(int offset, Bytes slice, int crc32c) {
        assertThat(offset).isEqualTo(length);
        assertThat(slice.crc32c()).isEqualTo(crc32c);
        crc = length == 0 ? crc32c : Crc32cCombiner.combine(crc, crc32c, slice.length());
        length += slice.length();
        crcs.add(crc32c);
        if (failing && crcs.size() == 3) {
          return Outcome.failed(env, new ForebayException(ErrorCode.IO_ERROR, "disk is gone"));
        }
        var done = new Outcome<Void>(env);
        slice.retain();
        Runnable finish =
            () -> {
              slice.release();
              written.incrementAndGet();
              done.complete(null);
            };
        if (hold) {
          released.whenDone(go -> finish.run());
        } else if (order.incrementAndGet() % 2 == 0) {
          env.spawn("write", finish);
        } else {
          finish.run();
        }
        return done;
      }

      @Override
      public HopAck commit(int lengthBytes, int crc32c) {
        assertThat(lengthBytes).isEqualTo(length);
        assertThat(crc32c).isEqualTo(crc);
        committed.put(id, crc32c);
        lengths.put(id, lengthBytes);
        return HopAck.stored(volume);
      }

      @Override
      public void abort() {
        aborted.incrementAndGet();
      }
    }
  }
}
