package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.log.LogService;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** The leader's loop, look by look. */
final class CoordinatorTest {

  private final Looks env = new Looks();
  private final ClusterLog state = new ClusterLog(env);
  private final SortedMap map = new MemorySortedMap();
  private final List<ClusterCommand> here = new ArrayList<>();
  private final List<ClusterCommand> anywhere = new ArrayList<>();
  private final Coordinator coordinator =
      new Coordinator(env, new LogService(env, new LedLog(), state), state, new Plane(), 120_000);
  private long index;

  private void log(ClusterCommand command) {
    var batch = new Batch();
    try (SortedMap.View view = map.view()) {
      ClusterResult result =
          ClusterLog.decodeResult(
              state.apply(++index, 1, Level.NEWEST, ClusterLog.encode(command), view, batch));
      assertThat(result).isInstanceOf(ClusterResult.Done.class);
    }
    map.write(batch);
  }

  private void registers(String node, long... volumes) {
    var announced = new ArrayList<ClusterCommand.RegisterNode.Announced>();
    for (long volume : volumes) {
      announced.add(
          new ClusterCommand.RegisterNode.Announced(
              new VolumeId(volume), new Incarnation(volume, 1), 1L << 30));
    }
    log(new ClusterCommand.RegisterNode(new NodeId(node), node + ":1", "", announced));
  }

  /** Heartbeats of all nodes but these. */
  private void beats(String... but) {
    for (NodeRecord node : state.image().nodes()) {
      if (!List.of(but).contains(node.id().toString())) {
        var _ =
            coordinator.heartbeat(
                new ControlMessage.Heartbeat(node.id(), node.registration(), -1, List.of()));
      }
    }
  }

  /** Looks so often, with something that happens before each. */
  private void looks(int count, Runnable before) {
    env.looks(count, coordinator::run, before);
  }

  private static List<NodeId> expelled(List<ClusterCommand> commands) {
    return commands.stream()
        .filter(ClusterCommand.ExpelNodes.class::isInstance)
        .flatMap(command -> ((ClusterCommand.ExpelNodes) command).runs().stream())
        .map(ClusterCommand.ExpelNodes.Run::node)
        .distinct()
        .toList();
  }

  /**
   * A successor, which hears of everybody, must not do what a leader that is cut off thought of.
   */
  @Test
  void whoIsNotHeardOfIsPutOutByThisVoterAndNoOtherOne() {
    registers("a", 1);
    registers("b", 2);
    looks(8, () -> beats("b"));
    assertThat(expelled(here)).isEmpty();
    looks(8, () -> beats("b"));
    assertThat(expelled(here)).containsExactly(new NodeId("b"));
    assertThat(expelled(anywhere)).isEmpty();
  }

  @Test
  void nobodyIsPutOutForWhatWasNotHeardWhileThisProcessStood() {
    registers("a", 1);
    registers("b", 2);
    looks(20, this::beats);
    env.stands(5_000);
    looks(1, () -> {});
    env.stands(0);
    looks(8, () -> {});
    assertThat(expelled(here)).isEmpty();
    looks(4, () -> {});
    assertThat(expelled(here)).as("a whole lease after it").hasSize(2);
  }

  /** A dead node's disk was put into the machine of its group's other member. */
  @Test
  void aGroupWhoseMembersCameIntoOneDomainIsMended() {
    registers("a", 1);
    registers("b", 2);
    registers("c", 3);
    log(
        new ClusterCommand.CreateBucket(
            new Bucket(
                new BucketId(0),
                "bucket",
                new Family(2, 1, Durability.REPLICATED),
                "",
                FlushMode.CACHE_ONLY,
                List.of(),
                1 << 20,
                0,
                0,
                0)));
    env.looks(3, coordinator::tend, this::beats);
    assertThat(anywhere).noneMatch(ClusterCommand.ReplaceLost.class::isInstance);
    NodeRecord a = state.image().node(LedLog.SELF).orElseThrow();
    log(
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(a.id(), a.registration()))));
    registers("b", 2, 1);
    registers("a", 4);
    env.looks(3, coordinator::tend, this::beats);
    assertThat(anywhere).anyMatch(ClusterCommand.ReplaceLost.class::isInstance);
  }

  /** Notes what is asked for, and by which way. */
  private final class Plane implements ControlPlane {
    @Override
    public ClusterResult clusterHere(ClusterCommand command) {
      here.add(command);
      return new ClusterResult.Done(0, "");
    }

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      anywhere.add(command);
      return new ClusterResult.Done(0, "");
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      return new NamespaceResult.Done();
    }

    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      return new NamespaceAnswer.OpenSessions(List.of());
    }

    @Override
    public ClusterImage image() {
      return state.image();
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {}
  }
}
