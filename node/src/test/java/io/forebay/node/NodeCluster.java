package io.forebay.node;

import io.forebay.core.backing.MemoryObjectStore;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.env.Env;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.core.log.LocalConsensus;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.volume.Volume;
import io.forebay.node.flush.BucketStores;
import io.forebay.node.flush.Flusher;
import io.forebay.node.life.ClusterLog;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.resync.Scrubber;
import io.forebay.store.disk.DiskSettings;
import io.forebay.store.disk.DiskVolume;
import io.forebay.transport.tcp.TcpNetwork;
import io.forebay.transport.tcp.TcpSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/**
 * Nodes in one process, over loopback, with real directories (a volume in memory would keep the
 * transport's buffers for ever); the first node is the only voter.
 */
public final class NodeCluster implements AutoCloseable {
  static final DiskSettings DISK = new DiskSettings(1L << 30, 64 << 20, 2, true);
  private static final long PATIENCE_NANOS = 60_000_000_000L;
  private static final NodeId VOTER = new NodeId("n0");

  /** What a node keeps its chunks on. */
  @FunctionalInterface
  public interface Disks {
    /** Opens the volume of a node, at each of its starts. */
    Volume open(Env env, int node, Path directory);
  }

  private record Running(TcpNetwork network, Node node, Volume volume) {}

  private final TestEnv env = new TestEnv();
  private final List<Path> disks = new ArrayList<>();
  private final List<Optional<Running>> nodes = new ArrayList<>();
  private final Disks kind;
  private final Scrubber.Settings scrub;
  private final CapacitySettings capacity;
  private final MemoryObjectStore store = new MemoryObjectStore(env);
  private String voterAddress = "";

  /** Starts so many nodes, and waits until all take writes. */
  public NodeCluster(int count) {
    this(count, (env, node, directory) -> DiskVolume.open(env, directory, DISK));
  }

  /** As above, with other disks. */
  public NodeCluster(int count, Disks kind) {
    this(count, kind, Scrubber.Settings.OFF);
  }

  /** As above, with disks that are looked through. */
  public NodeCluster(int count, Disks kind, Scrubber.Settings scrub) {
    this(count, kind, scrub, CapacitySettings.DEFAULT);
  }

  /** As above, with disks that are to fill. */
  public NodeCluster(int count, Disks kind, Scrubber.Settings scrub, CapacitySettings capacity) {
    this.kind = kind;
    this.scrub = scrub;
    this.capacity = capacity;
    for (int i = 0; i < count; i++) {
      disks.add(newDirectory());
      nodes.add(Optional.empty());
      start(i);
    }
    node(0).plane().cluster(new ClusterCommand.Initialize("c1"));
  }

  private static Path newDirectory() {
    try {
      return Files.createTempDirectory("forebay-node-test-");
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private static void remove(Path directory) {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.toList().reversed()) {
        Files.deleteIfExists(path);
      }
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The running node of that index. */
  public Node node(int index) {
    return nodes.get(index).orElseThrow().node();
  }

  /** The store of all buckets that have one, whatever their URL says. */
  public MemoryObjectStore store() {
    return store;
  }

  /** The volume of a running node. */
  public Volume volume(int index) {
    return nodes.get(index).orElseThrow().volume();
  }

  /** What is on a node's disk, whether it runs or not. */
  public Path disk(int index) {
    return disks.get(index);
  }

  /** Starts a node on its disk, and waits until it takes writes. */
  public void start(int index) {
    var id = new NodeId("n" + index);
    TcpNetwork network =
        TcpNetwork.start(
            env,
            id,
            () -> "c1",
            TcpSettings.defaults(
                Optional.of("127.0.0.1:0"), "secret".getBytes(StandardCharsets.UTF_8)));
    String address = "127.0.0.1:" + network.port();
    if (id.equals(VOTER)) {
      voterAddress = address;
    }
    Volume volume = kind.open(env, index, disks.get(index));
    var pool = new SlabPool(env, 1 << 20, 64);
    var stores = new BucketStores(url -> store, pool);
    var node =
        new Node(
            env,
            network,
            List.of(volume),
            id.equals(VOTER) ? Optional.of(voter()) : Optional.empty(),
            pool,
            bodies(),
            stores,
            stores,
            new NodeConfig(
                address,
                "",
                Map.of(VOTER, voterAddress),
                64L << 20,
                16,
                16L << 20,
                600_000,
                600_000,
                capacity,
                scrub,
                LeaseSettings.OFF,
                false));
    stores.bind(node.plane());
    nodes.set(index, Optional.of(new Running(network, node, volume)));
    var flusher = new Flusher(env, network, node.plane(), node.manifests(), stores);
    node.start(
            (message, payload) -> {
              throw new ForebayException(ErrorCode.UNAVAILABLE, "no doors in this test");
            },
            flusher::handle)
        .await(PATIENCE_NANOS, "node " + id + " joins");
    node.run("flusher", flusher::run);
  }

  private Voter voter() {
    var cluster = new ClusterLog(env);
    var namespace = new NamespaceCommands(new NamespaceMachine(0));
    return new Voter(
        new LocalConsensus(env, VOTER, new MemorySortedMap(), new LoggedMachine(cluster)),
        cluster,
        new LocalConsensus(env, VOTER, new MemorySortedMap(), new LoggedMachine(namespace)),
        namespace,
        Level.NEWEST);
  }

  /** Cuts a node off without a word, and ends it; its disk stays. Not for the voter. */
  public void kill(int index) {
    Running running = nodes.get(index).orElseThrow();
    nodes.set(index, Optional.empty());
    running.network().close();
    running.node().close();
  }

  /** Puts an empty disk into a node that does not run. */
  public void replaceDisk(int index) {
    remove(disks.set(index, newDirectory()));
  }

  /** Waits until something holds. */
  public void await(String what, BooleanSupplier condition) {
    long deadline = env.nanoTime() + PATIENCE_NANOS;
    while (!condition.getAsBoolean()) {
      if (env.nanoTime() - deadline >= 0) {
        throw new AssertionError("in vain: " + what + "; " + said());
      }
      env.sleep(5_000_000L);
    }
  }

  private String said() {
    var text = new StringBuilder();
    for (Optional<Running> each : nodes) {
      if (each.isPresent()) {
        NodeStatus status = each.get().node().status();
        text.append(status.node())
            .append(": ")
            .append(status.volumes())
            .append(status.resync())
            .append(status.repair())
            .append('\n');
      }
    }
    node(0).plane().image().nodes().forEach(node -> text.append(node).append('\n'));
    node(0).plane().image().groups().stream()
        .limit(4)
        .forEach(group -> text.append(group).append('\n'));
    return text.toString();
  }

  /** Buffers for bodies. */
  public SlabPool bodies() {
    return new SlabPool(env, 1 << 20, 96);
  }

  @Override
  public void close() {
    for (int i = nodes.size() - 1; i >= 0; i--) {
      if (nodes.get(i).isPresent()) {
        kill(i);
      }
    }
    disks.forEach(NodeCluster::remove);
    env.close();
  }
}
