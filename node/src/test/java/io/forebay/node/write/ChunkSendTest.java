package io.forebay.node.write;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterMachine;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.Hop;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.HopAck.Status;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A chunk of four slices whose first try fails in a way that the test chooses. */
final class ChunkSendTest {
  private static final int SLICE = 4096;
  private static final int SLICES = 4;
  private static final NodeId SELF = new NodeId("a");
  private static final Bucket BUCKET =
      new Bucket(
          new BucketId(0),
          "bucket",
          new Family(2, 2, Durability.REPLICATED),
          "",
          FlushMode.CACHE_ONLY,
          List.of(),
          1 << 20,
          0,
          0,
          0);

  /** What becomes of the first try. */
  private enum First {
    NO_LEASE_AFTER_A_SLICE,
    FULL_AFTER_A_SLICE,
    STALE_AT_THE_END,
    OUT_WHILE_IT_STANDS,
    STANDS_UNTIL_IT_IS_GIVEN_UP,
    OUT_AND_BROKEN
  }

  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, SLICE, SLICES);
  private final Plane plane = new Plane();
  private final Ways ways = new Ways();
  private final ChunkSender sender =
      new ChunkSender(env, ways, plane, Collections::emptySortedSet, 1_000_000_000L);
  private final CountDownLatch stands = new CountDownLatch(1);
  private First first = First.FULL_AFTER_A_SLICE;

  @AfterEach
  void nothingIsLeft() {
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  private ChunkSend.Acknowledged send(First what) {
    first = what;
    try (Session.Ticket ticket = new Session(env, plane, SELF).enter()) {
      ChunkSend send = sender.begin(ticket, BUCKET, SLICES * SLICE);
      for (int i = 0; i < SLICES; i++) {
        Slab slab = pool.take();
        Bytes slice = slab.bytes(0, SLICE);
        slab.release();
        send.add(slice, slice.crc32c());
        slice.release();
        if (what == First.NO_LEASE_AFTER_A_SLICE && i == SLICES / 2) {
          awaitAbort(); // while the client still sends
        }
      }
      return send.finish();
    }
  }

  private void awaitAbort() {
    long until = env.nanoTime() + 30_000_000_000L;
    while (ways.tries.get(0).aborts.isEmpty()) {
      assertThat(env.nanoTime()).as("it is given up").isLessThan(until);
      env.sleep(1_000_000L);
    }
  }

  /** The first try's other member, once the chunk is where the second try went. */
  private Hop otherOfTheFirst(ChunkSend.Acknowledged acknowledged) {
    assertThat(acknowledged.lengthBytes()).isEqualTo(SLICES * SLICE);
    assertThat(ways.tries).hasSize(2);
    assertThat(acknowledged.id()).isEqualTo(ways.tries.get(1).put.id());
    assertThat(ways.tries.get(0).put.id()).isNotEqualTo(acknowledged.id());
    assertThat(ways.calls).hasValue(0);
    return ways.tries.get(0).put.chain().get(1);
  }

  @Test
  void aTryThatIsRefusedEndsBeforeTheChunkIsSentAndTheDiskIsToBlameNotTheNode() {
    Hop full = otherOfTheFirst(send(First.FULL_AFTER_A_SLICE));
    assertThat(ways.tries.get(0).slices).hasValue(1);
    assertThat(ways.tries.get(0).finished).isFalse();
    assertThat(sender.suspects().contains(full.volume())).isTrue();
    assertThat(sender.suspects().contains(full.node())).isFalse();
    assertThat(ways.tries.get(1).put.chain()).doesNotContain(full);
  }

  @Test
  void whatTheOthersHaveIsFreedWhileTheClientStillSends() {
    Hop other = otherOfTheFirst(send(First.NO_LEASE_AFTER_A_SLICE));
    assertThat(ways.tries.get(0).slices).hasValue(1);
    assertThat(sender.suspects().contains(other.volume())).isFalse();
    assertThat(sender.suspects().contains(other.node())).isFalse();
  }

  @Test
  void aRefusalEndsATryThatWaitsForItsAcknowledgement() {
    Hop stale = otherOfTheFirst(send(First.STALE_AT_THE_END));
    assertThat(ways.tries.get(0).slices).hasValue(SLICES);
    assertThat(ways.tries.get(0).aborts)
        .as("patience was not over")
        .noneMatch(why -> why.contains("progress"));
    assertThat(sender.suspects().contains(stale.volume())).isFalse();
    assertThat(sender.suspects().contains(stale.node())).isFalse();
  }

  @Test
  void aMemberThatIsPutOutEndsTheTryAndIsNotSuspectedAsWell() {
    Hop out = otherOfTheFirst(send(First.OUT_WHILE_IT_STANDS));
    assertThat(ways.tries.get(0).slices).hasValue(0);
    assertThat(sender.suspects().contains(out.node())).isFalse();
    assertThat(ways.tries.get(1).put.chain()).doesNotContain(out);
  }

  @Test
  void aBodyThatIsBrokenOffSaysNothingAboutAnyMember() throws InterruptedException {
    first = First.STANDS_UNTIL_IT_IS_GIVEN_UP;
    try (Session.Ticket ticket = new Session(env, plane, SELF).enter()) {
      ChunkSend send = sender.begin(ticket, BUCKET, SLICES * SLICE);
      Slab slab = pool.take();
      Bytes slice = slab.bytes(0, SLICE);
      slab.release();
      send.add(slice, slice.crc32c());
      slice.release();
      stands.await();
      send.abort();
    }
    for (long until = env.nanoTime() + 30_000_000_000L; pool.available() < pool.count(); ) {
      assertThat(env.nanoTime()).as("its slices are given back").isLessThan(until);
      env.sleep(1_000_000L);
    }
    ways.tries
        .get(0)
        .put
        .chain()
        .forEach(hop -> assertThat(sender.suspects().contains(hop.node())).isFalse());
  }

  /** Nor is it asked what it has, which would take its time to fail. */
  @Test
  void whoIsOutIsNotSentTheChunkOnceMore() {
    Hop out = otherOfTheFirst(send(First.OUT_AND_BROKEN));
    assertThat(sender.suspects().contains(out.node())).isFalse();
    assertThat(ways.tries.get(1).put.chain()).doesNotContain(out);
  }

  /** Four nodes with a volume each. */
  private static final class Plane implements ControlPlane {
    private final ClusterMachine machine;
    private long index;
    private volatile ClusterImage image;

    Plane() {
      try (var view = new MemorySortedMap().view()) {
        machine = new ClusterMachine(view);
      }
      apply(new ClusterCommand.Initialize("test"));
      for (int node = 0; node < 4; node++) {
        String name = Character.toString('a' + node);
        var volume =
            new ClusterCommand.RegisterNode.Announced(
                new VolumeId(node + 1), new Incarnation(node + 1, 1), 1L << 30);
        apply(new ClusterCommand.RegisterNode(new NodeId(name), name + ":1", "", List.of(volume)));
      }
      apply(new ClusterCommand.CreateBucket(BUCKET));
      image = machine.image();
    }

    private void apply(ClusterCommand command) {
      machine.apply(++index, 1, Level.NEWEST, command, new Batch());
    }

    synchronized void expel(NodeId node) {
      long registered = node.name().charAt(0) - 'a' + 2L; // Initialize was the first command
      apply(
          new ClusterCommand.ExpelNodes(
              List.of(new ClusterCommand.ExpelNodes.Run(node, registered))));
      image = machine.image();
    }

    @Override
    public ClusterImage image() {
      return image;
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      return image.version() >= version;
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

  /** Uploads of which the first goes wrong. */
  private final class Ways implements Network {
    private final List<Try> tries = new CopyOnWriteArrayList<>();
    private final AtomicInteger calls = new AtomicInteger();

    @Override
    public NodeId self() {
      return SELF;
    }

    @Override
    public ChunkUpload upload(ChunkPut put, long deadlineNanos) {
      var attempt = new Try(put, tries.isEmpty());
      tries.add(attempt);
      return attempt;
    }

    @Override
    public Outcome<Reply> call(
        NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
      calls.incrementAndGet();
      return new Outcome<>(env);
    }

    @Override
    public void serve(CallHandler handler, ChunkReceiver chunks) {}

    @Override
    public void addresses(Map<NodeId, String> hostPorts) {}
  }

  private final class Try implements ChunkUpload {
    private final ChunkPut put;
    private final boolean fails;
    private final AtomicInteger slices = new AtomicInteger();
    private final AtomicBoolean finished = new AtomicBoolean();
    private final List<String> aborts = new CopyOnWriteArrayList<>(); // why

    Try(ChunkPut put, boolean fails) {
      this.put = put;
      this.fails = fails;
    }

    @Override
    public boolean write(Bytes slice, int crc32c, long deadlineNanos) {
      if (fails && first == First.OUT_WHILE_IT_STANDS) {
        plane.expel(put.chain().get(1).node());
        env.sleep(Math.max(1, deadlineNanos - env.nanoTime()));
        return false;
      }
      if (fails && first == First.STANDS_UNTIL_IT_IS_GIVEN_UP) {
        stands.countDown();
        while (!ended()) {
          env.sleep(1_000_000L);
        }
        return false;
      }
      slices.incrementAndGet();
      return true;
    }

    @Override
    public boolean ended() {
      return !aborts.isEmpty();
    }

    @Override
    public Outcome<ChunkAck> finish(int lengthBytes, int crc32c) {
      finished.set(true);
      var outcome = new Outcome<ChunkAck>(env);
      if (fails && first == First.OUT_AND_BROKEN) {
        plane.expel(put.chain().get(1).node());
      }
      if (!fails || first == First.OUT_AND_BROKEN) {
        outcome.complete(acknowledgedSoFar());
      }
      return outcome;
    }

    @Override
    public long acknowledgedBytes() {
      return 0;
    }

    @Override
    public List<Integer> progressBytes() {
      return Collections.nCopies(put.chain().size(), 0);
    }

    @Override
    public ChunkAck acknowledgedSoFar() {
      VolumeId own = put.chain().get(0).volume();
      VolumeId other = put.chain().get(1).volume();
      if (!fails) {
        return finished.get()
            ? new ChunkAck(List.of(HopAck.stored(own), HopAck.stored(other)))
            : nothing(own, other);
      }
      if (first == First.NO_LEASE_AFTER_A_SLICE && slices.get() > 0) {
        return refused(
            own, new HopAck(other, Status.REFUSED, Optional.empty(), "its lease is over"));
      }
      if (first == First.FULL_AFTER_A_SLICE && slices.get() > 0) {
        return refused(own, new HopAck(other, Status.REFUSED, Optional.empty(), "NO_SPACE: full"));
      }
      if (first == First.STALE_AT_THE_END && finished.get()) {
        return refused(own, new HopAck(other, Status.STALE_EPOCH, Optional.empty(), "newer"));
      }
      if (first == First.OUT_AND_BROKEN && finished.get()) {
        return new ChunkAck(List.of(HopAck.stored(own), HopAck.unreached(other, "reset")));
      }
      return nothing(own, other);
    }

    private static ChunkAck nothing(VolumeId own, VolumeId other) {
      return new ChunkAck(List.of(HopAck.unreached(own, ""), HopAck.unreached(other, "")));
    }

    private static ChunkAck refused(VolumeId own, HopAck refusal) {
      return new ChunkAck(List.of(HopAck.unreached(own, ""), refusal));
    }

    @Override
    public void abort(String why) {
      aborts.add(why);
    }
  }
}
