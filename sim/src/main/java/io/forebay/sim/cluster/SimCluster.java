package io.forebay.sim.cluster;

import io.forebay.client.wire.FileEndpoint;
import io.forebay.client.wire.RemoteFileService;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FileService;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.core.log.Consensus;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.SortedMap;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.core.volume.StoredChunk;
import io.forebay.node.Node;
import io.forebay.node.NodeConfig;
import io.forebay.node.Voter;
import io.forebay.node.flush.BucketStores;
import io.forebay.node.flush.Flusher;
import io.forebay.node.life.ClusterLog;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.resync.Scrubber;
import io.forebay.sim.log.SimLog;
import io.forebay.sim.net.SimLinks;
import io.forebay.sim.net.SimNetwork;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.random.RandomGenerator;

/** Production nodes over simulated ports; the first one or three are the voters. */
final class SimCluster {
  static final int GROUPS_PER_VOLUME = 3;
  static final long COLLECT_NANOS = 5_000_000_000L;
  static final long WRITE_MEMORY_BYTES = 64L << 20;
  static final int READ_SLICES = 8;
  // Often, so that what rots is found while the world is calm.
  private static final Scrubber.Settings SCRUB = new Scrubber.Settings(64L << 20, 20_000_000_000L);

  // A few slices of each size, so that they come and go.
  private static final long MEMORY_TIER_BYTES = 10L << 20;
  private static final long CAPACITY_BYTES = 4L << 30;
  static final long GRACE_MILLIS = 12_000;
  private static final int POOL_SLABS = 64;
  private static final int BODY_SLABS = 72;
  private static final int WRITERS_AT_ONCE = 8;

  // Small disks that are soon above their high watermark, where there is a store to evict to.
  private static final long SMALL_CAPACITY_BYTES = 24L << 20;
  private static final CapacitySettings EVICTS_SOON =
      new CapacitySettings(0.2, 0.08, 30_000_000_000L);

  private record Running(
      SimEnv env, SimNetwork network, CheckedVolume volume, Node node, Flusher flusher) {}

  private final SimWorld world;
  private final SimLinks links;
  private final RandomGenerator random;
  private final RandomGenerator clocks;
  private final Judge judge;
  private final LeaseSettings leases;
  private final Optional<SimStore> store;
  private final long capacityBytes;
  private final long graceMillis;
  private final Map<NodeId, String> voters = new TreeMap<>();
  private final SimLog clusterLog;
  private final SimLog namespaceLog;
  private final List<MemoryVolume.Disk> disks = new ArrayList<>();
  private final List<Running> nodes = new ArrayList<>();
  private final Map<Integer, Long> diskSpeeds = new TreeMap<>();
  private long starts;
  private long formats;
  private long boots;

  SimCluster(SimWorld world, int count, int voterCount, Judge judge, LeaseSettings leases) {
    this(world, count, voterCount, judge, leases, Optional.empty());
  }

  /**
   * @param store what buckets with a store have behind them; then disks are small
   */
  SimCluster(
      SimWorld world,
      int count,
      int voterCount,
      Judge judge,
      LeaseSettings leases,
      Optional<SimStore> store) {
    this(
        world,
        count,
        voterCount,
        judge,
        leases,
        store,
        store.isPresent() ? SMALL_CAPACITY_BYTES : CAPACITY_BYTES,
        GRACE_MILLIS);
  }

  /**
   * With disks of that size.
   *
   * @param graceMillis how long a lost volume is waited for
   */
  SimCluster(
      SimWorld world,
      int count,
      int voterCount,
      Judge judge,
      long capacityBytes,
      long graceMillis) {
    this(
        world,
        count,
        voterCount,
        judge,
        LeaseSettings.OFF,
        Optional.empty(),
        capacityBytes,
        graceMillis);
  }

  private SimCluster(
      SimWorld world,
      int count,
      int voterCount,
      Judge judge,
      LeaseSettings leases,
      Optional<SimStore> store,
      long capacityBytes,
      long graceMillis) {
    this.world = world;
    this.capacityBytes = capacityBytes;
    this.graceMillis = graceMillis;
    this.leases = leases;
    this.store = store;
    this.links = new SimLinks(world);
    this.random = world.stream("cluster");
    this.clocks = world.stream("clocks");
    this.judge = judge;
    links.observe(judge);
    for (int i = 0; i < voterCount; i++) {
      voters.put(name(i), "n" + i + ":1");
    }
    List<NodeId> ids = List.copyOf(voters.keySet());
    clusterLog =
        new SimLog(world, links, "cluster", ids, judge::clusterCommitted, judge::violation);
    namespaceLog =
        new SimLog(world, links, "ns-0", ids, judge::namespaceCommitted, judge::violation);
    for (int i = 0; i < count; i++) {
      disks.add(format(i + 1));
      nodes.add(start(i));
    }
  }

  static NodeId name(int index) {
    return new NodeId("n" + index);
  }

  private MemoryVolume.Disk format(long id) {
    var volume = new VolumeId(id);
    var disk = new MemoryVolume.Disk(volume, new Incarnation(++formats, ++boots), capacityBytes);
    judge.addDisk(disk, volume);
    return disk;
  }

  Node node(int index) {
    return nodes.get(index).node();
  }

  /** What a process has of a node's files: the node's own, or those over the wire. */
  FileService files(int process, int index) {
    Running running = nodes.get(process);
    return process == index
        ? running.node().files()
        : new RemoteFileService(running.env(), running.network(), name(index));
  }

  SimEnv env(int index) {
    return nodes.get(index).env();
  }

  MemoryVolume.Disk disk(int index) {
    return disks.get(index);
  }

  CheckedVolume volume(int index) {
    return nodes.get(index).volume();
  }

  Flusher flusher(int index) {
    return nodes.get(index).flusher();
  }

  Optional<SimStore> store() {
    return store;
  }

  SimLinks links() {
    return links;
  }

  List<SimLog> logs() {
    return List.of(clusterLog, namespaceLog);
  }

  int size() {
    return nodes.size();
  }

  int voters() {
    return voters.size();
  }

  /** Whether the process lives and runs. */
  boolean runs(int index) {
    return !env(index).killed() && !env(index).paused();
  }

  /** Whether every node has a lease and the image of the last commit. */
  boolean allKnow() {
    for (int i = 0; i < size(); i++) {
      var status = node(i).status();
      if (!status.leaseHeld() || status.image().version() < judge.image().version()) {
        return false;
      }
    }
    return true;
  }

  /** One more node, with an empty disk. */
  void join() {
    disks.add(format(disks.size() + 1));
    nodes.add(start(nodes.size()));
  }

  /** The process dies; its disk stays. */
  void kill(int index) {
    nodes.get(index).env().kill();
    nodes.get(index).network().broken();
  }

  /**
   * A dead node's disk is replaced by an empty one: another volume, or the same one formatted anew.
   */
  void replaceDisk(int index) {
    VolumeId old = judge.idOf(disks.get(index));
    long id = random.nextBoolean() ? 1_000 + formats : old.value();
    disks.get(index).all().forEach(chunk -> judge.destroying(chunk.id()));
    disks.set(index, format(id));
    if (id != old.value()) {
      judge.removeDisk(old);
    }
  }

  /** A dead node's machine lost power: what was not synced may be gone. */
  int powerCut(int index) {
    int oneOf = random.nextInt(1, 6);
    return disks
        .get(index)
        .powerCut(++boots, chunk -> loses(chunk, oneOf), torn -> random.nextBoolean());
  }

  private boolean loses(StoredChunk chunk, int oneOf) {
    boolean lost = random.nextInt(oneOf) == 0;
    if (lost) {
      judge.destroying(chunk.id());
    }
    return lost;
  }

  /** A dead node comes back on its disk. */
  void restart(int index) {
    nodes.set(index, start(index));
  }

  /**
   * Runs something in a node's process; empty when it was done, else why not (or not known).
   *
   * @param client whoever waits for it
   * @param withinNanos an operation that takes longer breaks a promise
   */
  Optional<ForebayException> in(SimEnv client, int index, long withinNanos, Runnable action) {
    var ended = new Outcome<Boolean>(client);
    SimEnv env = env(index);
    if (env.killed()) {
      return Optional.of(new ForebayException(ErrorCode.PEER_UNREACHABLE, "the node is down"));
    }
    env.spawn(
        "client",
        () -> {
          try {
            action.run();
            ended.complete(true);
          } catch (ForebayException failure) {
            ended.fail(failure);
          } finally {
            ended.fail(new ForebayException(ErrorCode.PEER_UNREACHABLE, "the node died"));
          }
        });
    if (!ended.awaitUntil(world.nanoTime() + withinNanos)) {
      judge.violation("liveness: an operation at " + env.process() + " does not end");
    }
    if (!ended.isDone()) {
      return Optional.of(new ForebayException(ErrorCode.TIMEOUT, "does not end"));
    }
    Optional<ForebayException> failure = ended.failure().map(ForebayException::wrap);
    if (!env.killed() && failure.filter(each -> each.code() == ErrorCode.INTERNAL).isPresent()) {
      judge.violation("an operation at " + env.process() + " met a bug: " + failure.get());
    }
    return failure;
  }

  /**
   * Gives a node's disk a speed, and those that take its place.
   *
   * @param bytesPerSecond of reads and writes together; 0: as fast as may be
   */
  void diskSpeed(int index, long bytesPerSecond) {
    diskSpeeds.put(index, bytesPerSecond);
    volume(index).speed(bytesPerSecond);
  }

  void cut(int from, int to, boolean on) {
    links.cut(name(from), name(to), on);
  }

  private Running start(int index) {
    NodeId id = name(index);
    SimEnv env = world.env("n" + index + "." + ++starts);
    if (leases.on()) {
      env.clockRate(clocks.nextDouble(0.91, 1.09));
    }
    var network = new SimNetwork(links, env, id);
    var volume = new CheckedVolume(env, new MemoryVolume(env, disks.get(index)), judge);
    volume.speed(diskSpeeds.getOrDefault(index, 0L));
    var pool = new SlabPool(env, 1 << 20, POOL_SLABS);
    var stores =
        new BucketStores(
            url ->
                store
                    .map(behind -> behind.link(env))
                    .orElseThrow(() ->
                        new ForebayException(
                            ErrorCode.STORE_UNREACHABLE, "no store in this world")),
            pool);
    var node =
        new Node(
            env,
            network,
            List.of(volume),
            voters.containsKey(id) ? Optional.of(voter(env, id)) : Optional.empty(),
            pool,
            new SlabPool(env, 1 << 20, BODY_SLABS),
            stores,
            stores,
            new NodeConfig(
                "n" + index + ":1",
                "",
                voters,
                WRITE_MEMORY_BYTES,
                READ_SLICES,
                MEMORY_TIER_BYTES,
                graceMillis,
                COLLECT_NANOS / 1_000_000,
                store.isPresent() ? EVICTS_SOON : CapacitySettings.DEFAULT,
                SCRUB,
                leases,
                true));
    stores.bind(node.plane());
    var flusher =
        new Flusher(env, network, node.plane(), node.manifests(), stores, SimStore.SETTINGS);
    node.plane().onImage(image -> judge.seen(env.process(), image));
    var endpoint =
        new FileEndpoint(
            env,
            node.files(),
            () -> "{}",
            command -> {
              throw new ForebayException(ErrorCode.UNAVAILABLE, "no operators in this world");
            },
            WRITERS_AT_ONCE);
    Outcome<Boolean> _ = node.start(endpoint::handle, flusher::handle);
    store.ifPresent(_ -> node.run("flusher", flusher::run));
    return new Running(env, network, volume, node, flusher);
  }

  private Voter voter(SimEnv env, NodeId id) {
    var cluster = new ClusterLog(env, judge.groupsPerVolume());
    var namespace = new NamespaceCommands(new NamespaceMachine(0));
    boolean replay = starts > nodes.size() && random.nextInt(12) == 0;
    Consensus clusterSeat = clusterLog.join(env, id, new LoggedMachine(cluster), replay);
    try (SortedMap.View view = clusterSeat.map().view()) {
      cluster.load(view);
    }
    Consensus namespaceSeat = namespaceLog.join(env, id, new LoggedMachine(namespace), replay);
    return new Voter(clusterSeat, cluster, namespaceSeat, namespace, Level.NEWEST);
  }
}
