package io.forebay.node.life;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.log.Leadership;
import io.forebay.core.log.LogService;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the leader of the cluster's log does beside logging: takes heartbeats, finds nodes whose
 * lease is over, and some that are slow ({@link Fences}), has them expelled, and has lost volumes
 * replaced after the grace period. Runs on every voter and acts on the leader only.
 *
 * <p>A new leader knows of no lease: it grants everybody a full one, so a change of leader expels
 * nobody.
 */
public final class Coordinator {
  private static final Logger LOG = LoggerFactory.getLogger(Coordinator.class);

  /** How long a heartbeat is good for; counted from its receipt here, from its sending there. */
  public static final long LEASE_NANOS = 1_000_000_000L;

  private static final long LOOK_NANOS = 100_000_000L;
  // An unchanged image holds the answer back for so long: then a change reaches every node at once.
  private static final long HOLD_NANOS = 200_000_000L;
  private static final long UPKEEP_NANOS = 1_000_000_000L;
  // A look that comes later than that finds leases over that nobody could have renewed.
  private static final long STOOD_NANOS = 500_000_000L;
  private static final int EXPIRE_AT_ONCE = 1_000;
  // Beside the image, an answer is a few words.
  private static final int MOST_NEWS_BYTES = Network.MAX_MESSAGE_BYTES - (64 << 10);
  private static final long SAY_NANOS = 60_000_000_000L;

  private record Lease(long registration, long untilNanos) {}

  private final Env env;
  private final LogService log;
  private final ClusterLog state;
  private final ControlPlane plane;
  private final long graceMillis;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<NodeId, Lease> leases = new TreeMap<>(); // guarded by lock
  private final Fences fences; // guarded by lock
  private final SessionReaper sessions; // of tend() alone
  private long term = -1; // guarded by lock
  private long termSinceNanos; // guarded by lock
  private Optional<Long> tooLargeSaidNanos = Optional.empty(); // guarded by lock

  /**
   * @param log of the cluster
   * @param graceMillis how long a lost volume is waited for
   */
  public Coordinator(
      Env env, LogService log, ClusterLog state, ControlPlane plane, long graceMillis) {
    this.env = env;
    this.log = log;
    this.state = state;
    this.plane = plane;
    this.graceMillis = graceMillis;
    this.fences = new Fences(env);
    this.sessions = new SessionReaper(env, plane);
  }

  /** Nodes that are out because they are slow; none unless this voter leads. */
  public List<Fenced> fenced() {
    lock.lock();
    try {
      Leadership now = log.leadership();
      return now.self() && now.term() == term ? fences.all() : List.of();
    } finally {
      lock.unlock();
    }
  }

  /** Takes a heartbeat; the answer waits a moment for a newer image than the node has. */
  public Reply heartbeat(ControlMessage.Heartbeat heartbeat) {
    Leadership leadership = log.leadership();
    if (!leadership.self()) {
      return Reply.of(new ControlMessage.NotLeader(leadership.leader()));
    }
    lock.lock();
    try {
      enter(leadership);
      leases.merge(
          heartbeat.node(),
          new Lease(heartbeat.registration(), env.nanoTime() + LEASE_NANOS),
          (old, renewed) -> renewed.registration() >= old.registration() ? renewed : old);
      fences.heard(heartbeat, isOut(heartbeat));
    } finally {
      lock.unlock();
    }
    state.awaitNewer(heartbeat.knownVersion(), env.nanoTime() + HOLD_NANOS);
    Optional<byte[]> all = state.news(heartbeat.knownVersion());
    Optional<byte[]> news = all.filter(bytes -> bytes.length <= MOST_NEWS_BYTES);
    if (news.isEmpty()) {
      all.ifPresent(bytes -> sayTooLarge(heartbeat.node(), bytes.length));
    }
    Optional<Fenced> slow = fenced(heartbeat);
    if (slow.isPresent()) {
      return Reply.of(new ControlMessage.Fenced(news, slow.get().sinceMillis(), slow.get().why()));
    }
    return Reply.of(
        new ControlMessage.HeartbeatAck(leadership.term(), state.image().version(), news));
  }

  private void sayTooLarge(NodeId node, int bytes) {
    lock.lock();
    try {
      if (tooLargeSaidNanos.isPresent() && env.nanoTime() - tooLargeSaidNanos.get() < SAY_NANOS) {
        return;
      }
      tooLargeSaidNanos = Optional.of(env.nanoTime());
    } finally {
      lock.unlock();
    }
    LOG.error(
        "the cluster's image has {} bytes, and {} are the most that can be sent: node {} does not"
            + " learn it, and takes no writes; delete buckets or access keys",
        bytes,
        MOST_NEWS_BYTES,
        node);
  }

  /** Whether the run of a node that sends it was put out, for whatever reason. */
  private boolean isOut(ControlMessage.Heartbeat heartbeat) {
    return state
        .image()
        .node(heartbeat.node())
        .filter(node -> node.registration() == heartbeat.registration())
        .filter(node -> node.state() == NodeState.DOWN)
        .isPresent();
  }

  private Optional<Fenced> fenced(ControlMessage.Heartbeat heartbeat) {
    boolean out = isOut(heartbeat);
    lock.lock();
    try {
      return out ? fences.fenced(heartbeat.node(), heartbeat.registration()) : Optional.empty();
    } finally {
      lock.unlock();
    }
  }

  private void enter(Leadership leadership) {
    if (leadership.term() != term) {
      term = leadership.term();
      termSinceNanos = env.nanoTime();
      leases.clear();
      fences.clear();
    }
  }

  /** Puts out who is not heard of, or is slow, while this voter leads; until interrupted. */
  public void run() {
    while (true) {
      long asleepNanos = env.nanoTime();
      env.sleep(LOOK_NANOS);
      Leadership leadership = log.leadership();
      if (!leadership.self()) {
        continue;
      }
      if (env.nanoTime() - asleepNanos > LOOK_NANOS + STOOD_NANOS) {
        stood();
      }
      try {
        expel(leadership);
        fence();
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // Not the leader any more, or no majority: whoever leads next looks again.
      }
    }
  }

  /**
   * Has what is lost replaced and what is over collected, while this voter leads; until
   * interrupted. A loop of its own: it waits for the logs, and has much to do after a long silence.
   */
  public void tend() {
    while (true) {
      env.sleep(UPKEEP_NANOS);
      Leadership leadership = log.leadership();
      if (!leadership.self()) {
        continue;
      }
      try {
        upkeep(leadership.term());
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // Not the leader any more, or no majority: whoever leads next looks again.
      }
    }
  }

  /** This process stood: that it heard of nobody meanwhile says nothing about anybody. */
  private void stood() {
    lock.lock();
    try {
      leases.clear();
      termSinceNanos = env.nanoTime();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Here and now, or not at all: a leader that is cut off must not have its successor, which hears
   * of everybody, do what it thought of.
   */
  private void expelHere(List<ClusterCommand.ExpelNodes.Run> runs) {
    plane.clusterHere(new ClusterCommand.ExpelNodes(runs));
  }

  private void expel(Leadership leadership) {
    var over = new ArrayList<ClusterCommand.ExpelNodes.Run>();
    lock.lock();
    try {
      enter(leadership);
      long now = env.nanoTime();
      for (NodeRecord node : state.image().nodes()) {
        if (node.state() == NodeState.DOWN) {
          continue;
        }
        Lease lease = leases.get(node.id());
        long until =
            lease == null || lease.registration() < node.registration()
                ? graceFor(node)
                : lease.untilNanos();
        if (now - until >= 0) {
          over.add(new ClusterCommand.ExpelNodes.Run(node.id(), node.registration()));
        }
      }
      over.forEach(fences::silent);
    } finally {
      lock.unlock();
    }
    if (!over.isEmpty()) {
      expelHere(over);
    }
  }

  private void fence() {
    Optional<ClusterCommand.ExpelNodes.Run> slow;
    lock.lock();
    try {
      slow = fences.next(state.image());
    } finally {
      lock.unlock();
    }
    slow.ifPresent(run -> expelHere(List.of(run)));
  }

  private final Map<NodeId, Lease> firstSeen = new TreeMap<>(); // guarded by lock

  /**
   * A run of a node that was never heard of has a full lease from when this leader first saw it.
   */
  private long graceFor(NodeRecord node) {
    Lease seen = firstSeen.get(node.id());
    if (seen == null
        || seen.registration() != node.registration()
        || seen.untilNanos() < termSinceNanos) {
      seen = new Lease(node.registration(), env.nanoTime() + LEASE_NANOS);
      firstSeen.put(node.id(), seen);
    }
    return Math.max(seen.untilNanos(), termSinceNanos + LEASE_NANOS);
  }

  private void upkeep(long term) {
    ClusterImage image = state.image();
    boolean draining = image.nodes().stream().anyMatch(node -> node.state() == NodeState.DRAINING);
    boolean lost = image.volumes().stream().anyMatch(volume -> volume.downSinceMillis() > 0);
    // A disk that was put into the machine of its group's other member makes one domain of two.
    long domains =
        image.volumes().stream()
            .filter(volume -> volume.downSinceMillis() == 0)
            .flatMap(volume -> image.node(volume.node()).stream())
            .filter(node -> node.state() == NodeState.UP)
            .map(NodeRecord::domain)
            .distinct()
            .count();
    // A member whose volume is gone counts as missing: it was not replaced at once when nobody was
    // in sync at that moment.
    boolean weak =
        image.groups().stream()
            .anyMatch(group ->
                group.members().size() < group.family().replicas()
                    || group.members().stream()
                        .anyMatch(member -> image.volume(member.volume()).isEmpty())
                    || domains(image, group) < Math.min(group.family().replicas(), domains));
    if (draining || lost || weak) {
      plane.cluster(new ClusterCommand.ReplaceLost(graceMillis));
    }
    NamespaceResult expired = plane.namespace(new NamespaceCommand.ExpireTick(EXPIRE_AT_ONCE));
    while (expired instanceof NamespaceResult.Expired(int count, boolean more)
        && more
        && count > 0) {
      expired = plane.namespace(new NamespaceCommand.ExpireTick(EXPIRE_AT_ONCE));
    }
    sessions.look(term, state::image, this::isHeard);
  }

  private static long domains(ClusterImage image, Group group) {
    return group.members().stream()
        .flatMap(member -> image.volume(member.volume()).stream())
        .flatMap(volume -> image.node(volume.node()).stream())
        .map(NodeRecord::domain)
        .distinct()
        .count();
  }

  private boolean isHeard(NodeRecord node) {
    lock.lock();
    try {
      Lease lease = leases.get(node.id());
      return lease != null
          && lease.registration() >= node.registration()
          && env.nanoTime() - lease.untilNanos() < 0;
    } finally {
      lock.unlock();
    }
  }
}
