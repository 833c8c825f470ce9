package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.StillEnv;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.replica.Fill;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

final class OwnFillTest {
  private static final long DISK = 1L << 30;
  private static final GroupId GROUP = new GroupId(1);
  private static final VolumeId OWN = new VolumeId(100);

  private final StillEnv env = new StillEnv();
  private final Fill fill = new Fill(env, CapacitySettings.DEFAULT);
  // What others say, each of one volume: those who are not here say nothing.
  private final Map<NodeId, Double> others = new TreeMap<>();
  private final List<NodeId> asked = new ArrayList<>();
  private ClusterImage image = image(3);
  private final OwnFill own = new OwnFill(env, new NodeId("n100"), () -> image, fill, this::held);

  /** This node and so many others. */
  private static ClusterImage image(int others) {
    var nodes = new ArrayList<NodeRecord>();
    var volumes = new ArrayList<VolumeRecord>();
    for (int i = 100; i <= 100 + others; i++) {
      var node = new NodeId("n" + i);
      nodes.add(new NodeRecord(node, "host:1", "d" + i, i, NodeState.UP));
      volumes.add(new VolumeRecord(new VolumeId(i), node, new Incarnation(i, 1), DISK, 0));
    }
    return new ClusterImage(1, "test", nodes, volumes, List.of(), List.of(), List.of(), List.of());
  }

  private Map<VolumeId, Map<GroupId, Long>> held(List<NodeId> nodes) {
    asked.addAll(nodes);
    var held = new TreeMap<VolumeId, Map<GroupId, Long>>();
    for (NodeId node : nodes) {
      if (others.containsKey(node)) {
        held.put(
            new VolumeId(Long.parseLong(node.name().substring(1))),
            Map.of(GROUP, (long) (others.get(node) * DISK)));
      }
    }
    return held;
  }

  private void othersHold(double... fills) {
    others.clear();
    for (int i = 0; i < fills.length; i++) {
      others.put(new NodeId("n" + (101 + i)), fills[i]);
    }
  }

  /** After a look, of a volume that is so full. */
  private boolean fuller(double owed, double open, double clean) {
    fill.found(
        OWN,
        new Fill.Contents(
            0, (long) (owed * DISK), (long) (open * DISK), (long) (clean * DISK), new TreeMap<>()));
    own.look();
    return own.fuller().contains(OWN);
  }

  @Test
  void aVolumeThatIsFullerThanTheMeanComesFirstNoMoreUntilItIsNearlyAsFull() {
    othersHold(0.7, 0.7, 0.7);
    assertThat(fuller(0.7, 0, 0)).as("all are alike").isFalse();
    othersHold(0.7, 0.7, 0.5);
    assertThat(fuller(0.7, 0, 0)).as("the mean is 0.65").isFalse();
    othersHold(0.7, 0.7, 0);
    assertThat(fuller(0.6, 0.1, 0)).as("0.525").isTrue();
    othersHold(0.7, 0.7, 0.4);
    assertThat(fuller(0.7, 0, 0)).as("0.625: not anew, but still").isTrue();
    othersHold(0.7, 0.7, 0.55);
    assertThat(fuller(0.7, 0, 0)).as("0.6625").isFalse();
    othersHold(0.7, 0.7, 0.4);
    assertThat(fuller(0.7, 0, 0)).as("0.625, anew").isFalse();
  }

  @Test
  void belowHalfNobodyIsAskedForWhatIsCleanMakesRoom() {
    othersHold(0, 0, 0);
    assertThat(fuller(0.3, 0.15, 0.5)).isFalse();
    assertThat(asked).isEmpty();
    assertThat(fuller(0.4, 0.15, 0.1)).isTrue();
    assertThat(asked).hasSize(3);
    assertThat(fuller(0.45, 0, 0.1)).isFalse();
  }

  @Test
  void whoDoesNotAnswerIsLeftOut() {
    othersHold();
    assertThat(fuller(0.9, 0, 0)).as("nobody to compare with").isFalse();
    othersHold(0.9);
    assertThat(fuller(0.9, 0, 0)).isFalse();
    othersHold(0.2);
    assertThat(fuller(0.9, 0, 0)).isTrue();
  }

  @Test
  void ofManyAFewAreAskedNotAlwaysTheSame() {
    image = image(40);
    var seen = new TreeSet<NodeId>();
    for (int i = 0; i < 20; i++) {
      asked.clear();
      fuller(0.9, 0, 0);
      assertThat(asked).hasSize(8).doesNotHaveDuplicates();
      seen.addAll(asked);
    }
    assertThat(seen).hasSizeGreaterThan(30);
  }
}
