package io.forebay.core.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.id.BucketId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.List;

/** A machine over a map in memory, with short words for what tests say to it. */
final class ClusterFixture {
  final MemorySortedMap map = new MemorySortedMap();
  final int groupsPerVolume;
  ClusterMachine machine;
  long index;
  long wallMillis = 1_000_000;
  int level = Level.NEWEST;

  ClusterFixture(int groupsPerVolume) {
    this.groupsPerVolume = groupsPerVolume;
    machine = reloaded();
  }

  /** A machine that knows only what was persisted. */
  ClusterMachine reloaded() {
    try (SortedMap.View view = map.view()) {
      return new ClusterMachine(view, groupsPerVolume);
    }
  }

  ClusterResult apply(ClusterCommand command) {
    var batch = new Batch();
    ClusterResult result = machine.apply(++index, wallMillis, level, command, batch);
    map.write(batch);
    return result;
  }

  ClusterResult.Done done(ClusterCommand command) {
    ClusterResult result = apply(command);
    assertThat(result).as("%s", command).isInstanceOf(ClusterResult.Done.class);
    return (ClusterResult.Done) result;
  }

  ClusterResult.Refused refused(ClusterCommand command) {
    ClusterImage before = machine.image();
    ClusterResult result = apply(command);
    assertThat(result).as("%s", command).isInstanceOf(ClusterResult.Refused.class);
    assertThat(machine.image()).isSameAs(before);
    return (ClusterResult.Refused) result;
  }

  /** Registers a node in a domain of its own name, with volumes of boot 1. */
  void register(String node, long... volumes) {
    registerIn(node, "", 1, volumes);
  }

  void registerIn(String node, String domain, long boot, long... volumes) {
    done(registration(node, domain, boot, volumes));
  }

  static ClusterCommand.RegisterNode registration(
      String node, String domain, long boot, long... volumes) {
    var announced = new ArrayList<ClusterCommand.RegisterNode.Announced>();
    for (long volume : volumes) {
      announced.add(
          new ClusterCommand.RegisterNode.Announced(
              new VolumeId(volume), new Incarnation(volume, boot), 1L << 40));
    }
    return new ClusterCommand.RegisterNode(new NodeId(node), node + ":7000", domain, announced);
  }

  void expel(String node) {
    NodeRecord record = machine.image().node(new NodeId(node)).orElseThrow();
    done(
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(record.id(), record.registration()))));
  }

  void promote(GroupId group, long volume) {
    Member member = group(group).member(new VolumeId(volume)).orElseThrow();
    done(new ClusterCommand.Promote(group, member.volume(), member.joinEpoch()));
  }

  Group group(GroupId id) {
    return machine.image().group(id).orElseThrow();
  }

  /** The state of a volume in a group. */
  MemberState state(GroupId group, long volume) {
    return group(group).member(new VolumeId(volume)).orElseThrow().state();
  }

  static Bucket bucket(String name, int replicas, int minInSync) {
    return new Bucket(
        new BucketId(0),
        name,
        new Family(replicas, minInSync, Durability.REPLICATED),
        "",
        FlushMode.CACHE_ONLY,
        List.of(),
        16 << 20,
        2_000,
        600_000,
        0);
  }

  void bucket(int replicas, int minInSync) {
    done(new ClusterCommand.CreateBucket(bucket("data", replicas, minInSync)));
  }

  /** Members whose volumes are away. */
  List<VolumeId> away(Group group) {
    ClusterImage image = machine.image();
    return group.members().stream()
        .map(Member::volume)
        .filter(id ->
            image
                .volume(id)
                .flatMap(volume -> image.node(volume.node()))
                .filter(node -> node.state() != NodeState.DOWN)
                .isEmpty())
        .toList();
  }
}
