package io.forebay.node.life;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.ImageNews;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlaneClient;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.SessionEntry;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeUsage;
import io.forebay.node.replica.Lease;
import io.forebay.node.replica.Volumes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;

/**
 * This node's place in the cluster: registers, then sends one heartbeat after the other to the
 * leader, each answered as soon as there is news. When the leader calls the node down, it registers
 * anew; but not while it is kept out for being slow.
 */
public final class NodeAgent {
  private static final long CALL_NANOS = 700_000_000L;
  private static final long PAUSE_NANOS = 50_000_000L;
  private static final long REFUSED_NANOS = 5 * Coordinator.LEASE_NANOS;
  private static final RecordCodec<ImageNews> NEWS = RecordCodec.of(ImageNews.class);

  private final Env env;
  private final Network network;
  private final ControlPlaneClient plane;
  private final Volumes volumes;
  private final Lease lease;
  private final String address;
  private final String domain;
  private final Map<NodeId, String> seeds;
  private final Supplier<Map<VolumeId, Long>> slow;
  private final Runnable doubted;
  private final Outcome<Boolean> ready;
  private volatile Optional<Fenced> fenced = Optional.empty();
  private long begunNanos; // of the thread that runs
  private volatile boolean leaving;

  /**
   * @param address HOST:PORT at which others reach this node
   * @param seeds addresses of the voters, known before any image is
   * @param slow volumes that this node's writers find slow, with what they take for a MiB, in
   *     microseconds
   * @param doubted told when the node registers anew: it may have been held for dead, and what was
   *     its own may have been ended
   */
  public NodeAgent(
      Env env,
      Network network,
      ControlPlaneClient plane,
      Volumes volumes,
      Lease lease,
      String address,
      String domain,
      Map<NodeId, String> seeds,
      Supplier<Map<VolumeId, Long>> slow,
      Runnable doubted) {
    this.env = env;
    this.network = network;
    this.plane = plane;
    this.volumes = volumes;
    this.lease = lease;
    this.address = address;
    this.domain = domain;
    this.seeds = new TreeMap<>(seeds);
    this.slow = slow;
    this.doubted = doubted;
    this.ready = new Outcome<>(env);
    plane.onImage(this::learnAddresses);
  }

  /** Complete once the node is registered and holds a lease. */
  public Outcome<Boolean> ready() {
    return ready;
  }

  /** Why this node is kept out, while it is. */
  public Optional<Fenced> fenced() {
    return fenced;
  }

  private void learnAddresses(ClusterImage image) {
    var book = new TreeMap<>(seeds);
    for (NodeRecord node : image.nodes()) {
      book.put(node.id(), node.address());
    }
    network.addresses(book);
  }

  /**
   * Has the cluster go on without this node at once, as it would when its lease is over: its
   * volumes are OUT. It does not register again. Where that cannot be had logged in time, the lease
   * ends.
   */
  public void leave(long timeoutNanos) {
    leaving = true;
    Optional<NodeRecord> self = plane.image().node(network.self());
    if (self.isEmpty() || self.get().state() == NodeState.DOWN) {
      return;
    }
    var run = new ClusterCommand.ExpelNodes.Run(network.self(), self.get().registration());
    var left = new Outcome<Boolean>(env);
    Thread goodbye =
        env.spawn(
            "goodbye",
            () -> {
              try {
                ClusterResult _ = plane.cluster(new ClusterCommand.ExpelNodes(List.of(run)));
                left.complete(true);
              } catch (ForebayException failure) {
                left.complete(false);
              }
            });
    boolean _ = left.awaitUntil(env.nanoTime() + timeoutNanos);
    goodbye.interrupt();
  }

  /** Registers and keeps the lease, until interrupted or it leaves. */
  public void run() {
    begunNanos = env.nanoTime();
    boolean first = true;
    while (!leaving) {
      try {
        int announced = partaking().size();
        long registration = register();
        if (first) {
          endFormerSessions();
          first = false;
        } else {
          doubted.run();
        }
        beat(registration, announced);
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // No leader yet, or none any more: without a lease no write is taken, and this goes on
        // trying.
        env.sleep(PAUSE_NANOS);
      }
    }
  }

  /**
   * The volumes that take part. One that cannot be written is turned out, and the node lives; but
   * not while nobody else of one of its groups is in sync, for it can be read: also where nobody is
   * at all, after its node was out, it may be the only one that has all.
   */
  private List<Volume> partaking() {
    ClusterImage image = plane.image();
    return volumes.all().stream()
        .filter(volume ->
            volume.fault().isEmpty()
                // Who was turned out stays out.
                || (image.volume(volume.id()).isPresent()
                    && image.groups().stream()
                        .filter(group -> group.member(volume.id()).isPresent())
                        .anyMatch(group ->
                            group.in(MemberState.IN_SYNC).stream()
                                .allMatch(member -> member.volume().equals(volume.id())))))
        .toList();
  }

  private long register() {
    var announced = new ArrayList<ClusterCommand.RegisterNode.Announced>();
    for (Volume volume : partaking()) {
      announced.add(
          new ClusterCommand.RegisterNode.Announced(
              volume.id(), volume.incarnation(), volume.usage().capacityBytes()));
    }
    ClusterResult result =
        plane.cluster(new ClusterCommand.RegisterNode(network.self(), address, domain, announced));
    fenced = Optional.empty();
    return switch (result) {
      case ClusterResult.Done(long version, var note) -> version;
      case ClusterResult.Refused(var code, var message) -> {
        // What stands against it may be the node's own former run, which nobody has called down
        // yet.
        if (!ready.isDone() && env.nanoTime() - begunNanos >= REFUSED_NANOS) {
          ready.fail(new ForebayException(code, message));
        }
        throw new ForebayException(code, message);
      }
    };
  }

  /**
   * What an earlier run of this node has not published is garbage; nobody publishes it any more
   * (rule G2).
   */
  private void endFormerSessions() {
    if (plane.query(new NamespaceQuery.Sessions())
        instanceof NamespaceAnswer.OpenSessions(var sessions)) {
      for (SessionEntry session : sessions) {
        if (session.node().equals(network.self())) {
          plane.namespace(new NamespaceCommand.CloseSession(session.session()));
        }
      }
    }
    plane.namespace(new NamespaceCommand.FlushAbandon(network.self()));
  }

  private void beat(long registeredVersion, int announced) {
    while (true) {
      if (partaking().size() != announced) {
        return; // registers anew, without the one that failed
      }
      NodeId voter = plane.clusterLog().leader();
      long sentNanos = env.nanoTime();
      long registration =
          plane
              .image()
              .node(network.self())
              .map(NodeRecord::registration)
              .orElse(registeredVersion);
      try {
        Reply reply =
            network
                .call(
                    voter,
                    new ControlMessage.Heartbeat(
                        network.self(), registration, plane.image().version(), stats()),
                    Optional.empty(),
                    CALL_NANOS)
                .await();
        switch (reply.message()) {
          case ControlMessage.HeartbeatAck(long term, long version, var news) -> {
            take(news);
            if (plane.image().version() < registeredVersion) {
              env.sleep(PAUSE_NANOS); // it was not told, which may stay so
              continue;
            }
            Optional<NodeRecord> self = plane.image().node(network.self());
            if (self.isEmpty() || self.get().state() == NodeState.DOWN) {
              return; // registers anew
            }
            lease.renew(sentNanos, Coordinator.LEASE_NANOS);
            ready.complete(true);
          }
          case ControlMessage.Fenced(var news, long sinceMillis, var why) -> {
            take(news);
            fenced = Optional.of(new Fenced(network.self(), sinceMillis, why));
          }
          case ControlMessage.NotLeader(var hint) -> {
            plane.clusterLog().leaderIs(voter, hint);
            env.sleep(PAUSE_NANOS);
          }
          default ->
              throw new ForebayException(
                  ErrorCode.WRONG_VERSION, voter + " answered a heartbeat with " + reply.message());
        }
      } catch (ForebayException failure) {
        switch (failure.code()) {
          case PEER_UNREACHABLE, TIMEOUT -> {
            plane.clusterLog().silent(voter);
            env.sleep(PAUSE_NANOS);
          }
          case UNAVAILABLE, BUSY -> {
            plane.clusterLog().leaderIs(voter, Optional.empty());
            env.sleep(PAUSE_NANOS);
          }
          default -> throw failure;
        }
      }
    }
  }

  private void take(Optional<byte[]> news) {
    news.flatMap(bytes -> NEWS.decode(bytes).after(plane.image())).ifPresent(plane::offer);
  }

  private List<ControlMessage.Heartbeat.VolumeStats> stats() {
    var others = new TreeMap<>(slow.get());
    var stats = new ArrayList<ControlMessage.Heartbeat.VolumeStats>();
    for (Volume volume : partaking()) {
      VolumeUsage usage = volume.usage();
      stats.add(
          new ControlMessage.Heartbeat.VolumeStats(
              volume.id(),
              usage.capacityBytes(),
              usage.usedBytes(),
              usage.queuedBytes(),
              Optional.ofNullable(others.remove(volume.id())).orElse(0L),
              false));
    }
    others.forEach((volume, micros) ->
        stats.add(new ControlMessage.Heartbeat.VolumeStats(volume, 0, 0, 0, micros, false)));
    return stats;
  }
}
