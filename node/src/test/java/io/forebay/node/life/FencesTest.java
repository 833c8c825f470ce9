package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterMachine;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.StillEnv;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class FencesTest {
  private static final int VOLUMES_OF_EACH = 2;

  private final StillEnv env = new StillEnv();
  private final Fences fences = new Fences(env);
  private final ClusterMachine machine;
  private final TreeSet<NodeId> speakers = new TreeSet<>();
  private long index;

  FencesTest() {
    var map = new MemorySortedMap();
    try (var view = map.view()) {
      machine = new ClusterMachine(view);
    }
  }

  private static NodeId id(int node) {
    return new NodeId("n" + node);
  }

  private static LongStream volumes(int node) {
    return LongStream.rangeClosed(1, VOLUMES_OF_EACH).map(each -> node * 10L + each);
  }

  private void apply(ClusterCommand command) {
    assertThat(machine.apply(++index, env.wallMillis(), Level.NEWEST, command, new Batch()))
        .isInstanceOf(ClusterResult.Done.class);
  }

  private void register(int node, String domain) {
    apply(
        new ClusterCommand.RegisterNode(
            id(node),
            "host" + node + ":1",
            domain,
            volumes(node)
                .mapToObj(volume ->
                    new ClusterCommand.RegisterNode.Announced(
                        new VolumeId(volume), new Incarnation(volume, 1), 1L << 30))
                .toList()));
  }

  private void bucket(String name, int replicas, int minInSync) {
    apply(
        new ClusterCommand.CreateBucket(
            new Bucket(
                new BucketId(0),
                name,
                new Family(replicas, minInSync, Durability.REPLICATED),
                "",
                FlushMode.CACHE_ONLY,
                List.of(),
                1 << 20,
                0,
                0,
                0)));
  }

  /** So many nodes, each its own failure domain, with groups of two. */
  private void cluster(int nodes) {
    IntStream.range(0, nodes).forEach(node -> register(node, ""));
    bucket("bucket", 2, 2);
  }

  private void promoteAll() {
    for (Group group : machine.image().groups()) {
      group
          .in(MemberState.SYNCING)
          .forEach(member ->
              apply(new ClusterCommand.Promote(group.id(), member.volume(), member.joinEpoch())));
    }
  }

  private void expel(int node) {
    NodeRecord record = machine.image().node(id(node)).orElseThrow();
    apply(
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(record.id(), record.registration()))));
  }

  /** A heartbeat that finds all volumes of some nodes slow. */
  private void accuses(int from, int... slow) {
    accusesVolumes(from, IntStream.of(slow).boxed().flatMapToLong(FencesTest::volumes).toArray());
  }

  private void accusesVolumes(int from, long... slow) {
    beat(
        from,
        LongStream.of(slow)
            .mapToObj(volume ->
                new ControlMessage.Heartbeat.VolumeStats(
                    new VolumeId(volume), 0, 0, 0, 850_000, false))
            .toList());
  }

  private void beat(int from, List<ControlMessage.Heartbeat.VolumeStats> volumes) {
    speakers.add(id(from));
    heard(machine.image().node(id(from)).orElseThrow(), volumes);
  }

  private void heard(NodeRecord node, List<ControlMessage.Heartbeat.VolumeStats> volumes) {
    fences.heard(
        new ControlMessage.Heartbeat(
            node.id(), node.registration(), machine.image().version(), volumes),
        node.state() == NodeState.DOWN);
  }

  /** Heartbeats of all that live and have not said anything of others. */
  private void beats() {
    machine.image().nodes().stream()
        .filter(node -> node.state() == NodeState.UP && !speakers.contains(node.id()))
        .forEach(node -> heard(node, List.of()));
  }

  /** Does what the coordinator does: who was expelled. */
  private Optional<NodeId> look() {
    beats();
    Optional<ClusterCommand.ExpelNodes.Run> run = fences.next(machine.image());
    run.ifPresent(each -> apply(new ClusterCommand.ExpelNodes(List.of(each))));
    return run.map(ClusterCommand.ExpelNodes.Run::node);
  }

  private boolean isOut(int node) {
    NodeRecord record = machine.image().node(id(node)).orElseThrow();
    return record.state() == NodeState.DOWN
        && fences.fenced(id(node), record.registration()).isPresent();
  }

  @Test
  void aNodeThatTwoOthersFindSlowIsPutOutAndToldWhy() {
    cluster(5);
    accuses(0, 4);
    assertThat(look()).isEmpty();
    accuses(2, 4);
    assertThat(look()).contains(id(4));
    assertThat(isOut(4)).isTrue();
    assertThat(fences.all()).hasSize(1);
    assertThat(fences.all().getFirst().why()).contains("850 ms").contains("n0 and n2");
    assertThat(look()).isEmpty();
  }

  @Test
  void whoFindsItsOwnVolumesSlowIsBelieved() {
    cluster(5);
    accuses(4, 4);
    assertThat(look()).contains(id(4));
  }

  @Test
  void ofThreeNodesOneIsEnoughWhereTheOthersSayNothingForAWhile() {
    cluster(3);
    accuses(0, 2);
    assertThat(look()).isEmpty();
    env.pass(250);
    assertThat(look()).isEmpty();
    env.pass(100);
    assertThat(look()).contains(id(2));
  }

  /** Through a slow NIC all others look slow, and the word of that node may come first. */
  @Test
  void ofThreeNodesTheFirstWordIsNotBelievedWhereOthersSpeakAgainstIt() {
    cluster(3);
    accuses(2, 1);
    assertThat(look()).isEmpty();
    env.pass(200);
    accuses(0, 2);
    accuses(2, 1);
    assertThat(look()).isEmpty();
    env.pass(200);
    accuses(0, 2);
    accuses(1, 2);
    accuses(2, 1);
    assertThat(look()).contains(id(2));
    assertThat(isOut(1)).isFalse();
  }

  @Test
  void twoOfOneFailureDomainAreOneWitness() {
    register(0, "rack");
    register(1, "rack");
    IntStream.range(2, 6).forEach(node -> register(node, ""));
    bucket("bucket", 2, 2);
    accuses(0, 5);
    accuses(1, 5);
    assertThat(look()).isEmpty();
    accuses(2, 5);
    assertThat(look()).contains(id(5));
  }

  @Test
  void oneSlowDiskOfSeveralIsNoReasonToPutTheNodeOut() {
    cluster(5);
    for (int from : List.of(0, 1, 4)) {
      accusesVolumes(from, 41);
    }
    assertThat(look()).isEmpty();
  }

  @Test
  void aWordIsOverWhenItIsTakenBackOrNotRepeated() {
    cluster(5);
    accuses(0, 4);
    accuses(0);
    accuses(1, 4);
    assertThat(look()).isEmpty();
    env.pass(1_100);
    accuses(2, 4);
    assertThat(look()).isEmpty();
  }

  @Test
  void nobodyIsPutOutWhileMoreThanAThirdAreSlow() {
    cluster(6);
    accuses(0, 3, 4, 5);
    accuses(1, 3, 4, 5);
    assertThat(look()).isEmpty();
  }

  @Test
  void nobodyIsPutOutBesideAnotherNodeThatIsAway() {
    cluster(6);
    expel(3);
    accuses(0, 4);
    accuses(1, 4);
    assertThat(look()).isEmpty();
    register(3, "");
    // Alone in sync in the group that they share.
    assertThat(look()).isEmpty();
    promoteAll();
    assertThat(look()).contains(id(4));
  }

  @Test
  void oneAtATimeIsPutOutWhateverIsSaid() {
    cluster(9);
    accuses(0, 6, 7, 8);
    accuses(1, 6, 7, 8);
    assertThat(look()).contains(id(6));
    assertThat(look()).isEmpty();
    assertThat(look()).isEmpty();
  }

  @Test
  void ofOneFailureDomainATwentiethOfTheVolumesMayBeOut() {
    IntStream.range(0, 40).forEach(node -> register(node, node < 4 ? "rack" : ""));
    bucket("bucket", 2, 2);
    for (int from : List.of(10, 20)) {
      accuses(from, 0, 1, 2, 3, 30);
    }
    assertThat(look()).contains(id(0));
    assertThat(look()).contains(id(1));
    assertThat(look()).isEmpty();
  }

  @Test
  void theLastOneInSyncAndTheOnlyGroupsThatTakeWritesStay() {
    cluster(4);
    bucket("single", 1, 1);
    accuses(0, 3);
    accuses(1, 3);
    assertThat(look()).isEmpty();
  }

  @Test
  void withoutWhomNothingTakesWritesStays() {
    cluster(3);
    bucket("wide", 3, 3);
    accuses(0, 2);
    assertThat(look()).isEmpty();
  }

  @Test
  void aNodeMayComeBackAfterAWhileAndIsOutForTwiceAsLongWhenItIsStillSlow() {
    cluster(5);
    accuses(4, 4);
    look();
    env.pass(29_900);
    look();
    assertThat(isOut(4)).isTrue();
    env.pass(200);
    look();
    assertThat(isOut(4)).isFalse();
    register(4, "");

    accuses(4, 4);
    assertThat(look()).contains(id(4));
    env.pass(59_900);
    look();
    assertThat(isOut(4)).isTrue();
    env.pass(200);
    look();
    assertThat(isOut(4)).isFalse();
    register(4, "");
    accuses(4);

    // Well for long enough: it begins anew.
    env.pass(121_000);
    accuses(4, 4);
    assertThat(look()).contains(id(4));
    env.pass(30_100);
    look();
    assertThat(isOut(4)).isFalse();
  }

  @Test
  void whoIsOutIsNeededWhenAnotherNodeGoes() {
    cluster(5);
    accuses(4, 4);
    look();
    expel(1);
    look();
    assertThat(isOut(4)).isFalse();
  }

  @Test
  void whoHasStartedAnewIsNotOut() {
    cluster(5);
    accuses(4, 4);
    look();
    register(4, "");
    look();
    assertThat(isOut(4)).isFalse();
    assertThat(fences.all()).isEmpty();
    env.pass(29_000);
    accuses(4, 4);
    assertThat(look()).isEmpty();
    env.pass(1_000);
    accuses(4, 4);
    assertThat(look()).contains(id(4));
  }

  @Test
  void whoIsFoundSlowIsNotBelievedAboutOthers() {
    cluster(9);
    accuses(0, 3, 4);
    accuses(1, 4);
    accuses(4, 3);
    // Of three and four, each found slow by two, four's word about three does not count.
    assertThat(look()).contains(id(4));
  }

  @Test
  void ofThreeThatSpeakAgainstEachOtherTheOneThatTwoFindSlowIsPutOut() {
    cluster(3);
    accuses(2, 0);
    accuses(0, 2);
    assertThat(look()).isEmpty();
    accuses(1, 2);
    assertThat(look()).contains(id(2));
    assertThat(isOut(0)).isFalse();
  }

  @Test
  void whoWasOutIsNotBelievedAboutOthersForAWhile() {
    cluster(3);
    accuses(0, 2);
    accuses(1, 2);
    assertThat(look()).contains(id(2));
    accuses(1);
    env.pass(30_100);
    look();
    register(2, "");
    promoteAll();
    accuses(2, 0);
    assertThat(look()).isEmpty();
    env.pass(60_000);
    accuses(2, 0);
    accuses(0);
    assertThat(look()).isEmpty();
    env.pass(300);
    assertThat(look()).contains(id(0));
  }

  @Test
  void whoIsNotHeardOfIsDeadAndNotSlow() {
    cluster(5);
    beats();
    env.pass(800);
    accuses(0, 4);
    accuses(1, 4);
    assertThat(fences.next(machine.image())).isEmpty();
    beats();
    assertThat(look()).contains(id(4));
  }

  @Test
  void whatWasSaidBeforeANodeStartedAnewIsNotBelieved() {
    cluster(5);
    beats();
    expel(4);
    register(4, "");
    promoteAll();
    accuses(0, 4);
    accuses(1, 4);
    assertThat(look()).isEmpty();
    env.pass(10_000);
    accuses(0, 4);
    accuses(1, 4);
    assertThat(look()).contains(id(4));
  }

  @Test
  void aNewLeaderKnowsOfNoFence() {
    cluster(5);
    accuses(4, 4);
    look();
    fences.clear();
    assertThat(isOut(4)).isFalse();
    assertThat(look()).isEmpty();
  }

  /** Or it could not be put out for ten seconds, and its word counted meanwhile. */
  @Test
  void aNewLeaderSeesWhoComesBack() {
    cluster(5);
    accuses(4, 4);
    look();
    fences.clear();
    accuses(4);
    register(4, "");
    promoteAll();
    accuses(4, 3);
    accuses(0, 3);
    assertThat(look()).isEmpty();
    accuses(0, 4);
    accuses(1, 4);
    assertThat(look()).contains(id(4));
    env.pass(59_900);
    look();
    assertThat(isOut(4)).isTrue();
  }

  /** What is said of it may be of when it was cut off, be it the leader of then. */
  @Test
  void whomANewLeaderDoesNotHearOfDoesNotComeBackAsASlowOne() {
    cluster(5);
    beats();
    fences.clear();
    accuses(0, 4);
    accuses(1, 4);
    fences.silent(
        new ClusterCommand.ExpelNodes.Run(
            id(4), machine.image().node(id(4)).orElseThrow().registration()));
    expel(4);
    accuses(4);
    register(4, "");
    promoteAll();
    accuses(4);
    for (int i = 0; i < 5; i++) {
      accuses(0, 4);
      accuses(1, 4);
      assertThat(look()).isEmpty();
      env.pass(200);
    }
  }

  @Test
  void whoHasStartedAnewAndIsFoundSlowIsNotBelievedAboutOthers() {
    cluster(3);
    beats();
    expel(2);
    register(2, "");
    promoteAll();
    for (int i = 0; i < 5; i++) {
      accuses(2, 1);
      accuses(0, 2);
      accuses(1, 2);
      assertThat(look()).isEmpty();
      env.pass(100);
    }
    env.pass(9_500);
    accuses(2, 1);
    accuses(0, 2);
    accuses(1, 2);
    assertThat(look()).contains(id(2));
  }

  @Test
  void whoIsOutByTheWordOfOneThatTwoFindSlowComesBackAndThatOneGoes() {
    cluster(3);
    accuses(2, 1);
    look();
    env.pass(350);
    accuses(2, 1);
    assertThat(look()).contains(id(1));
    accuses(0, 2);
    look();
    assertThat(isOut(1)).isTrue(); // one word may be any
    accuses(1, 2);
    look();
    assertThat(isOut(1)).isFalse();
    register(1, "");
    promoteAll();
    accuses(0, 2);
    accuses(1, 2);
    assertThat(look()).contains(id(2));
  }

  @Test
  void whatWasNotLoggedIsAskedForAgain() {
    cluster(5);
    accuses(4, 4);
    beats();
    Optional<ClusterCommand.ExpelNodes.Run> first = fences.next(machine.image());
    assertThat(first).isPresent();
    assertThat(fences.next(machine.image())).isEqualTo(first);
  }

  /** Whatever is said by whom: never more than a twentieth, or one node, of one failure domain. */
  @Test
  void whateverIsSaidNoMoreThanTheCapIsOut() {
    IntStream.range(0, 60).forEach(node -> register(node, "rack" + node / 6));
    bucket("bucket", 2, 2);
    for (int step = 0; step < 300; step++) {
      int from = env.random().nextInt(60);
      accuses(from, env.random().ints(env.random().nextInt(8), 0, 60).toArray());
      look();
      env.pass(env.random().nextInt(300));
      for (int node = 0; node < 60; node++) {
        if (machine.image().node(id(node)).orElseThrow().state() == NodeState.DOWN
            && !isOut(node)) {
          register(node, "rack" + node / 6);
        }
      }
      var domains = new TreeSet<String>();
      List<NodeRecord> down =
          machine.image().nodes().stream().filter(node -> node.state() == NodeState.DOWN).toList();
      down.forEach(node -> domains.add(node.domain()));
      assertThat(down).hasSizeLessThanOrEqualTo(3);
      assertThat(domains).hasSizeLessThanOrEqualTo(1);
    }
  }
}
