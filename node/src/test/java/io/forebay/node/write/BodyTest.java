package io.forebay.node.write;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.StillEnv;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Bodies that wait for the memory of others. */
final class BodyTest {
  private static final int CHUNK = 1 << 20;
  private static final NodeId SELF = new NodeId("a");
  private static final Bucket BUCKET =
      new Bucket(
          new BucketId(0),
          "bucket",
          new Family(1, 1, Durability.REPLICATED),
          "",
          FlushMode.CACHE_ONLY,
          List.of(),
          CHUNK,
          0,
          0,
          0);

  private final TestEnv real = new TestEnv();
  private final Env env = new Clock(real, 0, 100);
  private final SlabPool pool = new SlabPool(env, CHUNK, 1);
  private final Plane plane = new Plane();
  private final Session session = new Session(env, plane, SELF);
  private final WriteMemory memory = new WriteMemory(env, plane, CHUNK);
  private final ChunkSender sender =
      new ChunkSender(env, new Alone(), plane, Collections::emptySortedSet, 1_000_000_000L);

  @AfterEach
  void nothingIsLeft() {
    assertThat(memory.available()).isEqualTo(CHUNK);
    real.close();
  }

  private Body body(Session.Ticket ticket) {
    return new Body(env, sender, pool, memory, ticket, BUCKET, OptionalLong.empty(), false);
  }

  @Test
  void whoWaitsInVainForMemoryThatOthersKeepIsToldToTryAgain() {
    try (Session.Ticket ticket = session.enter();
        Body waits = body(ticket)) {
      try (Body drips = body(ticket)) {
        drips.awaitRoom(CHUNK);
        long begun = env.nanoTime();
        assertThatThrownBy(() -> waits.awaitRoom(CHUNK))
            .isInstanceOfSatisfying(
                ForebayException.class,
                refusal -> assertThat(refusal.code()).isEqualTo(ErrorCode.BUSY))
            .hasMessageContaining("'memory'");
        assertThat(env.nanoTime() - begun).isGreaterThanOrEqualTo(30_000_000_000L);
      }
      waits.awaitRoom(CHUNK);
      assertThat(memory.available()).isZero();
    }
  }

  /** Else a large chunk stood for as long as there are small ones. */
  @Test
  void whoCameFirstHasTheMemoryFirst() throws InterruptedException {
    var clock = new Clock(real, real.nanoTime(), 1);
    var all = new WriteMemory(clock, plane, 8L * CHUNK);
    Family family = BUCKET.family();
    var other = new Family(2, 1, Durability.REPLICATED);
    WriteMemory.Turn small = all.turn();
    assertThat(all.acquire(family, 100, small, clock.nanoTime())).isTrue();
    assertThat(all.available()).as("whole buffers are counted").isEqualTo(7L * CHUNK);
    WriteMemory.Turn first = all.turn();
    assertThat(all.acquire(family, 8L * CHUNK, first, clock.nanoTime())).isFalse();
    assertThat(all.tryAcquire(family, 1)).isFalse();
    WriteMemory.Turn second = all.turn();
    assertThat(all.acquire(family, 1, second, clock.nanoTime())).isFalse();
    assertThat(all.tryAcquire(other, 1)).as("those of other families do not stand").isTrue();
    all.release(other, 1);
    long far = clock.nanoTime() + 60_000_000_000L;
    var done = new Outcome<Boolean>(real);
    Thread later = real.spawn("later", () -> done.complete(all.acquire(family, 1, second, far)));
    all.release(family, 100);
    assertThat(all.acquire(family, 8L * CHUNK, first, far)).isTrue();
    assertThat(done.isDone()).isFalse();
    all.leave(first);
    all.release(family, 8L * CHUNK);
    later.join();
    assertThat(done.await()).isTrue();
    all.leave(second);
    all.release(family, 1);
    assertThat(all.available()).isEqualTo(8L * CHUNK);
  }

  /** Else some of them would be first at any time, and nobody else. */
  @Test
  void thoseThatFindNoRoomStandBeforeOthersAllAtTheSameTime() {
    var clock = new StillEnv();
    var all = new WriteMemory(clock, plane, 8L * CHUNK);
    Family family = BUCKET.family();
    assertThat(all.tryAcquire(family, 5L * CHUNK)).isTrue();
    var turns = new ArrayList<WriteMemory.Turn>();
    for (int i = 0; i < 4; i++) {
      turns.add(all.turn());
      assertThat(all.acquire(family, 4L * CHUNK, turns.getLast(), clock.nanoTime())).isFalse();
      assertThat(all.tryAcquire(family, 1)).as("%s s", clock.nanoTime() / 1e9).isEqualTo(i > 1);
      if (i > 1) {
        all.release(family, 1);
      }
      clock.pass(6_000);
    }
    turns.forEach(all::leave);
    all.release(family, 5L * CHUNK);
  }

  /** Of a family that has nothing. */
  @Test
  void aFirstChunkIsServedAlsoBesideOtherFamiliesThatTakeAll() {
    var clock = new StillEnv();
    var all = new WriteMemory(clock, plane, 8L * CHUNK);
    var one = new Family(2, 1, Durability.REPLICATED);
    var another = new Family(3, 1, Durability.REPLICATED);
    assertThat(all.tryAcquire(one, 6L * CHUNK)).isTrue();
    assertThat(all.tryAcquire(another, CHUNK)).isTrue();
    WriteMemory.Turn turn = all.turn();
    assertThat(all.acquire(BUCKET.family(), 2L * CHUNK, turn, clock.nanoTime())).isFalse();
    assertThat(all.tryAcquire(one, 1)).isFalse();
    assertThat(all.tryAcquire(another, 1)).isFalse();
    clock.pass(10_000);
    assertThat(all.tryAcquire(another, 1)).isTrue();
    all.release(another, CHUNK);
    assertThat(all.acquire(BUCKET.family(), 2L * CHUNK, turn, clock.nanoTime())).isFalse();
    all.release(another, 1);
    assertThat(all.acquire(BUCKET.family(), 2L * CHUNK, turn, clock.nanoTime())).isTrue();
    all.leave(turn);
    all.release(one, 6L * CHUNK);
    all.release(BUCKET.family(), 2L * CHUNK);
  }

  /** Its clock begins at some time of another one, and goes so many times as fast. */
  private record Clock(TestEnv real, long beginNanos, int times) implements Env {
    @Override
    public long nanoTime() {
      return (real.nanoTime() - beginNanos) * times;
    }

    @Override
    public long wallMillis() {
      return real.wallMillis();
    }

    @Override
    public RandomGenerator random() {
      return real.random();
    }

    @Override
    public Thread spawn(String name, Runnable task) {
      return real.spawn(name, task);
    }

    @Override
    public Timer schedule(long delayNanos, Runnable callback) {
      return real.schedule(delayNanos / times, callback);
    }
  }

  /** A cluster of which nothing is known. */
  private static final class Plane implements ControlPlane {
    @Override
    public ClusterImage image() {
      return ClusterImage.EMPTY;
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      return false;
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      return new NamespaceResult.SessionOpened(new SessionId(1));
    }

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      throw new UnsupportedOperationException();
    }

    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {}
  }

  /** Nothing is sent. */
  private static final class Alone implements Network {
    @Override
    public NodeId self() {
      return SELF;
    }

    @Override
    public ChunkUpload upload(ChunkPut put, long deadlineNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Outcome<Reply> call(
        NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void serve(CallHandler handler, ChunkReceiver chunks) {}

    @Override
    public void addresses(Map<NodeId, String> hostPorts) {}
  }
}
