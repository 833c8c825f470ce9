package io.forebay.core.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random walks through faults and commands, with a picture of what the volumes hold: writers,
 * re-sync and disks do what the rules allow them, no more, and after every step every member in
 * sync must hold every chunk that was not destroyed legally.
 */
final class ClusterWalkTest {
  private static final int STEPS = 2_500;

  /** A node's machine as it really is, whatever the log thinks of it. */
  private static final class Machine {
    final String name;
    final String domain;
    final List<Long> volumes = new ArrayList<>();
    long boot = 1;

    Machine(String name, String domain) {
      this.name = name;
      this.domain = domain;
    }
  }

  /** An acknowledged chunk; lost legally when as many copies were destroyed as acknowledged it. */
  private static final class Chunk {
    final GroupId group;
    final int acknowledged;
    int destroyed;

    Chunk(GroupId group, int acknowledged) {
      this.group = group;
      this.acknowledged = acknowledged;
    }
  }

  private final ClusterFixture cluster = new ClusterFixture(2);
  private final List<Machine> machines = new ArrayList<>();
  private final TreeMap<Integer, Chunk> chunks = new TreeMap<>();
  private final TreeMap<Long, TreeSet<Integer>> held = new TreeMap<>();
  private SplittableRandom random;
  private long nextVolume = 1;
  private int nextChunk = 1;
  private int promotions;
  private int revivals;
  private int moves;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void membersInSyncHoldEverythingWhateverHappens(long seed) {
    random = new SplittableRandom(seed);
    int nodes = 3 + random.nextInt(4);
    for (int i = 0; i < nodes; i++) {
      var machine = new Machine("n" + i, seed % 3 == 0 ? "rack" + i % 3 : "");
      for (int v = 1 + random.nextInt(2); v > 0; v--) {
        newVolume(machine);
      }
      machines.add(machine);
      register(machine);
    }
    for (int replicas = 1; replicas <= 3; replicas++) {
      for (int minInSync = 1; minInSync <= replicas; minInSync++) {
        cluster.done(
            new ClusterCommand.CreateBucket(
                ClusterFixture.bucket("b-" + replicas + "-" + minInSync, replicas, minInSync)));
      }
    }
    ClusterImage before = cluster.machine.image();
    for (int step = 0; step < STEPS; step++) {
      String what = step();
      ClusterImage after = cluster.machine.image();
      try {
        audit(before, after);
        if (step % 100 == 0) {
          cluster.machine = cluster.reloaded();
          assertThat(cluster.machine.image()).isEqualTo(after);
        }
      } catch (AssertionError violated) {
        throw new AssertionError("seed " + seed + ", step " + step + ": " + what, violated);
      }
      before = after;
    }
    assertThat(promotions).isGreaterThan(50);
    assertThat(moves).isPositive();
    heal();
    assertThat(cluster.machine.image().groups())
        .as("seed %d: after the faults every group is whole again", seed)
        .allSatisfy(group -> {
          assertThat(group.fullStrength()).isTrue();
          assertThat(group.members()).hasSize(group.family().replicas());
          assertThat(group.in(MemberState.IN_SYNC)).hasSize(group.family().replicas());
          assertThat(group.members().stream().map(this::domain).distinct())
              .hasSize(group.members().size());
        });
    assertThat(revivals).isPositive();
  }

  private String step() {
    Machine machine = machines.get(random.nextInt(machines.size()));
    int choice = random.nextInt(100);
    if (choice < 30) {
      return write();
    } else if (choice < 50) {
      return promote();
    } else if (choice < 58) {
      return revive();
    } else if (choice < 66) {
      cluster.expel(machine.name);
      return "expel " + machine.name;
    } else if (choice < 80) {
      register(machine);
      return "register " + machine.name;
    } else if (choice < 85) {
      reboot(machine);
      register(machine);
      return "reboot " + machine.name;
    } else if (choice < 87) {
      replaceDisk(machine);
      register(machine);
      return "replace a disk of " + machine.name;
    } else if (choice < 94) {
      cluster.wallMillis += random.nextInt(2_000);
      cluster.done(new ClusterCommand.ReplaceLost(random.nextInt(10_000)));
      return "replace lost";
    } else if (choice < 97) {
      cluster.done(new ClusterCommand.Drain(new NodeId(machine.name), random.nextBoolean()));
      return "drain " + machine.name;
    } else if (choice < 98) {
      return salvage();
    } else if (choice < 99) {
      return random.nextBoolean() ? move() : moveWhoCatchesUp();
    } else {
      return stale();
    }
  }

  /** Nothing moves while anything is not whole: so all becomes well, by what the rules allow. */
  private String move() {
    for (Machine machine : machines) {
      cluster.done(new ClusterCommand.Drain(new NodeId(machine.name), false));
      register(machine);
    }
    for (int round = 0; round < 8 && !GroupRules.whole(cluster.machine.image()); round++) {
      cluster.done(new ClusterCommand.ReplaceLost(0));
      for (Group group : cluster.machine.image().groups()) {
        if (group.reviving()) {
          revive(group);
        } else if (group.in(MemberState.IN_SYNC).isEmpty()) {
          salvage(group);
        } else {
          group.in(MemberState.SYNCING).stream()
              .findFirst()
              .ifPresent(each -> promote(group, each));
        }
      }
    }
    Group group = anyGroup();
    return move(group, group.members().get(random.nextInt(group.members().size())));
  }

  /** As where one that catches up has no room. */
  private String moveWhoCatchesUp() {
    for (Group group : cluster.machine.image().groups()) {
      if (!group.in(MemberState.SYNCING).isEmpty() && !group.reviving()) {
        return move(group, group.in(MemberState.SYNCING).getFirst());
      }
    }
    return "nobody catches up";
  }

  private String move(Group group, Member from) {
    for (VolumeRecord volume : cluster.machine.image().volumes()) {
      if (cluster.apply(
              new ClusterCommand.MoveMember(group.id(), group.epoch(), from.volume(), volume.id()))
          instanceof ClusterResult.Done) {
        moves++;
        return "move " + from + " to " + volume + " in " + group;
      }
    }
    return "nothing moves in " + group;
  }

  /**
   * A chunk that all writers of the epoch acknowledge; or only some do, and then it does not count.
   */
  private String write() {
    Group group = anyGroup();
    if (!group.writable()) {
      return "no write to " + group.id();
    }
    int chunk = nextChunk++;
    boolean whole = random.nextInt(4) > 0;
    for (Member member : group.writers()) {
      if (whole || random.nextBoolean()) {
        held(member.volume().value()).add(chunk);
      }
    }
    if (whole) {
      // A member that is about to be replaced may take its copy along.
      chunks.put(
          chunk,
          new Chunk(group.id(), Math.min(group.writers().size(), group.family().replicas())));
    }
    return "write " + chunk + " to " + group;
  }

  /** A member pulls all that its source holds, then is promoted. */
  private String promote() {
    List<Group> waiting =
        cluster.machine.image().groups().stream()
            .filter(group -> !group.reviving() && !group.in(MemberState.SYNCING).isEmpty())
            .toList();
    if (waiting.isEmpty()) {
      return "nobody to promote";
    }
    Group group = waiting.get(random.nextInt(waiting.size()));
    List<Member> syncing = group.in(MemberState.SYNCING);
    return promote(group, syncing.get(random.nextInt(syncing.size())));
  }

  private String promote(Group group, Member member) {
    List<Member> sources = group.in(MemberState.IN_SYNC);
    Member source = sources.get(random.nextInt(sources.size()));
    pull(group.id(), source, member);
    promotions++;
    cluster.done(new ClusterCommand.Promote(group.id(), member.volume(), member.joinEpoch()));
    return "promote " + member + " of " + group;
  }

  private String revive() {
    List<Group> reviving =
        cluster.machine.image().groups().stream().filter(Group::reviving).toList();
    if (reviving.isEmpty()) {
      return "nobody to revive";
    }
    return revive(reviving.get(random.nextInt(reviving.size())));
  }

  private String revive(Group group) {
    for (Member target : group.members()) {
      for (Member source : group.members()) {
        pull(group.id(), source, target);
      }
    }
    revivals++;
    cluster.done(new ClusterCommand.Revived(group.id(), group.epoch()));
    return "revived " + group;
  }

  private void pull(GroupId group, Member source, Member target) {
    for (int chunk : held(source.volume().value())) {
      if (!chunks.containsKey(chunk) || chunks.get(chunk).group.equals(group)) {
        held(target.volume().value()).add(chunk);
      }
    }
  }

  /** An operator gives up whoever stays away; what is then nowhere among the rest is forgiven. */
  private String salvage() {
    for (Group group : cluster.machine.image().groups()) {
      if (!group.reviving() && group.in(MemberState.IN_SYNC).isEmpty()) {
        salvage(group);
        return "salvage " + group;
      }
    }
    return "nothing to salvage";
  }

  private void salvage(Group group) {
    cluster.apply(new ClusterCommand.GiveUp(group.id(), cluster.away(group)));
    chunks.values().removeIf(chunk -> chunk.group.equals(group.id()));
  }

  /** Commands that come too late. */
  private String stale() {
    Group group = anyGroup();
    long old = random.nextLong(group.epoch().value());
    cluster.refused(new ClusterCommand.Revived(group.id(), new Epoch(old)));
    for (Member member : group.members()) {
      cluster.refused(
          new ClusterCommand.Promote(
              group.id(), member.volume(), new Epoch(member.joinEpoch().value() - 1)));
    }
    Machine machine = machines.get(random.nextInt(machines.size()));
    long run =
        cluster.machine.image().node(new NodeId(machine.name)).orElseThrow().registration() - 1;
    ClusterImage image = cluster.machine.image();
    cluster.done(
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(new NodeId(machine.name), run))));
    assertThat(cluster.machine.image()).isSameAs(image);
    return "stale commands";
  }

  private void register(Machine machine) {
    long[] volumes = machine.volumes.stream().mapToLong(Long::longValue).toArray();
    cluster.registerIn(machine.name, machine.domain, machine.boot, volumes);
  }

  /** Loses some of what its disks had not yet written. */
  private void reboot(Machine machine) {
    machine.boot++;
    for (long volume : machine.volumes) {
      lose(volume, 10);
    }
  }

  private void replaceDisk(Machine machine) {
    int slot = random.nextInt(machine.volumes.size());
    lose(machine.volumes.get(slot), 100);
    machine.volumes.remove(slot);
    newVolume(machine);
  }

  private void lose(long volume, int percent) {
    for (int chunk : List.copyOf(held(volume))) {
      if (random.nextInt(100) < percent) {
        held(volume).remove(chunk);
        if (chunks.containsKey(chunk)) {
          chunks.get(chunk).destroyed++;
        }
      }
    }
  }

  private void newVolume(Machine machine) {
    machine.volumes.add(nextVolume);
    nextVolume++;
  }

  private Set<Integer> held(long volume) {
    return held.computeIfAbsent(volume, none -> new TreeSet<>());
  }

  private Group anyGroup() {
    List<Group> groups = cluster.machine.image().groups();
    return groups.get(random.nextInt(groups.size()));
  }

  private void audit(ClusterImage before, ClusterImage after) {
    assertThat(after.version()).isGreaterThanOrEqualTo(before.version());
    if (!after.equals(before)) {
      assertThat(after.version()).isGreaterThan(before.version());
    }
    for (Group group : after.groups()) {
      Optional<Group> old = before.group(group.id());
      if (old.isPresent() && !old.get().equals(group)) {
        assertThat(group.epoch()).isGreaterThan(old.get().epoch());
        auditLeavers(old.get(), group, after);
      }
      if (!before.nodes().equals(after.nodes()) || !old.equals(Optional.of(group))) {
        auditGroup(group, after);
      }
    }
    chunks.forEach((id, chunk) -> {
      for (Member member : cluster.group(chunk.group).in(MemberState.IN_SYNC)) {
        if (!held(member.volume().value()).contains(id) && chunk.destroyed < chunk.acknowledged) {
          throw new AssertionError(
              "chunk " + id + " is not on " + member + " of " + cluster.group(chunk.group));
        }
      }
    });
    if (chunks.size() > 400) {
      // Flushed: no longer owed. Keeps the audit short.
      for (int i = 0; i < 200; i++) {
        chunks.remove(chunks.firstKey());
      }
    }
  }

  /**
   * Who takes writes, and is not gone with its disk, leaves a group for as many in sync only; who
   * catches up also where as many were in sync beside it.
   */
  private static void auditLeavers(Group before, Group after, ClusterImage image) {
    List<Member> inSync = before.in(MemberState.IN_SYNC);
    boolean left =
        (inSync.size() < after.family().replicas() ? before.writers() : inSync)
            .stream()
                .map(Member::volume)
                .anyMatch(
                    volume -> after.member(volume).isEmpty() && image.volume(volume).isPresent());
    if (left) {
      assertThat(after.in(MemberState.IN_SYNC))
          .as("%s becomes %s", before, after)
          .hasSizeGreaterThanOrEqualTo(after.family().replicas());
    }
  }

  private static void auditGroup(Group group, ClusterImage image) {
    int inSync = group.in(MemberState.IN_SYNC).size();
    int syncing = group.in(MemberState.SYNCING).size();
    assertThat(group.members()).isNotEmpty();
    if (group.writable()) {
      assertThat(group.reviving()).isFalse();
      assertThat(inSync).isPositive();
      assertThat(inSync + syncing).isGreaterThanOrEqualTo(group.family().minInSync());
    }
    if (group.reviving()) {
      assertThat(syncing).isEqualTo(group.members().size());
    } else if (syncing > 0) {
      assertThat(inSync).as("%s catches up with nobody", group).isPositive();
    }
    var domains = new TreeSet<String>();
    var volumes = new TreeSet<VolumeId>();
    for (Member member : group.members()) {
      assertThat(volumes.add(member.volume())).isTrue();
      assertThat(member.joinEpoch()).isLessThanOrEqualTo(group.epoch());
      Optional<VolumeRecord> volume = image.volume(member.volume());
      Optional<NodeRecord> node = volume.flatMap(record -> image.node(record.node()));
      node.ifPresent(record -> domains.add(record.domain()));
      if (member.state() != MemberState.OUT) {
        Incarnation present = volume.orElseThrow().incarnation();
        assertThat(member.incarnation()).isEqualTo(present);
        assertThat(node.orElseThrow().state()).isNotEqualTo(NodeState.DOWN);
      } else if (node.isPresent() && node.get().state() != NodeState.DOWN) {
        assertThat(inSync).as("%s leaves out who is there", group).isZero();
      }
    }
    // Later a member may share a domain with its replacement, until one of them is dropped.
    if (group.epoch().value() == 1) {
      assertThat(domains).as("%s has two members in a domain", group).hasSize(volumes.size());
    }
  }

  private String domain(Member member) {
    ClusterImage image = cluster.machine.image();
    NodeId node = image.volume(member.volume()).orElseThrow().node();
    return image.node(node).orElseThrow().domain();
  }

  /** The faults stop; everybody comes back and does what there is to do. */
  private void heal() {
    for (Machine machine : machines) {
      cluster.done(new ClusterCommand.Drain(new NodeId(machine.name), false));
      register(machine);
    }
    for (int round = 0; round < 20; round++) {
      for (Group group : cluster.machine.image().groups()) {
        if (group.reviving()) {
          revivals++;
          cluster.done(new ClusterCommand.Revived(group.id(), group.epoch()));
        } else if (group.in(MemberState.IN_SYNC).isEmpty()) {
          cluster.done(
              new ClusterCommand.GiveUp(
                  group.id(), cluster.away(group))); // all its disks were replaced
        }
        for (Member member : group.in(MemberState.SYNCING)) {
          cluster.apply(
              new ClusterCommand.Promote(group.id(), member.volume(), member.joinEpoch()));
        }
      }
      cluster.done(new ClusterCommand.ReplaceLost(0));
    }
  }
}
