package io.forebay.sim.cluster;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.LocalConsensus;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.node.Node;
import io.forebay.node.NodeConfig;
import io.forebay.node.Voter;
import io.forebay.node.life.ClusterLog;
import io.forebay.sim.net.SimLinks;
import io.forebay.sim.net.SimNetwork;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Production nodes over simulated ports; the first is the only voter and is never killed. */
final class SimCluster {
  private static final NodeId VOTER = new NodeId("n0");
  private static final long CAPACITY_BYTES = 4L << 30;

  private record Running(SimEnv env, SimNetwork network, Node node) {}

  private final SimWorld world;
  private final SimLinks links;
  private final List<MemoryVolume.Disk> disks = new ArrayList<>();
  private final List<Running> nodes = new ArrayList<>();
  private final Map<String, Group> records = new TreeMap<>();
  private final List<String> violations;
  private int starts;

  SimCluster(SimWorld world, int count, List<String> violations) {
    this.world = world;
    this.links = new SimLinks(world);
    this.violations = violations;
    for (int i = 0; i < count; i++) {
      disks.add(disk(i, i + 1));
      nodes.add(start(i));
    }
  }

  private static MemoryVolume.Disk disk(int index, long number) {
    return new MemoryVolume.Disk(
        new VolumeId(index + 1), new Incarnation(number, 1), CAPACITY_BYTES);
  }

  Node node(int index) {
    return nodes.get(index).node();
  }

  SimEnv env(int index) {
    return nodes.get(index).env();
  }

  MemoryVolume.Disk disk(int index) {
    return disks.get(index);
  }

  int size() {
    return nodes.size();
  }

  /** The process dies; its disk stays. */
  void kill(int index) {
    nodes.get(index).env().kill();
    nodes.get(index).network().broken();
  }

  /** A dead node's disk is replaced by an empty one. */
  void wipe(int index) {
    disks.set(index, disk(index, 1_000 + ++starts));
  }

  /** A dead node comes back on its disk. */
  void restart(int index) {
    nodes.set(index, start(index));
  }

  void cut(int from, int to, boolean on) {
    links.cut(new NodeId("n" + from), new NodeId("n" + to), on);
  }

  private Running start(int index) {
    var id = new NodeId("n" + index);
    SimEnv env = world.env("n" + index + "." + ++starts);
    var network = new SimNetwork(links, env, id);
    var node =
        new Node(
            env,
            network,
            List.of(new MemoryVolume(env, disks.get(index))),
            index == 0 ? Optional.of(voter(env)) : Optional.empty(),
            new SlabPool(env, 1 << 20, 16),
            (bucket, key, etag, offset, length) -> {
              throw new ForebayException(ErrorCode.STORE_UNREACHABLE, "no store in this world");
            },
            (bucket, key) -> Optional.empty(),
            new NodeConfig(
                "n" + index + ":1", "", Map.of(VOTER, "n0:1"), 64L << 20, 20_000, 5_000));
    node.plane().onImage(this::seen);
    Outcome<Boolean> _ =
        node.start((message, payload) -> {
          throw new ForebayException(ErrorCode.UNAVAILABLE, "no doors in this world");
        });
    return new Running(env, network, node);
  }

  private Voter voter(SimEnv env) {
    var cluster = new ClusterLog(env);
    var namespace = new NamespaceCommands(new NamespaceMachine(0));
    return new Voter(
        new LocalConsensus(env, VOTER, new MemorySortedMap(), new LoggedMachine(cluster)),
        cluster,
        new LocalConsensus(env, VOTER, new MemorySortedMap(), new LoggedMachine(namespace)),
        namespace);
  }

  /** One record per epoch, whoever hears of it. */
  private void seen(ClusterImage image) {
    for (Group group : image.groups()) {
      Group before = records.putIfAbsent(group.id() + "/" + group.epoch(), group);
      if (before != null && !before.equals(group)) {
        violations.add("two records of one epoch: " + before + " and " + group);
      }
    }
  }
}
