package io.forebay.core.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Level;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What moves, over the cluster's real state machine. */
final class BalanceTest {
  private static final long DISK = 1L << 40;

  private ClusterFixture cluster = new ClusterFixture(32);
  private final TreeMap<GroupId, Long> sizes = new TreeMap<>();
  private long movedBytes;

  private void register(int node, String domain, long capacityBytes) {
    cluster.done(
        new ClusterCommand.RegisterNode(
            new NodeId("n" + node),
            "h:1",
            domain,
            List.of(
                new ClusterCommand.RegisterNode.Announced(
                    new VolumeId(node), new Incarnation(node, 1), capacityBytes))));
  }

  /** Nodes whose disks are filled so far, all groups alike. */
  private void filled(int nodes, int replicas, double fill) {
    for (int node = 1; node <= nodes; node++) {
      register(node, "", DISK);
    }
    cluster.bucket(replicas, 1);
    List<Group> groups = cluster.machine.image().groups();
    groups.forEach(
        group -> sizes.put(group.id(), (long) (fill * DISK * nodes / replicas / groups.size())));
  }

  private Map<VolumeId, Map<GroupId, Long>> held() {
    var held = new TreeMap<VolumeId, Map<GroupId, Long>>();
    cluster.machine.image().volumes().forEach(volume -> held.put(volume.id(), new TreeMap<>()));
    for (Group group : cluster.machine.image().groups()) {
      long bytes = sizes.getOrDefault(group.id(), 0L);
      group.members().forEach(member -> held.get(member.volume()).put(group.id(), bytes));
    }
    return held;
  }

  private Optional<ClusterCommand.MoveMember> next() {
    return Balance.next(cluster.machine.image(), held(), Set.of());
  }

  private Map<VolumeId, Double> fills() {
    var fills = new TreeMap<VolumeId, Double>();
    held()
        .forEach((volume, groups) ->
            fills.put(
                volume,
                (double) groups.values().stream().mapToLong(Long::longValue).sum()
                    / cluster.machine.image().volume(volume).orElseThrow().capacityBytes()));
    return fills;
  }

  private double gap() {
    return fills().values().stream().mapToDouble(each -> each).max().orElseThrow()
        - fills().values().stream().mapToDouble(each -> each).min().orElseThrow();
  }

  /** What falls with each move: see {@link Balance}. */
  private double potential() {
    double sum = 0;
    for (Map.Entry<VolumeId, Double> each : fills().entrySet()) {
      double capacity = cluster.machine.image().volume(each.getKey()).orElseThrow().capacityBytes();
      sum += capacity * each.getValue() * each.getValue();
    }
    return sum;
  }

  /** Moves until nothing is left to move; how often. */
  private int moveAll() {
    int moves = 0;
    for (Optional<ClusterCommand.MoveMember> move = next(); move.isPresent(); move = next()) {
      double before = potential();
      double ends = 0;
      for (double fill : fills().values()) {
        ends = Math.max(ends, fill);
      }
      long bytes = sizes.get(move.get().group());
      cluster.done(move.get());
      assertThat(next()).as("one at a time").isEmpty();
      cluster.promote(move.get().group(), move.get().to().value());
      movedBytes += bytes;
      assertThat(before - potential())
          .as("what falls with each move")
          .isGreaterThan(Balance.MARGIN * bytes * 0.999);
      double after = ends;
      assertThat(fills().values()).allSatisfy(fill -> assertThat(fill).isLessThanOrEqualTo(after));
      var domains = new TreeSet<String>();
      for (Member member : cluster.group(move.get().group()).members()) {
        VolumeRecord volume = cluster.machine.image().volume(member.volume()).orElseThrow();
        assertThat(domains.add(cluster.machine.image().node(volume.node()).orElseThrow().domain()))
            .isTrue();
      }
      moves++;
      assertThat(moves).isLessThan(10_000);
    }
    return moves;
  }

  private int groupsOf(int volume) {
    return (int)
        cluster.machine.image().groups().stream()
            .filter(group -> group.member(new VolumeId(volume)).isPresent())
            .count();
  }

  @Test
  void anEmptyNodeBesideFullOnesComesWithinTheMarginAndDoesNotDrawAllWrites() {
    filled(8, 2, 0.75);
    assertThat(next()).as("all alike").isEmpty();
    register(9, "", DISK);
    assertThat(gap()).isBetween(0.74, 0.80);
    int groups = groupsOf(9);
    assertThat(moveAll()).isGreaterThan(10);
    assertThat(gap()).isLessThanOrEqualTo(Balance.MARGIN);
    // No more than it takes: from 0 to 20 % below the fullest.
    assertThat((double) movedBytes / DISK).isBetween(0.45, 0.6);
    double fair = cluster.machine.image().groups().size() * 2 / 9.0;
    assertThat(groups).isBetween((int) (0.8 * fair), (int) (1.2 * fair));
    assertThat((double) groupsOf(9)).isLessThanOrEqualTo(2 * fair);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
  void whateverIsHeldMovingEndsAndNothingMovesBack(long seed) {
    var random = new SplittableRandom(seed);
    cluster = new ClusterFixture(4 + random.nextInt(30));
    int nodes = 4 + random.nextInt(8);
    int racks = 4 + random.nextInt(20);
    for (int node = 1; node <= nodes; node++) {
      register(node, "rack" + node % racks, DISK << random.nextInt(2));
    }
    cluster.bucket(1 + random.nextInt(3), 1);
    cluster.done(
        new ClusterCommand.CreateBucket(ClusterFixture.bucket("more", 1 + random.nextInt(3), 1)));
    List<Group> groups = cluster.machine.image().groups();
    for (Group group : groups) {
      // Mostly alike, and some have most of it.
      long part = (long) (DISK * nodes * random.nextDouble(2.0) / groups.size() / 3);
      sizes.put(group.id(), random.nextInt(8) == 0 ? 4 * part : part);
    }
    for (int more = 1 + random.nextInt(3); more > 0; more--) {
      register(nodes + more, "rack" + (nodes + more) % racks, DISK);
    }
    int moves = moveAll();
    assertThat(moves).isLessThanOrEqualTo(sizes.size() * 2);
    assertThat(moveAll()).as("and stays").isZero();
    // What is written and deleted meanwhile moves something only when it is a fifth of a disk.
    if (gap() <= Balance.MARGIN - 0.02) {
      sizes.replaceAll((group, bytes) -> (long) (bytes * (1 + 0.005 * random.nextDouble())));
      assertThat(next()).isEmpty();
    }
  }

  @Test
  void nothingMovesWhileNobodyIsShortOfRoom() {
    filled(4, 2, 0.45);
    register(5, "", DISK);
    assertThat(gap()).isGreaterThan(2 * Balance.MARGIN);
    assertThat(next()).isEmpty();
  }

  @Test
  void nothingMovesWhereAVolumeIsNotKnownNorToOneThatRests() {
    filled(4, 2, 0.75);
    register(5, "", DISK);
    assertThat(next()).isPresent();
    var known = held();
    known.remove(new VolumeId(2));
    assertThat(Balance.next(cluster.machine.image(), known, Set.of())).isEmpty();
    assertThat(Balance.next(cluster.machine.image(), held(), Set.of(new VolumeId(5)))).isEmpty();
  }

  @Test
  void nothingMovesWhileAGroupIsNotWholeOrANodeIsBeingEmptied() {
    filled(12, 2, 0.75);
    register(13, "", DISK);
    ClusterCommand.MoveMember move = next().orElseThrow();
    // More than a tenth of the nodes: they are waited for, and nothing moves meanwhile.
    cluster.expel("n1");
    cluster.expel("n2");
    assertThat(Outage.of(cluster.machine.image()).waits()).isTrue();
    assertThat(next()).isEmpty();
    assertThat(cluster.refused(move).code()).isIn(ErrorCode.GROUP_UNSAFE, ErrorCode.STALE_EPOCH);
    register(1, "", DISK);
    register(2, "", DISK);
    assertThat(next()).as("they catch up").isEmpty();
    for (Group group : cluster.machine.image().groups()) {
      for (Member member : group.in(MemberState.SYNCING)) {
        cluster.promote(group.id(), member.volume().value());
      }
      cluster
          .group(group.id())
          .in(MemberState.SYNCING)
          .forEach(member -> cluster.promote(group.id(), member.volume().value()));
    }
    assertThat(next()).isPresent();
    cluster.done(new ClusterCommand.Drain(new NodeId("n3"), true));
    assertThat(next()).isEmpty();
    cluster.done(new ClusterCommand.Drain(new NodeId("n3"), false));
    assertThat(next()).isPresent();
  }

  /** Three nodes with a third of their disks full, one of them away, and one that is empty. */
  private Group catchingUp() {
    filled(3, 2, 0.3);
    register(4, "", DISK);
    cluster.expel("n3");
    cluster.done(new ClusterCommand.ReplaceLost(0));
    return joining();
  }

  private Group joining() {
    return cluster.machine.image().groups().stream()
        .filter(each -> !each.in(MemberState.SYNCING).isEmpty() && sizes.containsKey(each.id()))
        .findFirst()
        .orElseThrow();
  }

  /** What volumes hold where one that catches up in a group has nothing of it, and no room. */
  private Map<VolumeId, Map<GroupId, Long>> heldWithoutRoom(Group group, VolumeId joining) {
    Map<VolumeId, Map<GroupId, Long>> held = held();
    held.get(joining).put(group.id(), 0L);
    held.get(joining).put(new GroupId(9_999), DISK - 1);
    return held;
  }

  private Optional<ClusterCommand.MoveMember> instead(Map<VolumeId, Map<GroupId, Long>> held) {
    return Balance.instead(cluster.machine.image(), held);
  }

  @Test
  void whoCatchesUpWithoutRoomIsReplacedByOneThatHasSome() {
    Group group = catchingUp();
    VolumeId joining = group.in(MemberState.SYNCING).getFirst().volume();
    Map<VolumeId, Map<GroupId, Long>> held = held();
    assertThat(instead(held)).isEmpty();
    held.get(joining).put(group.id(), 0L);
    assertThat(instead(held)).as("it has room").isEmpty();
    held = heldWithoutRoom(group, joining);
    ClusterCommand.MoveMember move = instead(held).orElseThrow();
    assertThat(move.group()).isEqualTo(group.id());
    assertThat(move.from()).isEqualTo(joining);
    cluster.done(move);
    assertThat(cluster.state(group.id(), joining.value())).isEqualTo(MemberState.SYNCING);
    assertThat(cluster.group(group.id()).in(MemberState.IN_SYNC))
        .isEqualTo(group.in(MemberState.IN_SYNC));
    assertThat(instead(held)).as("one takes its place, not many").isEmpty();
    cluster.promote(group.id(), move.to().value());
    assertThat(cluster.group(group.id()).in(MemberState.IN_SYNC)).hasSize(2);
    assertThat(cluster.group(group.id()).member(joining)).isEmpty();
  }

  @Test
  void whoTakesThePlaceHasRoomBesideWhatItStillGetsOfOthers() {
    Group group = catchingUp();
    VolumeId joining = group.in(MemberState.SYNCING).getFirst().volume();
    VolumeId to = instead(heldWithoutRoom(group, joining)).orElseThrow().to();
    long bytes = sizes.get(group.id());
    Map<VolumeId, Map<GroupId, Long>> held = heldWithoutRoom(group, joining);
    held.values().forEach(each -> each.remove(new GroupId(9_999)));
    held.get(joining).put(new GroupId(9_999), DISK - 1);
    // There is room for this group alone, and another one is on its way there.
    long sum = held.get(to).values().stream().mapToLong(Long::longValue).sum();
    held.get(to).put(new GroupId(9_998), DISK - sum - bytes);
    assertThat(instead(held).map(ClusterCommand.MoveMember::to)).contains(to);
    Group other =
        cluster.machine.image().groups().stream()
            .filter(each -> !each.id().equals(group.id()))
            .filter(each ->
                each.in(MemberState.SYNCING).stream()
                    .anyMatch(member -> member.volume().equals(to)))
            .findFirst()
            .orElseThrow();
    held.get(to).put(other.id(), 0L);
    held.get(to).put(new GroupId(9_998), DISK - sum - bytes + sizes.get(other.id()));
    assertThat(instead(held).filter(move -> move.group().equals(group.id()))).isEmpty();
  }

  @Test
  void whatOnlyANodeThatIsBeingEmptiedHoldsCountsToo() {
    filled(3, 1, 0.3);
    cluster.done(new ClusterCommand.Drain(new NodeId("n1"), true));
    cluster.done(new ClusterCommand.ReplaceLost(0));
    Group group = joining();
    VolumeId joining = group.in(MemberState.SYNCING).getFirst().volume();
    ClusterCommand.MoveMember move = instead(heldWithoutRoom(group, joining)).orElseThrow();
    assertThat(move.from()).isEqualTo(joining);
  }

  @Test
  void whoMayHoldTheOnlyOtherCopyStaysBesideWhoTakesItsPlace() {
    for (int node = 1; node <= 4; node++) {
      register(node, "", DISK);
    }
    cluster.bucket(2, 2);
    cluster.expel("n3");
    register(3, "", DISK);
    cluster.machine.image().groups().forEach(each -> sizes.put(each.id(), DISK / 1_000));
    Group group = joining();
    var joining = new VolumeId(3);
    assertThat(group.remembered()).anyMatch(member -> member.volume().equals(joining));
    ClusterCommand.MoveMember move = instead(heldWithoutRoom(group, joining)).orElseThrow();
    cluster.level = Level.MOVES;
    assertThat(cluster.refused(move).code()).isEqualTo(ErrorCode.GROUP_UNSAFE);
    cluster.level = Level.KEPT;
    cluster.done(move);
    assertThat(cluster.state(group.id(), 3)).isEqualTo(MemberState.SYNCING);
    assertThat(cluster.group(group.id()).remembered())
        .containsExactlyInAnyOrderElementsOf(group.remembered());
  }

  @Test
  void aGroupThatCannotReviveForAFullDiskIsNamed() {
    filled(2, 2, 0.3);
    cluster.expel("n1");
    cluster.expel("n2");
    cluster.registerIn("n1", "", 2, 1);
    cluster.registerIn("n2", "", 2, 2);
    Group group = joining();
    assertThat(group.reviving()).isTrue();
    long bytes = sizes.get(group.id());
    Map<VolumeId, Map<GroupId, Long>> held = heldWithoutRoom(group, new VolumeId(2));
    assertThat(Balance.cramped(cluster.machine.image(), held))
        .containsExactly(new Balance.Cramped(group.id(), new VolumeId(2), bytes, 0));
    assertThat(instead(held)).as("no other volume can take part").isEmpty();
    held.get(new VolumeId(2)).put(group.id(), bytes);
    assertThat(Balance.cramped(cluster.machine.image(), held)).isEmpty();
  }
}
