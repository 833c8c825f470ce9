package io.forebay.node.life;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which slow nodes the leader puts out, as if they were dead, and for how long.
 *
 * <p>Why: writers pass a slow volume by, each for itself, but where every group has one they
 * cannot, and each has to find out by a chunk that stands. Out of its groups a node holds up
 * nobody. Why not at once and by anybody's word: what looks slow may be the path to it, or a load
 * that passes.
 *
 * <p>So it takes the word of the node itself, or of two others of different failure domains (where
 * there are no more than three nodes of one, after a while: decision 0029), about most of its
 * volumes. Who is found slow itself, or was out a while ago, is believed about itself only: through
 * a slow NIC all others look slow. And nobody is put out
 *
 * <ul>
 *   <li>who is not heard of, for it is dead and not slow; or who has started anew since it was
 *       talked about;
 *   <li>while more than a third are found slow: then it is the load, or the network;
 *   <li>beside a node of another failure domain that is away, for whatever reason, nor beyond a
 *       twentieth of the volumes, unless it is the only one away;
 *   <li>who is the last one in sync in a group, or without whom a family has no group that takes
 *       writes.
 * </ul>
 *
 * It may come back after a while, twice as long each time that it is found slow again soon; and at
 * once when what is said above does not hold any more, for then it is needed, or when the one node
 * by whose word it is out is itself found slow by two (decision 0034).
 *
 * <p>All of it is the leader's memory: a new leader begins anew, and who was out is back, but is
 * known to come back. One owner: the coordinator, under its lock.
 */
final class Fences {
  private static final Logger LOG = LoggerFactory.getLogger(Fences.class);
  private static final long FIRST_NANOS = 30_000_000_000L;
  private static final long MOST_NANOS = 32 * FIRST_NANOS;
  private static final int SMALL_NODES = 3;
  private static final int MOST_SLOW_PART = 3; // one of so many nodes
  private static final int MOST_AWAY_PART = 20; // one of so many volumes
  // Where one node's word is enough: for so long, so that others' can come, which may be against
  // it.
  private static final long ALONE_NANOS = 300_000_000L;
  private static final long HEARD_NANOS = Coordinator.LEASE_NANOS * 3 / 4;
  // Longer than writers remember what they say.
  private static final long ANEW_NANOS = 10_000_000_000L;

  /** What a node has said last. */
  private record Word(long untilNanos, Map<VolumeId, Long> microsPerMebibyte) {}

  /**
   * A run of a node that is heard of.
   *
   * @param sinceNanos empty when it is the first one that this leader has heard of
   */
  private record Life(long registration, Optional<Long> sinceNanos, long lastNanos) {}

  /**
   * A node that is out.
   *
   * @param by whose words put it out
   */
  private record Fence(
      long registration, long untilNanos, long lengthNanos, List<NodeId> by, Fenced facts) {}

  private record Past(long lengthNanos, long liftedNanos) {}

  private final Env env;
  private final Map<NodeId, Word> words = new TreeMap<>();
  private final Map<NodeId, Life> lives = new TreeMap<>();
  private final Map<NodeId, Fence> fences = new TreeMap<>();
  private final Map<NodeId, Past> past = new TreeMap<>();
  private final Map<NodeId, Long> alone = new TreeMap<>(); // since when one other accuses it

  Fences(Env env) {
    this.env = env;
  }

  /** Forgets everything: another term has begun. */
  void clear() {
    words.clear();
    lives.clear();
    fences.clear();
    past.clear();
    alone.clear();
  }

  /**
   * Takes down which volumes a node finds slow now; what it has said before is over.
   *
   * @param out whether this run of the node was put out
   */
  void heard(ControlMessage.Heartbeat heartbeat, boolean out) {
    NodeId node = heartbeat.node();
    long now = env.nanoTime();
    if (out && !lives.containsKey(node)) {
      // Whoever led before put it out, and it is there: for being slow, as far as is known.
      past.put(node, new Past(FIRST_NANOS, now));
    }
    lives.merge(
        node,
        new Life(heartbeat.registration(), Optional.empty(), now),
        (old, next) ->
            old.registration() == next.registration()
                ? new Life(old.registration(), old.sinceNanos(), now)
                : new Life(next.registration(), Optional.of(now), now));
    var slow = new TreeMap<VolumeId, Long>();
    heartbeat.volumes().stream()
        .filter(stats -> stats.writeMicros() > 0)
        .forEach(stats -> slow.put(stats.volume(), stats.writeMicros()));
    if (slow.isEmpty()) {
      words.remove(node);
    } else {
      words.put(node, new Word(now + Coordinator.LEASE_NANOS, slow));
    }
  }

  /** Takes down that a run of a node is not heard of, and is put out for that. */
  void silent(ClusterCommand.ExpelNodes.Run run) {
    lives.putIfAbsent(
        run.node(), new Life(run.registration(), Optional.empty(), env.nanoTime() - HEARD_NANOS));
  }

  /** Why a run of a node is kept out, if it is. */
  Optional<Fenced> fenced(NodeId node, long registration) {
    return Optional.ofNullable(fences.get(node))
        .filter(fence -> fence.registration() == registration)
        .map(Fence::facts);
  }

  /** Who is out. */
  List<Fenced> all() {
    return fences.values().stream().map(Fence::facts).toList();
  }

  /** Lets back who may come, and says who is to be expelled now. */
  Optional<ClusterCommand.ExpelNodes.Run> next(ClusterImage image) {
    long now = env.nanoTime();
    words.values().removeIf(word -> now - word.untilNanos() >= 0);
    if ((fences.isEmpty() && words.isEmpty()) || !Rule.SLOW_FENCED.holds()) {
      alone.clear();
      return Optional.empty();
    }
    var cluster = new Members(image);
    Set<NodeId> doubtful = new TreeSet<>(words.keySet());
    doubtful.removeIf(from -> !wasOut(from, now));
    for (Map.Entry<NodeId, Fence> each : List.copyOf(fences.entrySet())) {
      Fence fence = each.getValue();
      Optional<NodeRecord> node = image.node(each.getKey());
      if (node.isEmpty() || node.get().registration() != fence.registration()) {
        // It has started anew, or is of a version that knows nothing of this: not twice at once.
        lift(each.getKey(), fence.lengthNanos(), Math.max(now, fence.untilNanos()));
      } else if (now - fence.untilNanos() >= 0 || !cluster.spares(node.get())) {
        lift(each.getKey(), fence.lengthNanos(), now);
        return Optional.empty(); // who comes back may be what another one can be spared for
      } else if (isOutvoted(node.get(), fence, cluster, doubtful)) {
        LOG.warn("node {} was put out by the word of a slow one", node.get().id());
        lift(each.getKey(), 0, now); // not doubted
        return Optional.empty();
      } else if (node.get().state() != NodeState.DOWN) {
        return Optional.of(run(node.get())); // it was not logged
      }
    }
    var accused = new TreeMap<NodeId, Integer>(); // by how many
    for (NodeRecord node : image.nodes()) { // also who may not be put out: its word counts less
      List<NodeId> accusers = accusers(node, cluster, doubtful);
      if (node.state() != NodeState.DOWN && isSlow(node, accusers, cluster)) {
        accused.put(node.id(), accusers.size());
      }
    }
    List<NodeRecord> candidates =
        image.nodes().stream()
            .filter(node -> node.state() == NodeState.UP && mayBeOut(node.id(), now))
            .filter(node -> lives(node, now))
            .toList();
    List<NodeRecord> slow =
        candidates.stream()
            .filter(node -> accused.containsKey(node.id()))
            .filter(node -> isSlow(node, believed(node, cluster, doubtful, accused), cluster))
            .toList();
    alone.keySet().retainAll(slow.stream().map(NodeRecord::id).toList());
    slow =
        slow.stream()
            .filter(node -> isSure(node, believed(node, cluster, doubtful, accused), now))
            .toList();
    if (slow.size() > Math.max(1, image.nodes().size() / MOST_SLOW_PART)) {
      return Optional.empty();
    }
    slow.forEach(node -> doubtful.add(node.id()));
    for (NodeRecord node : slow) {
      List<NodeId> accusers = accusers(node, cluster, doubtful);
      if (isSlow(node, accusers, cluster) && cluster.spares(node)) {
        fence(node, accusers, cluster, now);
        return Optional.of(run(node));
      }
    }
    return Optional.empty();
  }

  private static ClusterCommand.ExpelNodes.Run run(NodeRecord node) {
    return new ClusterCommand.ExpelNodes.Run(node.id(), node.registration());
  }

  private void lift(NodeId node, long lengthNanos, long now) {
    LOG.info("node {} may take writes again", node);
    fences.remove(node);
    past.put(node, new Past(lengthNanos, now));
  }

  private boolean mayBeOut(NodeId node, long now) {
    return Optional.ofNullable(past.get(node))
        .map(before -> now - before.liftedNanos() >= 0)
        .orElse(true);
  }

  /**
   * Whether it is this run of the node that is talked about; who was out was there all the time.
   */
  private boolean lives(NodeRecord node, long now) {
    return Optional.ofNullable(lives.get(node.id()))
        .filter(life -> life.registration() == node.registration())
        .filter(life -> now - life.lastNanos() < HEARD_NANOS)
        .filter(life ->
            life.sinceNanos()
                .filter(since -> now - since < ANEW_NANOS && !cameBack(node.id(), since))
                .isEmpty())
        .isPresent();
  }

  private boolean cameBack(NodeId node, long atNanos) {
    return Optional.ofNullable(past.get(node))
        .filter(before -> Math.abs(atNanos - before.liftedNanos()) < ANEW_NANOS)
        .isPresent();
  }

  /** Whether it is out, or was so lately that it would be out for longer now. */
  private boolean wasOut(NodeId node, long now) {
    return fences.containsKey(node) || lately(node, now).isPresent();
  }

  private Optional<Past> lately(NodeId node, long now) {
    return Optional.ofNullable(past.get(node))
        .filter(before -> now - before.liftedNanos() < 2 * before.lengthNanos());
  }

  private void fence(NodeRecord node, List<NodeId> accusers, Members cluster, long now) {
    long length =
        lately(node.id(), now)
            .map(before -> Math.min(2 * before.lengthNanos(), MOST_NANOS))
            .orElse(FIRST_NANOS);
    long micros =
        accusers.stream()
            .flatMap(accuser -> Optional.ofNullable(words.get(accuser)).stream())
            .flatMap(word -> word.microsPerMebibyte().entrySet().stream())
            .filter(slow -> cluster.volumes(node.id()).contains(slow.getKey()))
            .mapToLong(Map.Entry::getValue)
            .max()
            .orElse(0);
    String why =
        "chunks take it "
            + micros / 1_000
            + " ms for each MiB or more, or are not taken for so long, by the word of "
            + accusers.stream().map(NodeId::name).collect(Collectors.joining(" and "));
    LOG.warn("node {} is put out for {} s: {}", node.id(), length / 1_000_000_000, why);
    fences.put(
        node.id(),
        new Fence(
            node.registration(),
            now + length,
            length,
            accusers,
            new Fenced(node.id(), env.wallMillis(), why)));
  }

  /**
   * Whether it is out by the word of one node only, which two find slow now, this one counted: who
   * is out still sends to that one. Not by one word against it: that may be any.
   */
  private boolean isOutvoted(NodeRecord node, Fence fence, Members cluster, Set<NodeId> doubtful) {
    if (fence.by().size() != 1 || fence.by().contains(node.id())) {
      return false;
    }
    Optional<NodeRecord> accuser =
        cluster.node(fence.by().getFirst()).filter(each -> each.state() == NodeState.UP);
    if (accuser.isEmpty()) {
      return false;
    }
    var others = new TreeSet<>(doubtful);
    others.remove(node.id());
    List<NodeId> against = accusers(accuser.get(), cluster, others);
    return against.contains(accuser.get().id()) || cluster.domains(against) > 1;
  }

  /** By its own word or two others', or by that of one for long enough. */
  private boolean isSure(NodeRecord node, List<NodeId> accusers, long now) {
    if (accusers.size() > 1 || accusers.contains(node.id())) {
      return true;
    }
    return now - alone.computeIfAbsent(node.id(), any -> now) >= ALONE_NANOS;
  }

  private static boolean isSlow(NodeRecord node, List<NodeId> accusers, Members cluster) {
    int needed = cluster.nodes() <= SMALL_NODES ? 1 : 2;
    return accusers.contains(node.id()) || cluster.domains(accusers) >= needed;
  }

  /**
   * Who finds most volumes of a node slow.
   *
   * @param doubtful who is believed about itself only
   */
  private List<NodeId> accusers(NodeRecord node, Members cluster, Set<NodeId> doubtful) {
    Set<VolumeId> volumes = cluster.volumes(node.id());
    var accusers = new ArrayList<NodeId>();
    words.forEach((from, word) -> {
      long slow = volumes.stream().filter(word.microsPerMebibyte()::containsKey).count();
      if (2 * slow > volumes.size() && (from.equals(node.id()) || !doubtful.contains(from))) {
        accusers.add(from);
      }
    });
    return accusers;
  }

  /** Of its accusers those that fewer speak against than against itself. */
  private List<NodeId> believed(
      NodeRecord node, Members cluster, Set<NodeId> doubtful, Map<NodeId, Integer> accused) {
    return accusers(node, cluster, doubtful).stream()
        .filter(from ->
            from.equals(node.id())
                || accused.getOrDefault(from, 0) < accused.getOrDefault(node.id(), 0))
        .toList();
  }

  /** An image, as far as groups count on its nodes. */
  private static final class Members {
    private final ClusterImage image;
    private final Map<NodeId, Set<VolumeId>> volumes = new TreeMap<>();
    private int count;

    Members(ClusterImage image) {
      this.image = image;
      var counted = new TreeSet<VolumeId>();
      image.groups().forEach(group -> group.members().forEach(each -> counted.add(each.volume())));
      for (VolumeRecord volume : image.volumes()) {
        if (counted.contains(volume.id())) {
          volumes.computeIfAbsent(volume.node(), any -> new TreeSet<>()).add(volume.id());
          count++;
        }
      }
    }

    int nodes() {
      return image.nodes().size();
    }

    Optional<NodeRecord> node(NodeId id) {
      return image.node(id);
    }

    /** Of how many failure domains they are. */
    long domains(List<NodeId> nodes) {
      return nodes.stream()
          .flatMap(id -> node(id).stream())
          .map(NodeRecord::domain)
          .distinct()
          .count();
    }

    Set<VolumeId> volumes(NodeId node) {
      return volumes.getOrDefault(node, new TreeSet<>());
    }

    /** Whether all is well enough without this node. */
    boolean spares(NodeRecord node) {
      List<NodeRecord> away =
          image.nodes().stream()
              .filter(each -> each.state() == NodeState.DOWN || each.id().equals(node.id()))
              .filter(each -> !volumes(each.id()).isEmpty())
              .toList();
      int out = away.stream().mapToInt(each -> volumes(each.id()).size()).sum();
      return away.stream().allMatch(each -> each.domain().equals(node.domain()))
          && (away.size() <= 1 || out <= count / MOST_AWAY_PART)
          && groupsSpare(volumes(node.id()));
    }

    private boolean groupsSpare(Set<VolumeId> out) {
      var served = new TreeMap<Family, Boolean>();
      for (Group group : image.groups()) {
        long inSync =
            group.in(MemberState.IN_SYNC).stream()
                .filter(member -> !out.contains(member.volume()))
                .count();
        boolean affected =
            group.members().stream().anyMatch(member -> out.contains(member.volume()));
        if (affected && inSync == 0) {
          return false;
        }
        long writers =
            group.writers().stream().filter(member -> !out.contains(member.volume())).count();
        boolean writable = !group.reviving() && inSync > 0 && writers >= group.family().minInSync();
        served.merge(group.family(), writable, Boolean::logicalOr);
      }
      return served.values().stream().allMatch(Boolean::booleanValue);
    }
  }
}
