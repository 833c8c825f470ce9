package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.cluster.Balance;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterMachine;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.StillEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Level;
import io.forebay.core.rule.Rule;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** What the leader has moved, over the cluster's real state machine, look by look. */
final class BalancerTest {
  private static final long DISK = 1L << 30;
  private static final long GROUP_BYTES = DISK / 16; // of 10 to 15 groups of a volume
  private static final int NODES = 12;

  private final StillEnv env = new StillEnv();
  private final ClusterMachine machine;
  private final Plane plane = new Plane();
  private final Balancer balancer = new Balancer(env, new Nodes(), () -> true, plane, true);
  // By volume: when it was looked at last, and what has arrived of a group that moves there.
  private final Map<VolumeId, Long> lookedNanos = new TreeMap<>();
  private final TreeSet<NodeId> silent = new TreeSet<>();
  private final TreeSet<VolumeId> full = new TreeSet<>();
  private long arrivedBytes;
  private long index;

  BalancerTest() {
    var map = new MemorySortedMap();
    try (var view = map.view()) {
      machine = new ClusterMachine(view, 12);
    }
    for (int node = 1; node <= NODES; node++) {
      register(node);
    }
    apply(
        new ClusterCommand.CreateBucket(
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
                0)));
    filled = machine.image().groups().size();
    register(NODES + 1);
  }

  private final int filled; // the first so many groups hold something

  private ClusterResult apply(ClusterCommand command) {
    return machine.apply(++index, env.wallMillis(), Level.NEWEST, command, new Batch());
  }

  private void register(int node) {
    apply(
        new ClusterCommand.RegisterNode(
            new NodeId("n" + node),
            "host" + node + ":1",
            "",
            List.of(
                new ClusterCommand.RegisterNode.Announced(
                    new VolumeId(node), new Incarnation(node, 1), DISK))));
  }

  private void expel(int node) {
    NodeRecord record = machine.image().node(new NodeId("n" + node)).orElseThrow();
    apply(
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(record.id(), record.registration()))));
  }

  /** Every member that catches up is in sync. */
  private void promoteAll() {
    for (Group group : machine.image().groups()) {
      for (Member member : group.in(MemberState.SYNCING)) {
        apply(new ClusterCommand.Promote(group.id(), member.volume(), member.joinEpoch()));
      }
    }
  }

  private final class Plane implements ControlPlane {
    final List<ClusterCommand> asked = new ArrayList<>();

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      asked.add(command);
      return apply(command);
    }

    @Override
    public ClusterImage image() {
      return machine.image();
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      throw new UnsupportedOperationException();
    }

    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {
      throw new UnsupportedOperationException();
    }
  }

  /** What each node says that it holds. */
  private final class Nodes implements Network {
    @Override
    public NodeId self() {
      return new NodeId("n1");
    }

    @Override
    public Outcome<Reply> call(
        NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
      assertThat(message).isInstanceOf(ControlMessage.AskHeld.class);
      if (silent.contains(to)) {
        return Outcome.failed(env, new ForebayException(ErrorCode.CORRUPT, "no such message"));
      }
      var volumes = new ArrayList<ControlMessage.Held.OfVolume>();
      for (VolumeRecord volume : machine.image().volumes()) {
        Long looked = lookedNanos.get(volume.id());
        if (volume.node().equals(to) && looked != null) {
          volumes.add(
              new ControlMessage.Held.OfVolume(
                  volume.id(), env.nanoTime() - looked, groupsOf(volume.id())));
        }
      }
      return Outcome.of(env, Reply.of(new ControlMessage.Held(volumes)));
    }

    private List<ControlMessage.Held.OfGroup> groupsOf(VolumeId volume) {
      var groups = new ArrayList<ControlMessage.Held.OfGroup>();
      for (Group group : machine.image().groups()) {
        boolean holds = group.id().value() <= filled;
        Optional<MemberState> state = group.member(volume).map(Member::state);
        if (holds && state.equals(Optional.of(MemberState.IN_SYNC))) {
          groups.add(new ControlMessage.Held.OfGroup(group.id(), GROUP_BYTES));
        } else if (holds && state.isPresent()) {
          groups.add(new ControlMessage.Held.OfGroup(group.id(), arrivedBytes));
        }
      }
      if (full.contains(volume)) {
        groups.add(new ControlMessage.Held.OfGroup(new GroupId(9_999), DISK - 1));
      }
      return groups;
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

  private void collectorsLook() {
    machine.image().volumes().forEach(volume -> lookedNanos.put(volume.id(), env.nanoTime()));
  }

  /** So many seconds go by; every node looks over its disks every 10 s, the leader every 2 s. */
  private void pass(int seconds) {
    for (int second = 0; second < seconds; second++) {
      env.pass(1_000);
      if (second % 10 == 5) {
        collectorsLook();
      }
      if (second % 2 == 0) {
        balancer.look(machine.image());
      }
    }
  }

  private List<Balance.Moving> moving() {
    return Balance.moving(machine.image());
  }

  @Test
  void groupsMoveToTheNodeThatJoinedOneAfterTheOtherAndThenNoMore() {
    int rounds = 0;
    while (rounds < 30) {
      pass(40);
      if (moving().isEmpty()) {
        break;
      }
      assertThat(moving()).hasSize(1);
      assertThat(moving().getFirst().to()).isEqualTo(new VolumeId(NODES + 1));
      promoteAll();
      rounds++;
    }
    assertThat(rounds).isBetween(6, 12);
    assertThat(balancer.counters()).isEqualTo(new Balancer.Counters(rounds, 0));
    pass(600);
    assertThat(moving()).isEmpty();
  }

  @Test
  void nothingMovesBeforeEveryNodeHasLookedSinceTheLastChange() {
    pass(40);
    promoteAll();
    int before = plane.asked.size();
    // The looks that were are of before the move.
    for (int i = 0; i < 60; i++) {
      env.pass(1_000);
      balancer.look(machine.image());
    }
    assertThat(plane.asked).hasSize(before);
    collectorsLook();
    lookedNanos.put(new VolumeId(3), 0L);
    pass(4);
    assertThat(plane.asked).hasSize(before);
    pass(30);
    assertThat(plane.asked).hasSizeGreaterThan(before);
  }

  @Test
  void whatLacksCopiesIsMadeWholeBeforeAnythingMoves() {
    expel(3);
    pass(300);
    assertThat(plane.asked).isEmpty();
    register(3);
    pass(300); // it catches up
    assertThat(plane.asked).isEmpty();
    promoteAll();
    pass(40);
    assertThat(moving()).hasSize(1);
  }

  @Test
  void withMoreThanATenthOfTheNodesAwayNothingMoves() {
    expel(3);
    expel(4);
    pass(600);
    apply(new ClusterCommand.ReplaceLost(0));
    pass(600);
    assertThat(plane.asked).isEmpty();
  }

  /** A node that has no part in what moves. */
  private int bystander() {
    Group group = moving().getFirst().group();
    int other = 1;
    while (group.member(new VolumeId(other)).isPresent()) {
      other++;
    }
    return other;
  }

  @Test
  void whatMovesIsTakenBackWhenAnotherGroupLacksACopyForLong() {
    pass(40);
    Group group = moving().getFirst().group();
    expel(bystander());
    pass(115);
    assertThat(moving()).hasSize(1);
    pass(10);
    assertThat(moving()).isEmpty();
    assertThat(machine.image().group(group.id()).orElseThrow().members())
        .hasSize(2)
        .allSatisfy(member -> assertThat(member.state()).isEqualTo(MemberState.IN_SYNC));
    assertThat(balancer.counters()).isEqualTo(new Balancer.Counters(1, 1));
    pass(300);
    assertThat(balancer.counters().begun()).isEqualTo(1);
  }

  @Test
  void whatMovesGoesOnWhileNodesRestartOneAfterTheOther() {
    pass(40);
    Group group = moving().getFirst().group();
    int other = bystander();
    for (int i = 0; i < 5; i++) {
      expel(other);
      pass(60);
      register(other);
      for (Group each : machine.image().groups()) {
        each.member(new VolumeId(other))
            .filter(member -> member.state() == MemberState.SYNCING)
            .ifPresent(member ->
                apply(new ClusterCommand.Promote(each.id(), member.volume(), member.joinEpoch())));
      }
      pass(60);
    }
    assertThat(moving()).hasSize(1);
    assertThat(moving().getFirst().group().id()).isEqualTo(group.id());
    assertThat(balancer.counters()).isEqualTo(new Balancer.Counters(1, 0));
  }

  @Test
  void whatMovesIsTakenBackAtOnceWhereItsVolumeIsToTakeInALostOne() {
    pass(40);
    expel(bystander());
    pass(10);
    assertThat(moving()).hasSize(1);
    apply(new ClusterCommand.ReplaceLost(0));
    assertThat(
            machine.image().groups().stream()
                .filter(each ->
                    each.in(MemberState.SYNCING).stream()
                        .anyMatch(member -> member.volume().equals(new VolumeId(NODES + 1))))
                .count())
        .isGreaterThan(1);
    pass(4);
    assertThat(moving()).isEmpty();
  }

  @Test
  void whatDoesNotGetOnIsTakenBackAndNotTriedAgainSoon() {
    pass(40);
    for (int i = 0; i < 10; i++) {
      arrivedBytes += 1;
      pass(2_400);
      assertThat(moving()).hasSize(1);
    }
    pass(1_500);
    assertThat(moving()).isEmpty();
    assertThat(balancer.counters()).isEqualTo(new Balancer.Counters(1, 1));
    pass(1_000);
    assertThat(moving()).isEmpty();
    pass(4_000);
    assertThat(balancer.counters().begun()).isEqualTo(2);
  }

  @Test
  void nothingMovesWhileANodeDoesNotAnswerOrItIsSwitchedOff() {
    silent.add(new NodeId("n5")); // one of an older version, which does not know the question
    pass(300);
    assertThat(plane.asked).isEmpty();
    silent.clear();
    try (Broken _ = Broken.rule(Rule.BALANCED)) {
      pass(300);
    }
    var off = new Balancer(env, new Nodes(), () -> true, plane, false);
    for (int i = 0; i < 100; i++) {
      env.pass(1_000);
      collectorsLook();
      off.look(machine.image());
    }
    assertThat(plane.asked).isEmpty();
    pass(40);
    assertThat(moving()).hasSize(1);
  }

  @Test
  void whoCatchesUpWithoutRoomIsReplacedThoughOfThoseInSyncOneIsSilentAndOneIsBeingEmptied() {
    apply(new ClusterCommand.Drain(new NodeId("n3"), true));
    apply(new ClusterCommand.ReplaceLost(0));
    Group group =
        machine.image().groups().stream()
            .filter(each -> each.member(new VolumeId(3)).isPresent() && each.id().value() <= filled)
            .findFirst()
            .orElseThrow();
    VolumeId joining = group.in(MemberState.SYNCING).getFirst().volume();
    pass(20);
    assertThat(plane.asked).isEmpty();
    full.add(joining);
    group.in(MemberState.IN_SYNC).stream()
        .map(Member::volume)
        .filter(volume -> !volume.equals(new VolumeId(3)))
        .forEach(volume -> silent.add(new NodeId("n" + volume.value())));
    pass(20);
    assertThat(plane.asked)
        .isNotEmpty()
        .allSatisfy(
            asked -> assertThat(((ClusterCommand.MoveMember) asked).from()).isEqualTo(joining));
    assertThat(machine.image().group(group.id()).orElseThrow().in(MemberState.SYNCING)).hasSize(2);
  }
}
