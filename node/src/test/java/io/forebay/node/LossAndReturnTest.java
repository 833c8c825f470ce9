package io.forebay.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteOptions;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class LossAndReturnTest {
  private static final int SLICE = 1 << 18;

  @Test
  void aKilledNodeLosesNothingAndIsBroughtExactlyWhatItMissed() {
    try (var cluster = new NodeCluster(3)) {
      createBucket(cluster);
      write(cluster, "before", 1, 16, -1);
      read(cluster, 1, "before", 1, 16);

      write(cluster, "during", 2, 32, 16);
      write(cluster, "after", 3, 16, -1);
      read(cluster, 1, "during", 2, 32);

      cluster.start(2);
      awaitFull(cluster);
      var counters = cluster.node(2).status().resync();
      assertThat(counters.missedBytes()).isPositive();
      assertThat(counters.movedBytes()).isLessThanOrEqualTo(counters.missedBytes() * 105 / 100);
      read(cluster, 2, "before", 1, 16);
      read(cluster, 2, "during", 2, 32);
      read(cluster, 2, "after", 3, 16);

      // Nothing that is named is collected, wherever it lies.
      for (int i = 0; i < 3; i++) {
        cluster.node(i).collect();
      }
      read(cluster, 2, "during", 2, 32);
    }
  }

  /** Also where nobody has told the other node yet, as behind a load balancer. */
  @Test
  void aBucketIsThereAtEveryNodeOnceItIsMade() {
    try (var cluster = new NodeCluster(3)) {
      for (int i = 0; i < 30; i++) {
        String name = "bucket-" + i;
        createBucket(cluster, i % 3, name);
        assertThat(cluster.node((i + 1) % 3).files().bucket(name)).as(name).isPresent();
        assertThat(cluster.node((i + 2) % 3).files().bucket(name)).as(name).isPresent();
      }
      assertThat(cluster.node(1).files().bucket("absent")).isEmpty();
    }
  }

  @Test
  void aNodeThatSaysGoodbyeIsOutAtOnceDoesNotRegisterAgainAndComesBack() {
    try (var cluster = new NodeCluster(3)) {
      createBucket(cluster);
      write(cluster, "before", 1, 4, -1);
      cluster.node(2).leave(60_000_000_000L);
      cluster.await(
          "every group is without it",
          () ->
              cluster.node(0).plane().image().groups().stream()
                  .allMatch(group -> group.in(MemberState.IN_SYNC).size() == 2));
      write(cluster, "during", 2, 8, -1);
      assertThat(cluster.node(0).plane().image().node(cluster.node(2).id()))
          .hasValueSatisfying(node -> assertThat(node.state()).isEqualTo(NodeState.DOWN));
      read(cluster, 1, "during", 2, 8);
      cluster.kill(2);
      cluster.start(2);
      awaitFull(cluster);
      read(cluster, 2, "before", 1, 4);
      read(cluster, 2, "during", 2, 8);
    }
  }

  private static void createBucket(NodeCluster cluster) {
    createBucket(cluster, 0, "training");
  }

  private static void createBucket(NodeCluster cluster, int node, String name) {
    var plain = BucketSpec.of(name, new Family(3, 2, Durability.REPLICATED), "");
    cluster
        .node(node)
        .files()
        .createBucket(
            new BucketSpec(
                plain.name(), plain.family(), "", plain.mode(), List.of(), 1 << 20, 0, 1_000));
  }

  private static void awaitFull(NodeCluster cluster) {
    cluster.await(
        "every group is at full strength",
        () ->
            !cluster.node(0).plane().image().groups().isEmpty()
                && cluster.node(0).plane().image().groups().stream()
                    .allMatch(group -> group.in(MemberState.IN_SYNC).size() == 3));
  }

  private static void write(NodeCluster cluster, String key, int seed, int slices, int killBefore) {
    try (var body = cluster.node(0).files().create("training", key, WriteOptions.DEFAULT)) {
      for (int i = 0; i < slices; i++) {
        if (i == killBefore) {
          cluster.kill(2);
        }
        Bytes bytes = new Synthetic(seed, (long) i * SLICE, SLICE);
        body.write(bytes);
        bytes.release();
      }
      assertThat(body.publish(Optional.empty()).lengthBytes()).isEqualTo((long) slices * SLICE);
    }
  }

  private static void read(NodeCluster cluster, int node, String key, int seed, int slices) {
    try (ObjectReader reader =
        cluster.node(node).files().open("training", key, ReadConditions.NONE)) {
      for (int i = 0; i < slices; i++) {
        int at = 0;
        while (at < SLICE) {
          Bytes bytes = reader.read((long) i * SLICE + at, SLICE - at);
          var wanted = new Synthetic(seed, (long) i * SLICE + at, bytes.length());
          assertThat(bytes.crc32c()).isEqualTo(wanted.crc32c());
          at += bytes.length();
          bytes.release();
        }
      }
    }
  }
}
