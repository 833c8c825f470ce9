package io.forebay.core.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Level;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

final class ClusterMachineTest {
  private static final GroupId FIRST = new GroupId(1);

  /** Nodes a, b, c with volumes 1, 2, 3 and four groups or more of one family. */
  private static ClusterFixture three(int replicas, int minInSync) {
    var cluster = new ClusterFixture(4);
    cluster.register("a", 1);
    cluster.register("b", 2);
    cluster.register("c", 3);
    cluster.bucket(replicas, minInSync);
    return cluster;
  }

  // Rules, by the fault.

  @Test
  void r4_promotionAfterTheJoinEpochMovedIsRefused() {
    ClusterFixture cluster = three(3, 2);
    cluster.expel("c");
    cluster.registerIn("c", "", 2, 3);
    Member stale = cluster.group(FIRST).member(new VolumeId(3)).orElseThrow();
    cluster.expel("c");
    cluster.registerIn("c", "", 3, 3);
    assertThat(cluster.state(FIRST, 3)).isEqualTo(MemberState.SYNCING);

    ClusterResult.Refused refused =
        cluster.refused(new ClusterCommand.Promote(FIRST, stale.volume(), stale.joinEpoch()));
    assertThat(refused.code()).isEqualTo(ErrorCode.STALE_EPOCH);
    assertThat(refused.message()).contains("group 1").contains(stale.joinEpoch().toString());

    cluster.promote(FIRST, 3);
    assertThat(cluster.state(FIRST, 3)).isEqualTo(MemberState.IN_SYNC);
    assertThat(cluster.group(FIRST).fullStrength()).isTrue();
  }

  @Test
  void r4_theJoinEpochStaysWhileOthersComeAndGo() {
    ClusterFixture cluster = three(3, 1);
    cluster.expel("c");
    cluster.register("c", 3);
    Epoch joined = cluster.group(FIRST).member(new VolumeId(3)).orElseThrow().joinEpoch();
    cluster.expel("b");
    cluster.register("b", 2);
    assertThat(cluster.group(FIRST).member(new VolumeId(3)).orElseThrow().joinEpoch())
        .isEqualTo(joined);
    cluster.done(new ClusterCommand.Promote(FIRST, new VolumeId(3), joined));
  }

  @Test
  void r6_aRebootedVolumeIsPutOutBeforeItCatchesUp() {
    ClusterFixture cluster = three(3, 2);
    Group before = cluster.group(FIRST);
    cluster.registerIn("b", "", 2, 2); // no expulsion in between: it was back before it was missed
    Group after = cluster.group(FIRST);
    assertThat(after.epoch().value()).isEqualTo(before.epoch().value() + 2); // OUT, then SYNCING
    Member member = after.member(new VolumeId(2)).orElseThrow();
    assertThat(member)
        .isEqualTo(
            new Member(new VolumeId(2), new Incarnation(2, 2), MemberState.SYNCING, after.epoch()));
    assertThat(after.remembered()).extracting(Member::volume).doesNotContain(new VolumeId(2));
  }

  @Test
  void r6_aRestartedProcessStaysInSyncAndIsANewRun() {
    ClusterFixture cluster = three(3, 2);
    List<Group> before = cluster.machine.image().groups();
    NodeRecord firstRun = cluster.machine.image().node(new NodeId("b")).orElseThrow();
    cluster.register("b", 2);
    assertThat(cluster.machine.image().groups()).isEqualTo(before);
    assertThat(cluster.machine.image().node(new NodeId("b")).orElseThrow().registration())
        .isGreaterThan(firstRun.registration());
    // The expulsion of the first run comes too late.
    cluster.done(
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(new NodeId("b"), firstRun.registration()))));
    assertThat(cluster.machine.image().groups()).isEqualTo(before);
  }

  @Test
  void r9_aGroupBelowMinInSyncTakesNoWrites() {
    ClusterFixture cluster = three(3, 2);
    cluster.expel("b");
    assertThat(cluster.group(FIRST).writable()).isTrue();
    assertThat(cluster.group(FIRST).fullStrength()).isFalse();
    cluster.expel("c");
    assertThat(cluster.group(FIRST).in(MemberState.IN_SYNC)).hasSize(1);
    assertThat(cluster.group(FIRST).writable()).isFalse();
  }

  @Test
  void r11_withTheLastInSyncMemberThoseCatchingUpGoOutInTheSameEpoch() {
    ClusterFixture cluster = three(3, 1);
    cluster.expel("c");
    cluster.expel("b");
    cluster.registerIn("b", "", 2, 2); // rebooted: not remembered, catching up with a
    assertThat(cluster.state(FIRST, 2)).isEqualTo(MemberState.SYNCING);
    Group before = cluster.group(FIRST);
    cluster.expel("a");
    Group after = cluster.group(FIRST);
    assertThat(after.epoch().value()).isEqualTo(before.epoch().value() + 1);
    assertThat(after.members()).extracting(Member::state).containsOnly(MemberState.OUT);
    assertThat(after.reviving()).isFalse();
  }

  @Test
  void r12_aRememberedMemberOfUnchangedIncarnationIsInSyncAtOnce() {
    ClusterFixture cluster = three(3, 2);
    cluster.expel("c");
    cluster.expel("b"); // the last epoch with writes was that of a and b
    cluster.expel("a");
    cluster.register("c", 3); // missed writes: must wait
    assertThat(cluster.state(FIRST, 3)).isEqualTo(MemberState.OUT);
    cluster.register("b", 2);
    assertThat(cluster.state(FIRST, 2)).isEqualTo(MemberState.IN_SYNC);
    assertThat(cluster.state(FIRST, 3)).isEqualTo(MemberState.SYNCING);
    assertThat(cluster.state(FIRST, 1)).isEqualTo(MemberState.OUT);
  }

  @Test
  void r12_whoMissedWritesAcknowledgedByACatchingUpMemberIsNotRemembered() {
    // minInSync 2 was last held by a and b; then a took writes together with c, which was catching
    // up. b, unchanged, lacks those.
    ClusterFixture cluster = three(3, 2);
    cluster.expel("c");
    cluster.expel("b");
    cluster.registerIn("c", "", 2, 3);
    assertThat(cluster.group(FIRST).writable()).isTrue();
    cluster.expel("a");
    cluster.register("b", 2);
    assertThat(cluster.group(FIRST).in(MemberState.IN_SYNC)).isEmpty();
  }

  @Test
  void r12_aMemberThatCaughtUpOnlyInPartButMissedNothingIsRemembered() {
    ClusterFixture cluster = three(2, 2);
    Group group = cluster.group(FIRST);
    String one = nodeOf(cluster, group, 0);
    String other = nodeOf(cluster, group, 1);
    cluster.expel(other); // no writes from here
    cluster.register(other, group.members().get(1).volume().value()); // writes with it again
    cluster.expel(one);
    assertThat(cluster.state(FIRST, group.members().get(1).volume().value()))
        .isEqualTo(MemberState.IN_SYNC);
  }

  @Test
  void r12_whenAllHaveRebootedAllCompareBeforeAnyoneIsInSync() {
    ClusterFixture cluster = three(3, 2);
    cluster.expel("a");
    cluster.expel("b");
    cluster.expel("c");
    cluster.registerIn("a", "", 2, 1);
    cluster.registerIn("b", "", 2, 2);
    assertThat(cluster.group(FIRST).reviving()).isFalse(); // c may hold the only copy
    cluster.registerIn("c", "", 2, 3);
    Group reviving = cluster.group(FIRST);
    assertThat(reviving.reviving()).isTrue();
    assertThat(reviving.writable()).isFalse();
    assertThat(reviving.members())
        .allSatisfy(member -> {
          assertThat(member.state()).isEqualTo(MemberState.SYNCING);
          assertThat(member.joinEpoch()).isEqualTo(reviving.epoch());
        });
    cluster.refused(new ClusterCommand.Promote(FIRST, new VolumeId(1), reviving.epoch()));

    // One goes away in between: the comparison begins again in a later epoch.
    cluster.expel("b");
    assertThat(cluster.group(FIRST).reviving()).isFalse();
    cluster.registerIn("b", "", 2, 2);
    Group again = cluster.group(FIRST);
    assertThat(again.reviving()).isTrue();
    assertThat(cluster.refused(new ClusterCommand.Revived(FIRST, reviving.epoch())).code())
        .isEqualTo(ErrorCode.STALE_EPOCH);
    cluster.done(new ClusterCommand.Revived(FIRST, again.epoch()));
    assertThat(cluster.group(FIRST).fullStrength()).isTrue();
    assertThat(cluster.group(FIRST).in(MemberState.IN_SYNC)).hasSize(3);
  }

  @Test
  void r12_aReplacedDiskTakesPartAsEmpty() {
    ClusterFixture cluster = three(3, 2);
    cluster.expel("a");
    cluster.expel("b");
    cluster.expel("c");
    cluster.registerIn("a", "", 2, 1);
    cluster.registerIn("b", "", 2, 2);
    cluster.registerIn("c", "", 2, 33); // volume 3 is gone for good
    Group reviving = cluster.group(FIRST);
    assertThat(reviving.reviving()).isTrue();
    assertThat(reviving.members())
        .extracting(Member::volume)
        .containsExactlyInAnyOrder(new VolumeId(1), new VolumeId(2));
    cluster.done(new ClusterCommand.Revived(FIRST, reviving.epoch()));
    cluster.done(new ClusterCommand.ReplaceLost(0));
    assertThat(cluster.state(FIRST, 33)).isEqualTo(MemberState.SYNCING);
  }

  @Test
  void r12_salvageGivesUpWhoStaysAwayAndNamesThem() {
    ClusterFixture cluster = three(3, 2);
    cluster.refused(new ClusterCommand.GiveUp(FIRST, List.of())); // nobody needs to be given up
    cluster.expel("c");
    cluster.expel("b");
    cluster.expel("a");
    cluster.register("c", 3);
    assertThat(cluster.group(FIRST).in(MemberState.IN_SYNC)).isEmpty();
    // Who asks for the first time is told who is away; and whoever saw others changes nothing.
    for (List<VolumeId> seen :
        List.of(
            List.<VolumeId>of(),
            List.of(new VolumeId(1)),
            List.of(new VolumeId(1), new VolumeId(2), new VolumeId(3)))) {
      ClusterResult.Refused refused = cluster.refused(new ClusterCommand.GiveUp(FIRST, seen));
      assertThat(refused.code()).isEqualTo(ErrorCode.GROUP_UNSAFE);
      assertThat(refused.message()).contains("node salvage 1 --give-up v1,v2");
    }
    assertThat(cluster.refused(new ClusterCommand.Salvage(FIRST)).code())
        .isEqualTo(ErrorCode.WRONG_VERSION);
    String note =
        cluster
            .done(new ClusterCommand.GiveUp(FIRST, List.of(new VolumeId(2), new VolumeId(1))))
            .note();
    assertThat(note)
        .contains("volume v1 of node a, which was last in sync")
        .contains("volume v2 of node b, which was last in sync")
        .contains("lost");
    Group group = cluster.group(FIRST);
    assertThat(group.reviving()).isTrue();
    assertThat(group.members()).extracting(Member::volume).containsExactly(new VolumeId(3));
    cluster.done(new ClusterCommand.Revived(FIRST, group.epoch()));
    assertThat(cluster.state(FIRST, 3)).isEqualTo(MemberState.IN_SYNC);
  }

  @Test
  void r12_salvageOfAGroupWithoutAnyMemberBeginsAgainEmpty() {
    ClusterFixture cluster = three(1, 1);
    Group group = cluster.group(FIRST);
    String node = nodeOf(cluster, group, 0);
    cluster.expel(node);
    var all = new ClusterCommand.GiveUp(FIRST, cluster.away(group));
    assertThat(cluster.done(all).note())
        .contains("begins again empty without volume")
        .contains("all it held is lost");
    assertThat(cluster.group(FIRST).writable()).isTrue();
    assertThat(cluster.group(FIRST).epoch().value()).isGreaterThan(group.epoch().value());
  }

  // Replacement.

  @Test
  void aVolumeIsReplacedAfterItsGraceAndLeavesOnceTheNewOneIsInSync() {
    ClusterFixture cluster = three(2, 2);
    Group group = cluster.group(FIRST);
    long kept = group.members().get(0).volume().value();
    long lost = group.members().get(1).volume().value();
    cluster.expel(nodeOf(cluster, group, 1));
    cluster.wallMillis += 9_999;
    cluster.done(new ClusterCommand.ReplaceLost(10_000));
    assertThat(cluster.group(FIRST).members()).hasSize(2);
    cluster.wallMillis += 1;
    cluster.done(new ClusterCommand.ReplaceLost(10_000));
    Group replacing = cluster.group(FIRST);
    assertThat(replacing.members()).hasSize(3);
    cluster.done(new ClusterCommand.ReplaceLost(10_000));
    assertThat(cluster.group(FIRST)).isEqualTo(replacing);
    long added = replacing.members().get(2).volume().value();
    cluster.promote(FIRST, added);
    assertThat(cluster.group(FIRST).members())
        .extracting(member -> member.volume().value())
        .containsExactly(kept, added)
        .doesNotContain(lost);
    assertThat(cluster.group(FIRST).fullStrength()).isTrue();
  }

  /** So many nodes n10, n11…, each with a volume of that number. */
  private static ClusterFixture many(int nodes, int replicas) {
    var cluster = new ClusterFixture(4);
    for (int i = 10; i < 10 + nodes; i++) {
      cluster.register("n" + i, i);
    }
    cluster.bucket(replicas, 1);
    return cluster;
  }

  private static long catchingUp(ClusterFixture cluster) {
    return cluster.machine.image().groups().stream()
        .filter(group -> !group.in(MemberState.SYNCING).isEmpty())
        .count();
  }

  private static long membersOf(ClusterFixture cluster, long volume) {
    return cluster.machine.image().groups().stream()
        .filter(group -> group.member(new VolumeId(volume)).isPresent())
        .count();
  }

  @Test
  void withMoreThanATenthOfTheNodesAwayTheyAreWaitedFor() {
    ClusterFixture cluster = many(20, 3);
    cluster.expel("n10");
    cluster.expel("n11");
    assertThat(Outage.of(cluster.machine.image())).isEqualTo(new Outage(2, 20));
    cluster.expel("n12");
    cluster.wallMillis += 100_000;
    ClusterResult.Done told = cluster.done(new ClusterCommand.ReplaceLost(10_000));
    assertThat(told.note()).contains("3 of 20 nodes are away").contains("draining");
    for (Group group : cluster.machine.image().groups()) {
      // Only where a single copy is left another is made.
      assertThat(group.in(MemberState.SYNCING).isEmpty())
          .as("%s", group)
          .isEqualTo(group.in(MemberState.IN_SYNC).size() != 1);
    }

    // One comes back: a tenth is away, and made up for.
    cluster.register("n12", 12);
    for (Group group : cluster.machine.image().groups()) {
      for (Member member : group.in(MemberState.SYNCING)) {
        cluster.promote(group.id(), member.volume().value());
      }
    }
    assertThat(cluster.done(new ClusterCommand.ReplaceLost(10_000)).note()).isEmpty();
    assertThat(catchingUp(cluster)).isPositive();
    for (Group group : cluster.machine.image().groups()) {
      assertThat(group.writers()).hasSize(3);
    }
  }

  @Test
  void whoWasMadeUpForIsAwayNoLonger() {
    ClusterFixture cluster = many(10, 2);
    for (String lost : List.of("n10", "n11", "n12")) {
      cluster.expel(lost);
      cluster.wallMillis += 100_000;
      assertThat(cluster.done(new ClusterCommand.ReplaceLost(10_000)).note()).isEmpty();
      for (Group group : cluster.machine.image().groups()) {
        for (Member member : group.in(MemberState.SYNCING)) {
          cluster.promote(group.id(), member.volume().value());
        }
        assertThat(cluster.group(group.id()).fullStrength()).isTrue();
      }
    }
    assertThat(Outage.of(cluster.machine.image()).away()).isZero();
  }

  @Test
  void anOperatorGivesUpWhoIsWaitedFor() {
    ClusterFixture cluster = many(5, 3);
    cluster.expel("n10");
    cluster.expel("n11");
    cluster.wallMillis += 100_000;
    cluster.done(new ClusterCommand.ReplaceLost(10_000));
    long before = membersOf(cluster, 10);
    assertThat(before).isPositive();
    cluster.done(new ClusterCommand.Drain(new NodeId("n10"), true));
    cluster.done(new ClusterCommand.ReplaceLost(10_000));
    for (Group group : cluster.machine.image().groups()) {
      for (Member member : group.in(MemberState.SYNCING)) {
        cluster.promote(group.id(), member.volume().value());
      }
    }
    assertThat(catchingUp(cluster)).isZero();
    assertThat(
            cluster.machine.image().groups().stream()
                .filter(group -> group.member(new VolumeId(10)).isPresent())
                .filter(group -> group.member(new VolumeId(11)).isEmpty()))
        .as("groups that lack only the node that was given up")
        .isEmpty();
  }

  @Test
  void oneNodeOfThreeIsReplacedAndADiskTooWhateverIsAway() {
    ClusterFixture cluster = three(2, 1);
    cluster.expel("c");
    cluster.wallMillis += 100_000;
    assertThat(cluster.done(new ClusterCommand.ReplaceLost(10_000)).note()).isEmpty();
    for (Group group : cluster.machine.image().groups()) {
      assertThat(group.writers()).hasSize(2);
    }

    ClusterFixture five = many(5, 3);
    five.expel("n10");
    five.expel("n11");
    five.registerIn("n12", "", 1, 99); // a replaced disk
    assertThat(Outage.of(five.machine.image()).waits()).isTrue();
    five.done(new ClusterCommand.ReplaceLost(10_000));
    assertThat(membersOf(five, 99)).isPositive();
  }

  @Test
  void aReplacedDiskIsReplacedAtOnceByTheNewOne() {
    ClusterFixture cluster = three(3, 2);
    cluster.expel("c");
    cluster.registerIn("c", "", 1, 33);
    for (Group group : cluster.machine.image().groups()) {
      assertThat(group.member(new VolumeId(33)).orElseThrow().state())
          .isEqualTo(MemberState.SYNCING);
      cluster.promote(group.id(), 33);
    }
    assertThat(cluster.machine.image().groups())
        .allSatisfy(group -> {
          assertThat(group.fullStrength()).isTrue();
          assertThat(group.member(new VolumeId(3))).isEmpty();
        });
    assertThat(cluster.machine.image().volume(new VolumeId(3))).isEmpty();
  }

  @Test
  void aDrainedNodeServesUntilItsGroupsHaveMovedAndCopiesNeverFall() {
    var cluster = new ClusterFixture(4);
    cluster.register("a", 1);
    cluster.register("b", 2);
    cluster.register("c", 3);
    cluster.register("d", 4);
    cluster.bucket(3, 2);
    cluster.done(new ClusterCommand.Drain(new NodeId("a"), true));
    assertThat(cluster.refused(new ClusterCommand.ForgetNode(new NodeId("a"))).code())
        .isEqualTo(ErrorCode.GROUP_UNSAFE);
    cluster.done(new ClusterCommand.ReplaceLost(600_000));
    for (Group group : cluster.machine.image().groups()) {
      assertThat(group.in(MemberState.IN_SYNC)).hasSize(3);
      for (Member member : group.in(MemberState.SYNCING)) {
        cluster.promote(group.id(), member.volume().value());
        assertThat(cluster.group(group.id()).in(MemberState.IN_SYNC)).hasSize(3);
      }
      assertThat(cluster.group(group.id()).member(new VolumeId(1))).isEmpty();
    }
    // The mark outlives a restart of the process.
    cluster.expel("a");
    cluster.register("a", 1);
    assertThat(cluster.machine.image().node(new NodeId("a")).orElseThrow().state())
        .isEqualTo(NodeState.DRAINING);
    cluster.done(new ClusterCommand.ForgetNode(new NodeId("a")));
    assertThat(cluster.machine.image().node(new NodeId("a"))).isEmpty();
    assertThat(cluster.machine.image().volume(new VolumeId(1))).isEmpty();
    assertThat(cluster.refused(new ClusterCommand.ForgetNode(new NodeId("a"))).code())
        .isEqualTo(ErrorCode.NOT_FOUND);
  }

  // Moves.

  /** Four nodes with a volume each, groups of two; the first of them, and who is not in it. */
  private static ClusterCommand.MoveMember movable(ClusterFixture cluster) {
    for (int node = 1; node <= 4; node++) {
      cluster.register("n" + node, node);
    }
    cluster.bucket(2, 2);
    Group group = cluster.group(FIRST);
    VolumeId to =
        cluster.machine.image().volumes().stream()
            .map(VolumeRecord::id)
            .filter(volume -> group.member(volume).isEmpty())
            .findFirst()
            .orElseThrow();
    return new ClusterCommand.MoveMember(
        FIRST, group.epoch(), group.members().getFirst().volume(), to);
  }

  private static List<VolumeId> members(ClusterFixture cluster, MemberState state) {
    return cluster.group(FIRST).in(state).stream().map(Member::volume).toList();
  }

  @Test
  void whoMovesLeavesOnlyWhenTheNewMemberIsInSyncAndItsPlaceIsKept() {
    var cluster = new ClusterFixture(4);
    ClusterCommand.MoveMember move = movable(cluster);
    VolumeId stays = cluster.group(FIRST).members().getLast().volume();
    cluster.done(move);
    assertThat(members(cluster, MemberState.IN_SYNC)).containsExactly(stays, move.from());
    assertThat(members(cluster, MemberState.SYNCING)).containsExactly(move.to());
    assertThat(cluster.group(FIRST).fullStrength()).isTrue();
    assertThat(Balance.moving(cluster.machine.image()))
        .containsExactly(new Balance.Moving(cluster.group(FIRST), move.from(), move.to()));
    cluster.machine = cluster.reloaded();
    cluster.promote(FIRST, move.to().value());
    assertThat(members(cluster, MemberState.IN_SYNC)).containsExactly(move.to(), stays);
    assertThat(cluster.group(FIRST).members()).hasSize(2);
    assertThat(Balance.moving(cluster.machine.image())).isEmpty();
  }

  @Test
  void whatMovesIsTakenBackOnAWordAndByWhateverHappensToTheNewMember() {
    var cluster = new ClusterFixture(4);
    ClusterCommand.MoveMember move = movable(cluster);
    List<VolumeId> before = members(cluster, MemberState.IN_SYNC);
    cluster.done(move);
    cluster.refused(new ClusterCommand.CancelMove(FIRST, move.epoch()));
    cluster.done(new ClusterCommand.CancelMove(FIRST, cluster.group(FIRST).epoch()));
    assertThat(members(cluster, MemberState.IN_SYNC)).containsExactlyInAnyOrderElementsOf(before);
    assertThat(cluster.group(FIRST).members()).hasSize(2);

    cluster.done(
        new ClusterCommand.MoveMember(FIRST, cluster.group(FIRST).epoch(), move.from(), move.to()));
    cluster.expel("n" + move.to().value());
    assertThat(members(cluster, MemberState.IN_SYNC)).containsExactlyInAnyOrderElementsOf(before);
    assertThat(cluster.group(FIRST).members()).hasSize(2);
  }

  @Test
  void whoMovesMayDieMeanwhileAndTheNewMemberTakesItsPlace() {
    var cluster = new ClusterFixture(4);
    ClusterCommand.MoveMember move = movable(cluster);
    VolumeId stays = cluster.group(FIRST).members().getLast().volume();
    cluster.done(move);
    cluster.expel("n" + move.from().value());
    assertThat(members(cluster, MemberState.IN_SYNC)).containsExactly(stays);
    assertThat(Balance.moving(cluster.machine.image())).isEmpty();
    cluster.promote(FIRST, move.to().value());
    assertThat(members(cluster, MemberState.IN_SYNC)).containsExactly(move.to(), stays);
    assertThat(cluster.group(FIRST).members()).hasSize(2);
  }

  @Test
  void oneGroupMovesAtATimeAndNoneWhileAnythingIsNotWhole() {
    var cluster = new ClusterFixture(4);
    ClusterCommand.MoveMember move = movable(cluster);
    VolumeId stays = cluster.group(FIRST).members().getLast().volume();
    assertThat(
            cluster
                .refused(new ClusterCommand.MoveMember(FIRST, new Epoch(7), move.from(), move.to()))
                .code())
        .isEqualTo(ErrorCode.STALE_EPOCH);
    assertThat(
            cluster
                .refused(
                    new ClusterCommand.MoveMember(
                        new GroupId(99), move.epoch(), move.from(), move.to()))
                .code())
        .isEqualTo(ErrorCode.STALE_EPOCH);
    for (ClusterCommand wrong :
        List.of(
            new ClusterCommand.MoveMember(FIRST, move.epoch(), move.from(), stays),
            new ClusterCommand.MoveMember(FIRST, move.epoch(), move.to(), move.from()),
            new ClusterCommand.MoveMember(FIRST, move.epoch(), move.from(), new VolumeId(99)))) {
      assertThat(cluster.refused(wrong).code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
    }
    // Another group's member is away: it is to be made whole first.
    String other = "n" + move.to().value();
    cluster.expel(other);
    assertThat(cluster.refused(move).code()).isEqualTo(ErrorCode.GROUP_UNSAFE);
    cluster.register(other, move.to().value());
    assertThat(cluster.refused(move).code()).isEqualTo(ErrorCode.GROUP_UNSAFE);
    for (Group group : cluster.machine.image().groups()) {
      group
          .in(MemberState.SYNCING)
          .forEach(each -> cluster.promote(group.id(), each.volume().value()));
    }
    cluster.done(new ClusterCommand.Drain(new NodeId(other), true));
    assertThat(cluster.refused(move).code()).isEqualTo(ErrorCode.GROUP_UNSAFE);
    cluster.done(new ClusterCommand.Drain(new NodeId(other), false));
    cluster.done(move);
    Group second = cluster.group(new GroupId(2));
    VolumeId free =
        cluster.machine.image().volumes().stream()
            .map(VolumeRecord::id)
            .filter(volume -> second.member(volume).isEmpty())
            .findFirst()
            .orElseThrow();
    assertThat(
            cluster
                .refused(
                    new ClusterCommand.MoveMember(
                        second.id(), second.epoch(), second.members().getFirst().volume(), free))
                .code())
        .isEqualTo(ErrorCode.GROUP_UNSAFE);
  }

  @Test
  void aMoveKeepsMembersInDifferentDomains() {
    var cluster = new ClusterFixture(4);
    cluster.registerIn("a", "rack1", 1, 1);
    cluster.registerIn("b", "rack2", 1, 2);
    cluster.bucket(2, 2);
    cluster.registerIn("c", "rack1", 1, 3);
    Epoch epoch = cluster.group(FIRST).epoch();
    assertThat(
            cluster
                .refused(
                    new ClusterCommand.MoveMember(FIRST, epoch, new VolumeId(2), new VolumeId(3)))
                .code())
        .isEqualTo(ErrorCode.INVALID_ARGUMENT);
    // Beside the one that leaves it may be: one of them goes.
    cluster.done(new ClusterCommand.MoveMember(FIRST, epoch, new VolumeId(1), new VolumeId(3)));
    assertThat(members(cluster, MemberState.SYNCING)).containsExactly(new VolumeId(3));
    cluster.promote(FIRST, 3);
    assertThat(members(cluster, MemberState.IN_SYNC))
        .containsExactlyInAnyOrder(new VolumeId(3), new VolumeId(2));
  }

  /** Volume 1, in the rack of volume 3, gives the group to that; volume 2 is in another one. */
  private static ClusterFixture movingWithinARack() {
    var cluster = new ClusterFixture(4);
    cluster.registerIn("a", "rack1", 1, 1);
    cluster.registerIn("b", "rack2", 1, 2);
    cluster.bucket(2, 2);
    cluster.registerIn("c", "rack1", 1, 3);
    cluster.done(
        new ClusterCommand.MoveMember(
            FIRST, cluster.group(FIRST).epoch(), new VolumeId(1), new VolumeId(3)));
    return cluster;
  }

  @Test
  void aMoveWithinADomainEndsWhenAnotherMemberGoesAndNoWriteIsTakenInThatDomainAlone() {
    ClusterFixture cluster = movingWithinARack();
    cluster.expel("b");
    assertThat(cluster.group(FIRST).writable()).isFalse();
    assertThat(cluster.group(FIRST).member(new VolumeId(3))).isEmpty();
    assertThat(members(cluster, MemberState.IN_SYNC)).containsExactly(new VolumeId(1));
    cluster.registerIn("b", "rack2", 1, 2);
    cluster.promote(FIRST, 2);
    assertThat(members(cluster, MemberState.IN_SYNC))
        .containsExactlyInAnyOrder(new VolumeId(1), new VolumeId(2));
  }

  /** Volume 1 is being emptied, and volume 3, in its rack, catches up; volume 2 is elsewhere. */
  private static ClusterFixture drainingWithinARack() {
    var cluster = new ClusterFixture(4);
    cluster.registerIn("a", "rack1", 1, 1);
    cluster.registerIn("b", "rack2", 1, 2);
    cluster.bucket(2, 2);
    cluster.registerIn("c", "rack1", 1, 3);
    cluster.done(new ClusterCommand.Drain(new NodeId("a"), true));
    cluster.done(new ClusterCommand.ReplaceLost(0));
    assertThat(members(cluster, MemberState.SYNCING)).containsExactly(new VolumeId(3));
    return cluster;
  }

  @Test
  void logsOfBeforeMovesKeepWhoSharesADomainWhenAnotherMemberGoes() {
    ClusterFixture cluster = drainingWithinARack();
    cluster.level = Level.POLICIES;
    cluster.expel("b");
    assertThat(members(cluster, MemberState.SYNCING)).containsExactly(new VolumeId(3));
    cluster = drainingWithinARack();
    cluster.expel("b");
    assertThat(members(cluster, MemberState.SYNCING)).isEmpty();
  }

  @Test
  void whoSharesADomainAndMayHoldTheOnlyOtherCopyIsKeptWhenAnotherMemberGoes() {
    for (int level : List.of(Level.MOVES, Level.KEPT)) {
      ClusterFixture cluster = drainingWithinARack();
      cluster.level = Level.POLICIES;
      cluster.expel("b");
      // What is written now volumes 1 and 3 have.
      cluster.registerIn("b", "rack2", 1, 2);
      assertThat(members(cluster, MemberState.SYNCING))
          .containsExactly(new VolumeId(2), new VolumeId(3));
      cluster.level = level;
      cluster.expel("b");
      assertThat(cluster.group(FIRST).member(new VolumeId(3)).isPresent())
          .isEqualTo(level == Level.KEPT);
    }
  }

  /** Volume 1 is in sync, and volume 2 catches up; volume 3 is free. */
  private static ClusterFixture catchingUp() {
    var cluster = new ClusterFixture(4);
    cluster.register("a", 1);
    cluster.register("b", 2);
    cluster.bucket(2, 1);
    cluster.register("c", 3);
    cluster.expel("b");
    cluster.register("b", 2);
    assertThat(members(cluster, MemberState.SYNCING)).containsExactly(new VolumeId(2));
    return cluster;
  }

  private static void moveFrom2To3(ClusterFixture cluster) {
    cluster.done(
        new ClusterCommand.MoveMember(
            FIRST, cluster.group(FIRST).epoch(), new VolumeId(2), new VolumeId(3)));
  }

  @Test
  void whoCatchesUpStaysBesideWhoTakesItsPlaceForItsCopyMayBeTheOnlyOther() {
    ClusterFixture cluster = catchingUp();
    // What is written now volumes 1 and 2 have.
    moveFrom2To3(cluster);
    assertThat(members(cluster, MemberState.SYNCING))
        .containsExactly(new VolumeId(3), new VolumeId(2));
    cluster.register("a", 4);
    assertThat(cluster.group(FIRST).reviving()).isTrue();
    assertThat(cluster.group(FIRST).members().stream().map(Member::volume))
        .containsExactly(new VolumeId(3), new VolumeId(2));
  }

  @Test
  void whoCatchesUpGoesWhenTheOneInItsPlaceIsInSync() {
    ClusterFixture cluster = catchingUp();
    moveFrom2To3(cluster);
    cluster.promote(FIRST, 3);
    assertThat(cluster.group(FIRST).members().stream().map(Member::volume))
        .containsExactly(new VolumeId(1), new VolumeId(3));
  }

  @Test
  void logsOfBeforeItWasKeptDropWhoCatchesUpAtOnce() {
    ClusterFixture cluster = catchingUp();
    cluster.level = Level.MOVES;
    moveFrom2To3(cluster);
    assertThat(members(cluster, MemberState.SYNCING)).containsExactly(new VolumeId(3));
  }

  @Test
  void aMoveWithinADomainGoesOnWithoutTheOneThatLeaves() {
    ClusterFixture cluster = movingWithinARack();
    cluster.expel("a");
    assertThat(cluster.group(FIRST).writable()).isTrue();
    cluster.promote(FIRST, 3);
    assertThat(members(cluster, MemberState.IN_SYNC))
        .containsExactlyInAnyOrder(new VolumeId(3), new VolumeId(2));
  }

  // Registration.

  @Test
  void aCopiedDataDirectoryIsRefusedAndAMovedDiskIsNot() {
    ClusterFixture cluster = three(2, 1);
    ClusterResult.Refused refused = cluster.refused(ClusterFixture.registration("d", "", 1, 1));
    assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION);
    assertThat(refused.message()).contains("v1").contains("node a");
    cluster.expel("a");
    cluster.register("d", 1);
    assertThat(cluster.machine.image().volume(new VolumeId(1)).orElseThrow().node())
        .isEqualTo(new NodeId("d"));
  }

  @Test
  void aNodesNameIsRefusedToAnotherOneWhileItIsUpAndIsItsAgainWhenItMovesWithItsDisks() {
    var cluster = new ClusterFixture(4);
    cluster.register("a", 1);
    cluster.register("b", 2);
    cluster.bucket(2, 2);
    assertThat(cluster.refused(registrationAt("elsewhere:7000", 9)).message())
        .contains("a node of that name is up at a:7000")
        .contains("a name of its own (`node`)");
    assertThat(cluster.refused(registrationAt("elsewhere:7000")).code())
        .isEqualTo(ErrorCode.CONFIGURATION);
    cluster.done(registrationAt("elsewhere:7000", 1, 9));
    cluster.done(registrationAt("elsewhere:7000", 1));
    cluster.expel("a");
    cluster.done(registrationAt("a:7000", 9));
    assertThat(cluster.machine.image().volume(new VolumeId(1))).isEmpty();
    cluster.level = Level.KEPT;
    cluster.done(registrationAt("elsewhere:7000", 8));
  }

  private static ClusterCommand.RegisterNode registrationAt(String address, long... volumes) {
    ClusterCommand.RegisterNode usual = ClusterFixture.registration("a", "", 1, volumes);
    return new ClusterCommand.RegisterNode(usual.node(), address, usual.domain(), usual.volumes());
  }

  @Test
  void aDomainThatWouldHoldTwoMembersOfAGroupIsRefused() {
    ClusterFixture cluster = three(2, 1);
    assertThat(cluster.refused(ClusterFixture.registration("a", "b", 1, 1)).message())
        .contains("two members")
        .contains("'b'");
    cluster.registerIn("a", "rack-1", 1, 1);
  }

  @Test
  void twoRegistrationsInOneLogEntryAreTwoRuns() {
    ClusterFixture cluster = three(2, 1);
    long first = cluster.machine.image().node(new NodeId("a")).orElseThrow().registration();
    cluster.index--;
    cluster.index--;
    cluster.register("a", 1);
    assertThat(cluster.machine.image().node(new NodeId("a")).orElseThrow().registration())
        .isGreaterThan(first);
  }

  // Placement.

  @Test
  void groupsSpreadEvenlyOverVolumesPartnersAndFirstPlaces() {
    for (int replicas = 1; replicas <= 3; replicas++) {
      var cluster = new ClusterFixture(32);
      for (int node = 0; node < 10; node++) {
        cluster.register("n" + node, node + 1);
      }
      cluster.bucket(replicas, 1);
      List<Group> groups = cluster.machine.image().groups();
      assertThat(groups).hasSize((int) Math.round(320.0 / replicas));
      Map<VolumeId, Integer> memberships = new TreeMap<>();
      Map<VolumeId, Integer> firsts = new TreeMap<>();
      Map<String, Integer> pairs = new TreeMap<>();
      for (Group group : groups) {
        assertThat(group.members()).hasSize(replicas);
        firsts.merge(group.members().getFirst().volume(), 1, Integer::sum);
        for (Member member : group.members()) {
          memberships.merge(member.volume(), 1, Integer::sum);
          for (Member other : group.members()) {
            if (member.volume().compareTo(other.volume()) < 0) {
              pairs.merge(member.volume() + "," + other.volume(), 1, Integer::sum);
            }
          }
        }
      }
      assertThat(spread(memberships)).isLessThanOrEqualTo(2);
      assertThat(spread(firsts)).isLessThanOrEqualTo(replicas == 1 ? 1 : 3);
      if (replicas > 1) {
        assertThat(pairs).hasSize(45);
        assertThat(spread(pairs)).isLessThanOrEqualTo(4);
      }
    }
  }

  private static int spread(Map<?, Integer> counts) {
    return counts.values().stream().max(Comparator.naturalOrder()).orElseThrow()
        - counts.values().stream().min(Comparator.naturalOrder()).orElseThrow();
  }

  @Test
  void aLargerVolumeIsInMoreGroups() {
    var cluster = new ClusterFixture(30);
    for (int node = 1; node <= 4; node++) {
      cluster.done(
          new ClusterCommand.RegisterNode(
              new NodeId("n" + node),
              "h:1",
              "",
              List.of(
                  new ClusterCommand.RegisterNode.Announced(
                      new VolumeId(node),
                      new Incarnation(1, 0),
                      node == 1 ? 2L << 40 : 1L << 40))));
    }
    cluster.bucket(1, 1);
    long large =
        cluster.machine.image().groups().stream()
            .filter(group -> group.member(new VolumeId(1)).isPresent())
            .count();
    assertThat(large).isEqualTo(48); // two fifths of 120
  }

  @Test
  void aNewNodeGetsGroupsOfItsOwnAndNoGroupIsSplit() {
    ClusterFixture cluster = three(2, 1);
    List<Group> before = cluster.machine.image().groups();
    cluster.register("d", 4);
    List<Group> after = cluster.machine.image().groups();
    assertThat(after).containsAll(before);
    assertThat(after.subList(before.size(), after.size()))
        .hasSize(4)
        .allSatisfy(group -> assertThat(group.member(new VolumeId(4))).isPresent());
    var partners = new TreeSet<VolumeId>();
    after
        .subList(before.size(), after.size())
        .forEach(group -> group.members().forEach(member -> partners.add(member.volume())));
    assertThat(partners).hasSize(4);
  }

  @Test
  void tooFewFailureDomainsAreRefusedWithBothNumbers() {
    var cluster = new ClusterFixture(4);
    cluster.registerIn("a", "rack", 1, 1);
    cluster.registerIn("b", "rack", 1, 2);
    cluster.register("c", 3);
    ClusterCommand command = new ClusterCommand.CreateBucket(ClusterFixture.bucket("data", 3, 2));
    assertThat(cluster.refused(command))
        .satisfies(refused -> {
          assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION);
          assertThat(refused.message()).contains("3 replicas").contains("2 up of 2");
        });
    cluster.register("d", 4);
    cluster.expel("d");
    assertThat(cluster.refused(command).code()).isEqualTo(ErrorCode.UNAVAILABLE);
  }

  // Buckets, keys, names.

  private static Bucket renamed(Bucket bucket) {
    return new Bucket(
        bucket.id(),
        "none",
        bucket.family(),
        bucket.storeUrl(),
        bucket.mode(),
        bucket.prefixModes(),
        bucket.chunkBytes(),
        bucket.flushDelayMillis(),
        bucket.readGraceMillis(),
        bucket.createdMillis());
  }

  @Test
  void aBucketsFlushPolicyIsChangedAndNothingElseOfIt() {
    var cluster = new ClusterFixture(4);
    cluster.register("a", 1);
    cluster.done(new ClusterCommand.CreateBucket(ClusterFixture.bucket("data", 1, 1)));
    Bucket old = cluster.machine.image().bucket("data").orElseThrow();
    var prefixes = List.of(new Bucket.PrefixMode("tmp/", FlushMode.CACHE_ONLY));
    var change = new ClusterCommand.ChangeBucket("data", old.mode(), prefixes, 7, 8);
    cluster.done(change);
    var expected =
        new Bucket(
            old.id(),
            old.name(),
            old.family(),
            old.storeUrl(),
            old.mode(),
            prefixes,
            old.chunkBytes(),
            7,
            8,
            old.createdMillis());
    assertThat(cluster.machine.image().bucket("data")).contains(expected);
    assertThat(cluster.reloaded().image().bucket("data")).contains(expected);

    var late = new ClusterCommand.ReplaceBucket(old, old.mode(), List.of(), 9, 8);
    assertThat(cluster.refused(late).code()).isEqualTo(ErrorCode.CONCURRENT_CHANGE);
    assertThat(cluster.machine.image().bucket("data")).contains(expected);
    cluster.done(new ClusterCommand.ReplaceBucket(expected, old.mode(), prefixes, 9, 8));
    assertThat(cluster.machine.image().bucket("data").orElseThrow().flushDelayMillis())
        .isEqualTo(9);
    assertThat(
            cluster
                .refused(new ClusterCommand.ReplaceBucket(renamed(old), old.mode(), prefixes, 7, 8))
                .code())
        .isEqualTo(ErrorCode.NO_SUCH_BUCKET);

    assertThat(
            cluster
                .refused(new ClusterCommand.ChangeBucket("none", old.mode(), prefixes, 7, 8))
                .code())
        .isEqualTo(ErrorCode.NO_SUCH_BUCKET);
    assertThat(
            cluster
                .refused(new ClusterCommand.ChangeBucket("data", old.mode(), prefixes, -1, 8))
                .code())
        .isEqualTo(ErrorCode.INVALID_ARGUMENT);
    assertThat(
            cluster
                .refused(new ClusterCommand.ChangeBucket("data", FlushMode.BACK, prefixes, 7, 8))
                .message())
        .contains("no store");
  }

  @Test
  void bucketNamesFollowTheRulesOfS3() {
    var cluster = new ClusterFixture(4);
    cluster.register("a", 1);
    for (String bad :
        List.of(
            "ab",
            "a".repeat(64),
            "Data",
            "da_ta",
            "-data",
            "data-",
            "da..ta",
            "10.0.0.1",
            "xn--data",
            "data-s3alias",
            "",
            "da/ta",
            "daten\u00e4")) {
      assertThat(
              cluster
                  .refused(new ClusterCommand.CreateBucket(ClusterFixture.bucket(bad, 1, 1)))
                  .code())
          .as(bad)
          .isEqualTo(ErrorCode.INVALID_BUCKET_NAME);
    }
    for (String good : List.of("abc", "a".repeat(63), "da.ta-1", "10.0.0.1a")) {
      cluster.done(new ClusterCommand.CreateBucket(ClusterFixture.bucket(good, 1, 1)));
    }
  }

  @Test
  void bucketsHaveIdsThatAreNeverUsedAgain() {
    var cluster = new ClusterFixture(4);
    cluster.register("a", 1);
    cluster.bucket(1, 1);
    int groups = cluster.machine.image().groups().size();
    assertThat(groups).isEqualTo(4);
    Bucket first = cluster.machine.image().bucket("data").orElseThrow();
    assertThat(first.id()).isEqualTo(new BucketId(1));
    assertThat(first.createdMillis()).isEqualTo(cluster.wallMillis);
    assertThat(
            cluster
                .refused(new ClusterCommand.CreateBucket(ClusterFixture.bucket("data", 1, 1)))
                .code())
        .isEqualTo(ErrorCode.BUCKET_EXISTS);
    assertThat(cluster.refused(new ClusterCommand.DeleteBucket("data")).code())
        .isEqualTo(ErrorCode.WRONG_VERSION);
    cluster.done(new ClusterCommand.RemoveBucket("data", first.id()));
    assertThat(cluster.refused(new ClusterCommand.RemoveBucket("data", first.id())).code())
        .isEqualTo(ErrorCode.NO_SUCH_BUCKET);
    cluster.bucket(1, 1);
    assertThat(cluster.machine.image().bucket("data").orElseThrow().id())
        .isEqualTo(new BucketId(2));
    assertThat(cluster.machine.image().groups()).hasSize(groups);
    // Whoever found the first one empty does not remove what has its name now.
    assertThat(cluster.refused(new ClusterCommand.RemoveBucket("data", first.id())).code())
        .isEqualTo(ErrorCode.NO_SUCH_BUCKET);
    assertThat(cluster.machine.image().bucket("data")).isPresent();
    cluster.done(new ClusterCommand.RemoveBucket("data", new BucketId(2)));
    assertThat(cluster.machine.image().bucket("data")).isEmpty();
  }

  @Test
  void theClusterIsNamedOnceAndKeysAreReplaced() {
    var cluster = new ClusterFixture(4);
    cluster.done(new ClusterCommand.Initialize("one"));
    long version = cluster.machine.image().version();
    assertThat(cluster.done(new ClusterCommand.Initialize("two")).version()).isEqualTo(version);
    assertThat(cluster.machine.image().clusterId()).isEqualTo("one");
    cluster.done(new ClusterCommand.PutAccessKey(new AccessKey("id", "s1")));
    cluster.done(new ClusterCommand.PutAccessKey(new AccessKey("id", "s2")));
    assertThat(cluster.machine.image().accessKeys()).containsExactly(new AccessKey("id", "s2"));
    cluster.refused(new ClusterCommand.PutAccessKey(new AccessKey("", "s2")));
    assertThat(cluster.reloaded().image()).isEqualTo(cluster.machine.image());
  }

  @Test
  void aKeyPairMayDoWhatItsLastCommandSays() {
    var cluster = new ClusterFixture(4);
    var key = new AccessKey("id", "s");
    var grants = List.of(new KeyGrant("a", KeyRight.READ), new KeyGrant("b-*", KeyRight.WRITE));
    cluster.done(new ClusterCommand.PutRestrictedKey(key, grants));
    assertThat(cluster.machine.image().accessKeys()).containsExactly(key);
    assertThat(cluster.machine.image().grants()).containsExactly(new KeyGrants("id", grants));
    assertThat(cluster.reloaded().image()).isEqualTo(cluster.machine.image());
    cluster.refused(new ClusterCommand.PutRestrictedKey(key, List.of()));
    cluster.done(new ClusterCommand.PutAccessKey(key));
    assertThat(cluster.machine.image().grants()).isEmpty();
    assertThat(grants.get(0).allows(KeyRight.READ, "a")).isTrue();
    assertThat(grants.get(0).allows(KeyRight.WRITE, "a")).isFalse();
    assertThat(grants.get(0).allows(KeyRight.READ, "ab")).isFalse();
    assertThat(grants.get(1).allows(KeyRight.READ, "b-1")).isTrue();
    assertThat(grants.get(1).allows(KeyRight.ADMIN, "b-1")).isFalse();
    assertThat(cluster.reloaded().image()).isEqualTo(cluster.machine.image());
  }

  @Test
  void commandsOfOneLogEntryGiveImagesOfDifferentVersions() {
    var cluster = new ClusterFixture(4);
    cluster.done(new ClusterCommand.Initialize("one"));
    long first = cluster.machine.image().version();
    cluster.index--;
    cluster.done(new ClusterCommand.PutAccessKey(new AccessKey("id", "s")));
    assertThat(cluster.machine.image().version()).isGreaterThan(first);
  }

  // Layout.

  @Test
  void everyCommandHasItsGoldenBytes() {
    pins(new ClusterCommand.Initialize("id"), "01" + "026964");
    pins(
        ClusterFixture.registration("a", "r", 7, 5),
        "02"
            + "0161"
            + "06613a37303030"
            + "0172"
            + "01"
            + "0000000000000005"
            + "0000000000000005"
            + "0000000000000007"
            + "0000010000000000");
    pins(
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(new NodeId("a"), 9))),
        "03" + "01" + "0161" + "0000000000000009");
    pins(
        new ClusterCommand.Promote(FIRST, new VolumeId(2), new Epoch(3)),
        "04" + "00000001" + "0000000000000002" + "0000000000000003");
    pins(new ClusterCommand.Revived(FIRST, new Epoch(3)), "05" + "00000001" + "0000000000000003");
    pins(new ClusterCommand.Salvage(FIRST), "06" + "00000001");
    pins(new ClusterCommand.ReplaceLost(10), "07" + "000000000000000a");
    pins(new ClusterCommand.Drain(new NodeId("a"), true), "08" + "0161" + "01");
    pins(
        new ClusterCommand.CreateBucket(
            new Bucket(
                new BucketId(0),
                "abc",
                new Family(2, 1, Durability.SYNCED),
                "dir:x",
                FlushMode.BACK,
                List.of(new Bucket.PrefixMode("p/", FlushMode.THROUGH)),
                1 << 20,
                1,
                2,
                0)),
        "09"
            + "0000000000000000"
            + "03616263"
            + "00000002"
            + "00000001"
            + "01"
            + "056469723a78"
            + "00"
            + "01"
            + "02702f"
            + "01"
            + "00100000"
            + "0000000000000001"
            + "0000000000000002"
            + "0000000000000000");
    pins(new ClusterCommand.DeleteBucket("abc"), "0a" + "03616263");
    pins(new ClusterCommand.PutAccessKey(new AccessKey("i", "s")), "0b" + "0169" + "0173");
    pins(new ClusterCommand.ForgetNode(new NodeId("a")), "0c" + "0161");
    pins(
        new ClusterCommand.ChangeBucket(
            "abc",
            FlushMode.THROUGH,
            List.of(new Bucket.PrefixMode("p/", FlushMode.THROUGH)),
            1,
            2),
        "0d"
            + "03616263"
            + "01"
            + "01"
            + "02702f"
            + "01"
            + "0000000000000001"
            + "0000000000000002");
    pins(
        new ClusterCommand.PutRestrictedKey(
            new AccessKey("i", "s"), List.of(new KeyGrant("b*", KeyRight.ADMIN))),
        "0e" + "0169" + "0173" + "01" + "02622a" + "02");
    pins(
        new ClusterCommand.MoveMember(FIRST, new Epoch(3), new VolumeId(4), new VolumeId(5)),
        "0f" + "00000001" + "0000000000000003" + "0000000000000004" + "0000000000000005");
    pins(
        new ClusterCommand.CancelMove(FIRST, new Epoch(3)), "10" + "00000001" + "0000000000000003");
    pins(
        new ClusterCommand.GiveUp(FIRST, List.of(new VolumeId(2))),
        "13" + "00000001" + "01" + "0000000000000002");
    pins(
        new ClusterCommand.RemoveBucket("abc", new BucketId(7)),
        "11" + "03616263" + "0000000000000007");
    pins(
        new ClusterCommand.ReplaceBucket(
            new Bucket(
                new BucketId(7),
                "abc",
                new Family(2, 1, Durability.SYNCED),
                "dir:x",
                FlushMode.BACK,
                List.of(),
                1 << 20,
                1,
                2,
                3),
            FlushMode.THROUGH,
            List.of(new Bucket.PrefixMode("p/", FlushMode.THROUGH)),
            4,
            5),
        "12"
            + "0000000000000007"
            + "03616263"
            + "00000002"
            + "00000001"
            + "01"
            + "056469723a78"
            + "00"
            + "00"
            + "00100000"
            + "0000000000000001"
            + "0000000000000002"
            + "0000000000000003"
            + "01"
            + "01"
            + "02702f"
            + "01"
            + "0000000000000004"
            + "0000000000000005");
  }

  @Test
  void groupsAndResultsHaveTheirGoldenBytes() {
    var member =
        new Member(new VolumeId(2), new Incarnation(3, 4), MemberState.SYNCING, new Epoch(5));
    String memberBytes =
        "0000000000000002" + "0000000000000003" + "0000000000000004" + "01" + "0000000000000005";
    var group =
        new Group(
            FIRST,
            new Family(1, 1, Durability.REPLICATED),
            new Epoch(6),
            List.of(member),
            List.of(member),
            true);
    assertThat(hex(RecordCodec.of(Group.class).encode(group)))
        .isEqualTo(
            "00000001"
                + "00000001"
                + "00000001"
                + "00"
                + "0000000000000006"
                + "01"
                + memberBytes
                + "01"
                + memberBytes
                + "01");
    RecordCodec<ClusterResult> results = RecordCodec.of(ClusterResult.class);
    assertThat(hex(results.encode(new ClusterResult.Done(1, "n"))))
        .isEqualTo("01" + "0000000000000001" + "016e");
    assertThat(hex(results.encode(new ClusterResult.Refused(ErrorCode.NOT_FOUND, "m"))))
        .isEqualTo("02" + "02" + "016d");
  }

  @Test
  void enumsKeepTheirOrder() {
    assertThat(MemberState.values())
        .containsExactly(MemberState.IN_SYNC, MemberState.SYNCING, MemberState.OUT);
    assertThat(NodeState.values())
        .containsExactly(NodeState.UP, NodeState.DOWN, NodeState.DRAINING);
    assertThat(Durability.values()).containsExactly(Durability.REPLICATED, Durability.SYNCED);
    assertThat(FlushMode.values())
        .containsExactly(FlushMode.BACK, FlushMode.THROUGH, FlushMode.CACHE_ONLY);
  }

  private static void pins(ClusterCommand command, String hex) {
    RecordCodec<ClusterCommand> codec = RecordCodec.of(ClusterCommand.class);
    assertThat(hex(codec.encode(command))).isEqualTo(hex);
    assertThat(codec.decode(HexFormat.of().parseHex(hex))).isEqualTo(command);
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }

  private static String nodeOf(ClusterFixture cluster, Group group, int member) {
    return cluster
        .machine
        .image()
        .volume(group.members().get(member).volume())
        .orElseThrow()
        .node()
        .name();
  }
}
