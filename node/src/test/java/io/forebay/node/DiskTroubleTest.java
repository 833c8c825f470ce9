package io.forebay.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.node.resync.Scrubber;
import io.forebay.store.disk.DiskSettings;
import io.forebay.store.disk.DiskVolume;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Damaged, lost, full and failing disks under three nodes: no byte is lost, and all is mended. */
class DiskTroubleTest {
  private static final int CHUNKS = 24;
  // Of a segment of 64 MiB.
  private static final long TABLE_BYTES = 1024 * 4096;

  private static List<StoredChunk> chunks(Volume volume) {
    var all = new ArrayList<StoredChunk>();
    for (GroupId group : volume.groups()) {
      all.addAll(volume.list(group, Optional.empty(), 10_000));
    }
    return all;
  }

  private static long bytes(Volume volume) {
    return chunks(volume).stream().mapToLong(StoredChunk::lengthBytes).sum();
  }

  /** Bytes of all chunks that one of the two has. */
  private static long union(Volume one, Volume other) {
    var lengths = new TreeMap<ChunkId, Integer>();
    chunks(one).forEach(chunk -> lengths.put(chunk.id(), chunk.lengthBytes()));
    chunks(other).forEach(chunk -> lengths.put(chunk.id(), chunk.lengthBytes()));
    return lengths.values().stream().mapToLong(Integer::longValue).sum();
  }

  private static boolean full(NodeCluster cluster, int replicas) {
    ClusterImage image = cluster.node(0).plane().image();
    return image.groups().stream()
        .allMatch(group -> group.in(MemberState.IN_SYNC).size() >= replicas);
  }

  /** Flips a bit in each MiB of a node's segments. */
  private static void flipBits(NodeCluster cluster, int node) throws IOException {
    try (FileChannel file =
        FileChannel.open(
            cluster.disk(node).resolve("segments/00000000.seg"),
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      for (long at = TABLE_BYTES + 12_345; at < file.size(); at += 1 << 20) {
        ByteBuffer one = ByteBuffer.allocate(1);
        file.read(one, at);
        file.write(ByteBuffer.wrap(new byte[] {(byte) (one.get(0) ^ 16)}), at);
      }
      file.force(true);
    }
  }

  private static void assertWhole(Volume volume, SlabPool pool) {
    for (StoredChunk chunk : chunks(volume)) {
      volume.read(chunk.id(), 0, chunk.lengthBytes(), pool).release();
    }
  }

  @Test
  void damagedCopiesAreNeverServedAndAreReplacedByGoodOnes() throws IOException {
    try (var cluster = new NodeCluster(3)) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "a", CHUNKS);
      int damaged = chunks(cluster.volume(1)).size();
      assertThat(damaged).isPositive();
      flipBits(cluster, 1);
      for (int node = 0; node < 3; node++) {
        objects.verify(node, "a"); // node 1 finds all that is its own
      }
      cluster.await(
          "all is repaired", () -> cluster.node(1).status().repair().repairedChunks() == damaged);
      assertThat(cluster.node(1).status().repair().damagedReads()).isGreaterThanOrEqualTo(damaged);
      assertWhole(cluster.volume(1), cluster.bodies());

      long reads = cluster.node(1).status().repair().damagedReads();
      objects.verify(1, "a");
      assertThat(cluster.node(1).status().repair().damagedReads()).isEqualTo(reads);
      for (int node = 0; node < 3; node++) {
        assertThat(cluster.node(node).status().repair().lostChunks()).isZero();
        assertThat(cluster.node(node).status().repair().failedRepairs()).isZero();
      }
      // Also after a restart, which finds two copies of none.
      cluster.kill(1);
      cluster.start(1);
      assertThat(chunks(cluster.volume(1))).hasSize(damaged);
      assertWhole(cluster.volume(1), cluster.bodies());
    }
  }

  private static NodeCluster scrubbed() {
    return new NodeCluster(
        3,
        (env, node, directory) -> DiskVolume.open(env, directory, NodeCluster.DISK),
        new Scrubber.Settings(256L << 20, 1_000_000_000L));
  }

  @Test
  void damageThatNobodyReadsIsFoundAndMended() throws IOException {
    try (var cluster = scrubbed()) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "a", CHUNKS);
      int damaged = chunks(cluster.volume(1)).size();
      assertThat(damaged).isPositive();
      flipBits(cluster, 1);
      cluster.await(
          "all is repaired", () -> cluster.node(1).status().repair().repairedChunks() == damaged);
      assertWhole(cluster.volume(1), cluster.bodies());
      assertThat(cluster.node(1).status().scrub().damagedChunks()).isGreaterThanOrEqualTo(damaged);
      assertThat(cluster.node(0).status().scrub().damagedChunks()).isZero();
      assertThat(cluster.node(1).status().repair().failedRepairs()).isZero();
    }
  }

  @Test
  void whatADiskHasLostAndNobodyReadsIsFetched() {
    try (var cluster = scrubbed()) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "a", CHUNKS);
      List<StoredChunk> held = chunks(cluster.volume(1));
      List<ChunkId> lost = held.stream().map(StoredChunk::id).toList();
      assertThat(lost).isNotEmpty();
      cluster.volume(1).delete(lost); // behind everybody's back
      cluster.await("all is there again", () -> chunks(cluster.volume(1)).size() == held.size());
      assertWhole(cluster.volume(1), cluster.bodies());
      assertThat(cluster.node(1).status().scrub().absentChunks())
          .isGreaterThanOrEqualTo(lost.size());
    }
  }

  @Test
  void anOwedChunkThatAnInSyncVolumeHasLostIsFetchedAndCounted() {
    try (var cluster = new NodeCluster(3)) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "a", CHUNKS);
      List<StoredChunk> held = chunks(cluster.volume(1));
      List<ChunkId> lost = held.stream().map(StoredChunk::id).toList();
      cluster.await(
          "the session is past them",
          () ->
              cluster.node(0).plane().query(new NamespaceQuery.ChunkStates(lost))
                      instanceof NamespaceAnswer.Chunks(var states)
                  && states.stream().allMatch(ChunkState.OWED::equals));
      cluster.volume(1).delete(lost); // behind everybody's back
      objects.verify(1, "a");
      cluster.await(
          "all is there again",
          () -> cluster.node(1).status().repair().repairedChunks() == lost.size());
      assertThat(cluster.node(1).status().repair().lostChunks()).isEqualTo(lost.size());
      assertThat(chunks(cluster.volume(1))).containsExactlyInAnyOrderElementsOf(held);
      assertWhole(cluster.volume(1), cluster.bodies());
      objects.verify(1, "a");
      assertThat(cluster.node(1).status().repair().failedRepairs()).isZero();
    }
  }

  /** It is taken along although it is the last one to be asked, and kept by whoever left. */
  @Test
  void whatOnlyAMemberThatLeavesHasIsNotLost() {
    try (var cluster = new NodeCluster(3)) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "a", 5 * CHUNKS);
      ClusterImage image = cluster.node(0).plane().image();
      Group group =
          image.groups().stream()
              .filter(each -> held(cluster, each, each.members().getFirst().volume()).size() > 2)
              .findFirst()
              .orElseThrow();
      VolumeId leaves = group.members().get(0).volume();
      VolumeId stays = group.members().get(1).volume();
      VolumeId comes =
          IntStream.range(0, 3)
              .mapToObj(node -> cluster.volume(node).id())
              .filter(volume -> group.member(volume).isEmpty())
              .findFirst()
              .orElseThrow();
      List<ChunkId> all = held(cluster, group, leaves);
      cluster.await(
          "the session is past them",
          () ->
              cluster.node(0).plane().query(new NamespaceQuery.ChunkStates(all))
                      instanceof NamespaceAnswer.Chunks(var states)
                  && states.stream().allMatch(ChunkState.OWED::equals));
      volume(cluster, stays).delete(all.subList(0, 2)); // behind everybody's back
      assertThat(
              cluster
                  .node(0)
                  .plane()
                  .cluster(new ClusterCommand.MoveMember(group.id(), group.epoch(), leaves, comes)))
          .isInstanceOf(ClusterResult.Done.class);
      cluster.await(
          "it has moved, and whoever left knows",
          () ->
              IntStream.range(0, 3)
                  .mapToObj(node -> cluster.node(node).plane().image().group(group.id()))
                  .allMatch(now ->
                      now.orElseThrow().in(MemberState.IN_SYNC).size() == 2
                          && now.orElseThrow().member(leaves).isEmpty()));
      assertThat(held(cluster, group, comes)).containsAll(all);
      cluster.await(
          "who stays has found out, and repaired it",
          () -> {
            IntStream.range(0, 3).forEach(node -> objects.verify(node, "a"));
            return held(cluster, group, stays).containsAll(all);
          });

      List<ChunkId> lost = all.subList(0, 1);
      volume(cluster, comes).delete(lost);
      volume(cluster, stays).delete(lost);
      for (int node = 0; node < 3; node++) {
        cluster.node(node).collect();
      }
      assertThat(held(cluster, group, leaves)).isEqualTo(lost);
    }
  }

  private static Volume volume(NodeCluster cluster, VolumeId id) {
    return IntStream.range(0, 3)
        .mapToObj(cluster::volume)
        .filter(volume -> volume.id().equals(id))
        .findFirst()
        .orElseThrow();
  }

  private static List<ChunkId> held(NodeCluster cluster, Group group, VolumeId volume) {
    return volume(cluster, volume).list(group.id(), Optional.empty(), 10_000).stream()
        .map(StoredChunk::id)
        .toList();
  }

  @Test
  void whatIsLostIsFoundByReadersOnOtherNodesToo() {
    try (var cluster = new NodeCluster(3)) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "a", CHUNKS);
      // The reader holds nothing itself of some groups and asks either of their members.
      List<ChunkId> lost = chunks(cluster.volume(1)).stream().map(StoredChunk::id).toList();
      cluster.volume(1).delete(lost);
      cluster.await(
          "node 1 was asked for something that it had lost",
          () -> {
            objects.verify(2, "a");
            return cluster.node(1).status().repair().repairedChunks() > 0;
          });
      objects.verify(2, "a");
    }
  }

  /** The only copies are damaged, and an empty disk is to be filled from them. */
  private static void catchUpWithDamage(Consumer<NodeCluster> then) throws IOException {
    try (var cluster = new NodeCluster(2)) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "a", CHUNKS);
      cluster.kill(1);
      flipBits(cluster, 0);
      cluster.replaceDisk(1);
      cluster.start(1);
      cluster.await(
          "all of it is looked for",
          () -> cluster.node(1).status().resync().missedChunks() >= CHUNKS);
      then.accept(cluster);
    }
  }

  @Test
  void whoCatchesUpIsNotInSyncWithoutWhatIsOwed() throws IOException {
    catchUpWithDamage(cluster -> {
      LockSupport.parkNanos(5_000_000_000L);
      assertThat(full(cluster, 2)).isFalse();
      assertThat(chunks(cluster.volume(1))).isEmpty();
    });
  }

  /** So the test above can fail. */
  @Test
  void withoutRuleR5ItWouldBe() throws IOException {
    try (Broken _ = Broken.rule(Rule.R5)) {
      catchUpWithDamage(cluster -> cluster.await("in sync all the same", () -> full(cluster, 2)));
    }
  }

  @Test
  void aWriterWhoseOwnDiskIsFullWritesElsewhere() {
    long small = 64L << 20;
    try (var cluster =
        new NodeCluster(
            3,
            (env, node, directory) ->
                DiskVolume.open(
                    env,
                    directory,
                    new DiskSettings(node == 0 ? small : 1L << 30, 64 << 20, 2, true)))) {
      var objects = new TestObjects(cluster, 2, 2);
      for (int i = 0; i < 4; i++) {
        objects.write(0, "a" + i, 32); // 128 MiB, twice
      }
      assertThat(cluster.volume(0).usage().usedBytes()).isLessThanOrEqualTo(small);
      assertThat(cluster.node(0).status().rehomedChunks()).isPositive();
      for (int i = 0; i < 4; i++) {
        objects.verify(i % 3, "a" + i);
      }
      cluster.await("every group is whole", () -> full(cluster, 2));
    }
  }

  @Test
  void aVolumeThatCannotBeWrittenIsTurnedOutAndItsNodeLives() {
    var bad = new MemoryVolume.Disk(new VolumeId(77), new Incarnation(77, 1), 1L << 30);
    try (var cluster =
        new NodeCluster(
            3,
            (env, node, directory) ->
                node == 2
                    ? new MemoryVolume(env, bad)
                    : DiskVolume.open(
                        env, directory, new DiskSettings(1L << 30, 64 << 20, 2, true)))) {
      var objects = new TestObjects(cluster, 2, 2);
      objects.write(0, "before", 6);
      bad.breakWrites();
      objects.write(0, "after", 6);
      objects.write(2, "there", 6);
      cluster.await(
          "the volume is out",
          () -> cluster.node(0).plane().image().volume(bad(cluster)).isEmpty() && full(cluster, 2));
      assertThat(cluster.node(0).plane().image().node(cluster.node(2).id()))
          .map(NodeRecord::state)
          .contains(NodeState.UP);
      assertThat(cluster.node(0).plane().image().groups())
          .allMatch(group -> group.member(bad(cluster)).isEmpty());
      assertThat(cluster.node(2).status().volumes().getFirst().fault()).isPresent();
      for (int node = 0; node < 3; node++) {
        objects.verify(node, "before");
        objects.verify(node, "after");
        objects.verify(node, "there");
      }
    }
  }

  /** It is then in no group in sync, and still the only one that has what was written to it. */
  @Test
  void aVolumeThatCannotBeWrittenIsKeptWhereItIsTheOnlyOneAlsoWhenItsNodeWasOut() {
    var bad = new MemoryVolume.Disk(new VolumeId(77), new Incarnation(77, 1), 1L << 30);
    try (var cluster =
        new NodeCluster(
            3,
            (env, node, directory) ->
                node == 2
                    ? new MemoryVolume(env, bad)
                    : DiskVolume.open(
                        env, directory, new DiskSettings(1L << 30, 64 << 20, 2, true)))) {
      var objects = new TestObjects(cluster, 1, 1);
      objects.write(2, "there", 6);
      bad.breakWrites();
      objects.write(2, "after", 6);
      var plane = cluster.node(0).plane();
      NodeRecord before = plane.image().node(cluster.node(2).id()).orElseThrow();
      ClusterResult _ =
          plane.cluster(
              new ClusterCommand.ExpelNodes(
                  List.of(new ClusterCommand.ExpelNodes.Run(before.id(), before.registration()))));
      cluster.await(
          "it is back",
          () ->
              plane.image().node(before.id()).stream()
                  .anyMatch(node ->
                      node.state() == NodeState.UP && node.registration() > before.registration()));
      assertThat(plane.image().volume(bad(cluster))).isPresent();
      objects.verify(0, "there");
      objects.verify(0, "after");
    }
  }

  private static VolumeId bad(NodeCluster cluster) {
    return cluster.volume(2).id();
  }

  @Test
  void aResyncThatIsDisturbedMovesWhatWasMissedAndCountsItOnce() {
    try (var cluster = new NodeCluster(3)) {
      var objects = new TestObjects(cluster, 3, 2);
      objects.write(0, "before", 8);
      long before = bytes(cluster.volume(2));
      cluster.kill(2);
      objects.write(0, "missed", 150);
      // With three replicas on three nodes everything is everywhere; of what was written in vain,
      // while the loss was not known, one of the two may have what the other has not.
      long least = 150L * TestObjects.CHUNK_BYTES;
      long most = union(cluster.volume(0), cluster.volume(1)) - before;
      assertThat(most).isGreaterThanOrEqualTo(least);
      cluster.start(2);
      cluster.await(
          "re-sync is under way", () -> cluster.node(2).status().resync().movedBytes() > 0);
      // Called down though it is up: its join epochs move, and every list begins again.
      NodeRecord node = cluster.node(0).plane().image().node(cluster.node(2).id()).orElseThrow();
      cluster
          .node(0)
          .plane()
          .cluster(
              new ClusterCommand.ExpelNodes(
                  List.of(new ClusterCommand.ExpelNodes.Run(node.id(), node.registration()))));
      // And one of its two sources goes for good.
      NodeId gone = cluster.node(1).id();
      cluster.kill(1);
      cluster.await(
          "what is left is whole",
          () ->
              cluster.node(0).plane().image().node(gone).orElseThrow().state() == NodeState.DOWN
                  && cluster.node(0).plane().image().groups().stream()
                      .allMatch(group -> group.in(MemberState.IN_SYNC).size() == 2));
      var counters = cluster.node(2).status().resync();
      assertThat(counters.missedBytes()).isBetween(least, most);
      assertThat(counters.movedBytes()).isBetween(least, most * 105 / 100);
      assertThat(bytes(cluster.volume(2)) - before).isBetween(least, most);
      assertWhole(cluster.volume(2), cluster.bodies());
      objects.verify(2, "missed");
    }
  }
}
