package io.forebay.node;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FileService;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseCache;
import io.forebay.core.log.ControlPlaneClient;
import io.forebay.core.log.LeasedLog;
import io.forebay.core.log.Levels;
import io.forebay.core.log.LogService;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.core.log.VoterEndpoint;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.FileMessage;
import io.forebay.core.net.FlushMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.volume.Volume;
import io.forebay.node.collect.Collector;
import io.forebay.node.life.Balancer;
import io.forebay.node.life.Coordinator;
import io.forebay.node.life.Fenced;
import io.forebay.node.life.NodeAgent;
import io.forebay.node.life.OwnFill;
import io.forebay.node.life.SlowVoter;
import io.forebay.node.read.ChunkReader;
import io.forebay.node.read.ManifestReader;
import io.forebay.node.read.ReadMemory;
import io.forebay.node.read.StoreReads;
import io.forebay.node.replica.DoubtedChunks;
import io.forebay.node.replica.Fill;
import io.forebay.node.replica.Lease;
import io.forebay.node.replica.MemoryTier;
import io.forebay.node.replica.Recency;
import io.forebay.node.replica.Replica;
import io.forebay.node.replica.Volumes;
import io.forebay.node.resync.Repair;
import io.forebay.node.resync.Resync;
import io.forebay.node.resync.Scrubber;
import io.forebay.node.retain.Retention;
import io.forebay.node.service.NodeFileService;
import io.forebay.node.write.ChunkSender;
import io.forebay.node.write.Session;
import io.forebay.node.write.WriteMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Function;

/** One node: everything between its ports. The same in production and in the simulator. */
public final class Node implements AutoCloseable {
  private final Env env;
  private final Network network;
  private final ControlPlaneClient plane;
  private final Volumes volumes;
  private final Lease lease;
  private final Fill fill;
  private final Replica replica;
  private final OwnFill ownFill;
  private final ChunkSender sender;
  private final Session session;
  private final ManifestReader manifests;
  private final Resync resync;
  private final Repair repair;
  private final List<Scrubber> scrubbers = new ArrayList<>();
  private final Collector collector;
  private final NodeAgent agent;
  private final NodeFileService files;
  private final WriteMemory writeMemory;
  private final ReadMemory readMemory;
  private final MemoryTier memoryTier;
  private final LeaseCache leases;
  private final List<LogService> logs = new ArrayList<>();
  private final Optional<Coordinator> coordinator;
  private final Optional<Balancer> balancer;
  private final Optional<Retention> retention;
  private final Optional<VoterEndpoint> voterEndpoint;
  private final Optional<LeasedLog> leasedLog;
  private final Optional<Levels> levels;
  private final List<Thread> threads = new ArrayList<>();

  /**
   * Puts a node together; nothing runs before {@link #start}.
   *
   * @param volumes its data directories, open; closed with the node
   * @param voter present when the node runs the control plane
   * @param pool buffers for reading
   * @param bodies buffers for bodies on their way in; more than the memory for writing
   * @param store how flushed bytes are read
   * @param heads how store objects are looked at
   */
  public Node(
      Env env,
      Network network,
      List<Volume> volumes,
      Optional<Voter> voter,
      SlabPool pool,
      SlabPool bodies,
      StoreReads store,
      NodeFileService.StoreHeads heads,
      NodeConfig config) {
    this.env = env;
    this.network = network;
    this.volumes = new Volumes(volumes);
    this.lease = new Lease(env);
    this.plane = new ControlPlaneClient(env, network, List.copyOf(config.voters().keySet()));
    this.leases = new LeaseCache(env);
    if (config.leases().on()) {
      plane.lease(leases, config.leases().except());
    }
    this.writeMemory = new WriteMemory(env, plane, config.writeMemoryBytes());
    this.readMemory = new ReadMemory(env, config.readSlices());
    this.memoryTier = new MemoryTier(env, config.memoryTierBytes());
    var doubts = new DoubtedChunks(env);
    var recency =
        new Recency(
            env, volumes.stream().mapToLong(volume -> volume.usage().capacityBytes()).sum());
    this.fill = new Fill(env, config.capacity());
    this.replica =
        new Replica(env, this.volumes, plane, pool, memoryTier, lease, doubts, fill, recency);
    this.ownFill = new OwnFill(env, network, plane::image, fill);
    this.sender =
        new ChunkSender(env, network, plane, ownFill::fuller, config.capacity().waitNanos());
    this.session = new Session(env, plane, network.self());
    ChunkReader chunks =
        new ChunkReader(env, network, this.volumes, plane, pool, memoryTier, doubts, recency);
    this.manifests = new ManifestReader(chunks, store, pool);
    this.resync = new Resync(env, network, this.volumes, replica, plane, chunks, fill);
    this.repair = new Repair(env, network, this.volumes, plane, chunks, doubts, fill, pool);
    for (Volume volume : this.volumes.all()) {
      scrubbers.add(new Scrubber(env, network, plane, volume, pool, doubts, config.scrub()));
    }
    this.collector =
        new Collector(
            env,
            this.volumes,
            replica,
            plane,
            network,
            fill,
            recency,
            config.collectMillis() * 1_000_000L);
    this.agent =
        new NodeAgent(
            env,
            network,
            plane,
            this.volumes,
            lease,
            config.address(),
            config.domain(),
            config.voters(),
            sender::slowVolumes,
            session::startOver);
    this.files =
        new NodeFileService(
            env,
            plane,
            session,
            sender,
            manifests,
            bodies,
            writeMemory,
            readMemory,
            heads,
            config.voters().keySet());
    if (voter.isPresent()) {
      var cluster = new LogService(env, voter.get().cluster(), voter.get().clusterLog());
      var leased = new LeasedLog(env, network, voter.get().namespace(), config.leases());
      var namespace =
          new LogService(
              env, voter.get().namespace(), voter.get().namespaceCommands(), Optional.of(leased));
      this.leasedLog = Optional.of(leased);
      logs.add(cluster);
      logs.add(namespace);
      if (config.voters().size() == 1) {
        NamespaceCommands commands = voter.get().namespaceCommands();
        plane.askHere(query -> namespace.read(view -> commands.query(view, query)));
      }
      Map<String, LogService> byName = new TreeMap<>();
      byName.put(ControlPlaneClient.CLUSTER, cluster);
      byName.put(ControlPlaneClient.NAMESPACE, namespace);
      this.voterEndpoint = Optional.of(new VoterEndpoint(byName));
      this.levels =
          Optional.of(
              new Levels(
                  env, network, List.copyOf(config.voters().keySet()), logs, voter.get().level()));
      this.coordinator =
          Optional.of(
              new Coordinator(env, cluster, voter.get().clusterLog(), plane, config.graceMillis()));
      this.balancer =
          Optional.of(
              new Balancer(
                  env, network, () -> cluster.leadership().self(), plane, config.balances()));
      this.retention = Optional.of(new Retention(env, () -> cluster.leadership().self(), plane));
    } else {
      this.leasedLog = Optional.empty();
      this.levels = Optional.empty();
      this.voterEndpoint = Optional.empty();
      this.coordinator = Optional.empty();
      this.balancer = Optional.empty();
      this.retention = Optional.empty();
    }
  }

  /**
   * Begins to serve and to take part.
   *
   * @param fileMessages answers messages for the file service
   * @param flushMessages answers other nodes' flushers
   * @return complete once the node is registered and may take writes
   */
  public Outcome<Boolean> start(
      BiFunction<FileMessage, Optional<Bytes>, Reply> fileMessages,
      Function<FlushMessage, Reply> flushMessages) {
    network.serve(
        (from, message, payload) -> answer(message, payload, fileMessages, flushMessages), replica);
    run("agent", agent::run);
    coordinator.ifPresent(each -> run("coordinator", each::run));
    coordinator.ifPresent(each -> run("upkeep", each::tend));
    balancer.ifPresent(each -> run("balancer", each::run));
    retention.ifPresent(each -> run("retention", each::run));
    leasedLog.ifPresent(each -> run("leases", each::run));
    levels.ifPresent(each -> each.loops().forEach(loop -> run("level", loop)));
    coordinator.ifPresent(_ -> run("slow voter", new SlowVoter(env, logs)::run));
    run("resync", resync::run);
    run("repair", repair::run);
    scrubbers.forEach(each -> run("scrub", each::run));
    run("collector", collector::run);
    run("own fill", ownFill::run);
    run("session", session::report);
    return agent.ready();
  }

  /** Runs something with the node: until it returns, or the node closes and interrupts it. */
  public void run(String name, Runnable task) {
    threads.add(
        env.spawn(
            name,
            () -> {
              try {
                task.run();
              } catch (ForebayException end) {
                if (end.code() != ErrorCode.CANCELLED) {
                  throw end;
                }
              }
            }));
  }

  private Reply answer(
      Message message,
      Optional<Bytes> payload,
      BiFunction<FileMessage, Optional<Bytes>, Reply> fileMessages,
      Function<FlushMessage, Reply> flushMessages) {
    return switch (message) {
      case DataMessage data -> replica.handle(data);
      case FileMessage file -> fileMessages.apply(file, payload);
      case ControlMessage control -> control(control);
      case FlushMessage flush -> flushMessages.apply(flush);
    };
  }

  private Reply control(ControlMessage message) {
    if (message instanceof ControlMessage.Revoke(long run, var directories)) {
      return Reply.of(new ControlMessage.Revoked(leases.revoke(run, directories)));
    }
    if (message instanceof ControlMessage.AskHeld) {
      return Reply.of(fill.held());
    }
    if (voterEndpoint.isEmpty() || coordinator.isEmpty()) {
      return Reply.of(new ControlMessage.NotLeader(Optional.empty()));
    }
    return switch (message) {
      case ControlMessage.Submit submit -> voterEndpoint.get().submit(submit);
      case ControlMessage.Query query -> voterEndpoint.get().query(query);
      case ControlMessage.LeasedQuery query -> voterEndpoint.get().query(query);
      case ControlMessage.AskLevel _ ->
          Reply.of(new ControlMessage.KnownLevel(levels.orElseThrow().known()));
      case ControlMessage.Heartbeat heartbeat -> coordinator.get().heartbeat(heartbeat);
      case ControlMessage.Submitted _,
          ControlMessage.NotLeader _,
          ControlMessage.Answer _,
          ControlMessage.LeasedAnswer _,
          ControlMessage.Revoke _,
          ControlMessage.Revoked _,
          ControlMessage.KnownLevel _,
          ControlMessage.Fenced _,
          ControlMessage.AskHeld _,
          ControlMessage.Held _,
          ControlMessage.HeartbeatAck _ ->
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT,
              "an answer was sent as a request: " + message.getClass().getSimpleName());
    };
  }

  /** Who this is. */
  public NodeId id() {
    return network.self();
  }

  /** Objects and buckets, as doors see them. */
  public FileService files() {
    return files;
  }

  /** The control plane, as this node uses it. */
  public ControlPlaneClient plane() {
    return plane;
  }

  /** Where bytes are; for the flusher. */
  public ManifestReader manifests() {
    return manifests;
  }

  /** Frees what may be freed, now. */
  public void collect() {
    collector.round();
  }

  /** As the leader knows all of them, and each its own. */
  private List<Fenced> fenced() {
    List<Fenced> all = coordinator.map(Coordinator::fenced).orElse(List.of());
    return all.isEmpty() ? agent.fenced().stream().toList() : all;
  }

  /** What the node is doing. */
  public NodeStatus status() {
    return new NodeStatus(
        network.self(),
        lease.held(),
        plane.clusterLog().leader(),
        plane.namespaceLog().leader(),
        plane.image(),
        volumes.all().stream()
            .map(volume ->
                new NodeStatus.VolumeState(
                    volume.id(), volume.usage(), fill.contents(volume.id()), volume.fault()))
            .toList(),
        resync.counters(),
        balancer.map(Balancer::counters).orElse(Balancer.Counters.NONE),
        fenced(),
        sender.slowVolumes(),
        sender.rehomed(),
        sender.waitingForRoom(),
        collector.garbageBytes(),
        collector.evictedBytes(),
        repair.counters(),
        scrubbers.stream()
            .map(Scrubber::counters)
            .reduce(Scrubber.Counters::plus)
            .orElse(Scrubber.Counters.NONE),
        writeMemory.available(),
        readMemory.available(),
        memoryTier.heldBytes(),
        memoryTier.hits(),
        leases.counters(),
        leasedLog.map(LeasedLog::counters),
        levels.map(Levels::lowest).orElse(0));
  }

  /**
   * Says goodbye, so that others need not find out that this node is gone: they write elsewhere
   * from now on. Where it is the only node, or this cannot be logged in time, nothing is different
   * from an end without a word.
   */
  public void leave(long timeoutNanos) {
    boolean others =
        plane.image().nodes().stream()
            .anyMatch(node -> !node.id().equals(id()) && node.state() != NodeState.DOWN);
    if (others) {
      agent.leave(timeoutNanos);
    }
  }

  /** Ends the node's threads and closes its volumes. */
  @Override
  public void close() {
    threads.forEach(Thread::interrupt);
    logs.forEach(LogService::close);
    volumes.all().forEach(Volume::close);
  }
}
