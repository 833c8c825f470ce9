package io.forebay.node.life;

import io.forebay.core.cluster.Balance;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.GroupRules;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.net.Network;
import io.forebay.core.rule.Rule;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has groups move from full volumes to empty ones, on the voter that leads: one at a time, as
 * {@link Balance} chooses it from what all nodes say that they hold. The volume that takes a group
 * in catches up by re-sync, within its bounds.
 *
 * <p>While anything is not whole nothing begins. What is on its way is taken back when that lasts,
 * or at once where the volume is to take in what lacks a copy; and when it gets on no more. But
 * whoever catches up on a volume that has no room for what it lacks is replaced by one that has,
 * for that group would wait for ever.
 *
 * <p>What nodes say counts only if they have looked since the last change: a volume that has just
 * given a group away still has its chunks, and one that has taken it in did not count them. So
 * between two moves every node has looked over all its volumes once, which is their pace, too.
 */
public final class Balancer {
  private static final Logger LOG = LoggerFactory.getLogger(Balancer.class);
  private static final long LOOK_NANOS = 2_000_000_000L;
  // Of a thousand nodes some hundred kilobytes come back.
  private static final long PAUSE_NANOS = 10_000_000_000L;
  // What has arrived is seen when its node has looked over its disks, which takes minutes where
  // they
  // are large, and of what is clean nothing is seen.
  private static final long STALLED_NANOS = 3_600_000_000_000L;
  // A node that restarts takes less, and before that nothing is copied for lost volumes by default.
  private static final long AWAY_NANOS = 120_000_000_000L;
  private static final long REST_NANOS = 3_600_000_000_000L;

  /**
   * What was done while this voter led.
   *
   * @param begun moves that were logged
   * @param givenUp moves that were taken back before they came to their end
   */
  public record Counters(long begun, long givenUp) {
    /** Of a node that never leads. */
    public static final Counters NONE = new Counters(0, 0);
  }

  /** A move, and how far it had got when it last got on. */
  private record Watched(GroupId group, VolumeId to, long bytes, long sinceNanos) {}

  private final Env env;
  private final HeldQuery query;
  private final BooleanSupplier leads;
  private final ControlPlane plane;
  private final boolean on;
  private final AtomicLong begun = new AtomicLong();
  private final AtomicLong givenUp = new AtomicLong();
  // All the loop's own.
  private Optional<Long> wholeSinceNanos = Optional.empty();
  private long askedNanos; // or whole since
  private Optional<Watched> watched = Optional.empty();
  private List<Balance.Cramped> cramped = List.of();
  private Optional<Long> lackingSinceNanos = Optional.empty(); // while something moves
  private final Map<VolumeId, Long> restUntilNanos = new TreeMap<>();

  /**
   * @param leads whether this voter is the one to act
   * @param on whether anything may begin
   */
  public Balancer(Env env, Network network, BooleanSupplier leads, ControlPlane plane, boolean on) {
    this.env = env;
    this.query = new HeldQuery(network);
    this.leads = leads;
    this.plane = plane;
    this.on = on;
  }

  /** The counters now. */
  public Counters counters() {
    return new Counters(begun.get(), givenUp.get());
  }

  /** Looks for as long as this voter leads; until interrupted. */
  public void run() {
    while (true) {
      env.sleep(LOOK_NANOS);
      if (!leads.getAsBoolean()) {
        wholeSinceNanos = Optional.empty();
        watched = Optional.empty();
        lackingSinceNanos = Optional.empty();
        continue;
      }
      try {
        look(plane.image());
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // Not the leader any more, no majority, or a node that does not answer: later.
      }
    }
  }

  /** One look, on the leader. */
  void look(ClusterImage image) {
    long now = env.nanoTime();
    restUntilNanos.values().removeIf(until -> now - until >= 0);
    List<Balance.Moving> moving = Balance.moving(image);
    if (!moving.isEmpty()) {
      wholeSinceNanos = Optional.empty();
      moving.forEach(each -> watch(image, each));
      return;
    }
    watched = Optional.empty();
    lackingSinceNanos = Optional.empty();
    if (!GroupRules.whole(image)) {
      wholeSinceNanos = Optional.empty();
      boolean joining =
          image.groups().stream().anyMatch(group -> !group.in(MemberState.SYNCING).isEmpty());
      if (joining && now - askedNanos >= PAUSE_NANOS) {
        askedNanos = now;
        Map<VolumeId, Map<GroupId, Long>> held = query.all(there(image), Long.MAX_VALUE);
        sayCramped(Balance.cramped(image, held));
        Balance.instead(image, held).ifPresent(this::begin);
      }
    } else if (wholeSinceNanos.isEmpty()) {
      cramped = List.of();
      wholeSinceNanos = Optional.of(now);
      askedNanos = now;
    } else if (on && now - askedNanos >= PAUSE_NANOS && Rule.BALANCED.holds()) {
      askedNanos = now;
      Map<VolumeId, Map<GroupId, Long>> held = query.all(there(image), now - wholeSinceNanos.get());
      Balance.next(image, held, restUntilNanos.keySet()).ifPresent(this::begin);
    }
  }

  /** Nodes that can say what they hold; also those that are being emptied. */
  private static List<NodeId> there(ClusterImage image) {
    return image.nodes().stream()
        .filter(node -> node.state() != NodeState.DOWN)
        .map(NodeRecord::id)
        .toList();
  }

  private void sayCramped(List<Balance.Cramped> found) {
    for (Balance.Cramped each : found) {
      if (cramped.stream()
          .noneMatch(before ->
              before.group().equals(each.group()) && before.volume().equals(each.volume()))) {
        LOG.warn(
            "{} cannot revive: {} has no room for {} bytes that it lacks, but for {}",
            each.group(),
            each.volume(),
            each.lackingBytes(),
            each.roomBytes());
      }
    }
    cramped = found;
  }

  private void begin(ClusterCommand.MoveMember move) {
    wholeSinceNanos = Optional.empty();
    if (plane.cluster(move) instanceof ClusterResult.Done) {
      begun.incrementAndGet();
      LOG.info("{} moves from {} to {}", move.group(), move.from(), move.to());
    }
  }

  /** Takes a move back that others have to wait for, or that does not get on. */
  private void watch(ClusterImage image, Balance.Moving moving) {
    GroupId group = moving.group().id();
    long now = env.nanoTime();
    if (GroupRules.wholeBesides(image, group)) {
      lackingSinceNanos = Optional.empty();
    } else {
      long since = lackingSinceNanos.orElse(now);
      lackingSinceNanos = Optional.of(since);
      if (now - since >= AWAY_NANOS || isNeeded(image, moving)) {
        giveUp(moving, "other groups have to be made whole first");
        return;
      }
    }
    long arrived = arrived(image, moving);
    Optional<Watched> before =
        watched.filter(each -> each.group().equals(group) && each.to().equals(moving.to()));
    if (before.isEmpty() || arrived > before.get().bytes()) {
      watched = Optional.of(new Watched(group, moving.to(), arrived, now));
    } else if (now - before.get().sinceNanos() >= STALLED_NANOS) {
      restUntilNanos.put(moving.to(), now + REST_NANOS);
      giveUp(moving, "nothing has arrived for " + STALLED_NANOS / 1_000_000_000 + " s");
    }
  }

  /** Whether the volume that takes a group in is to take another one in that lacks a copy. */
  private static boolean isNeeded(ClusterImage image, Balance.Moving moving) {
    return image.groups().stream()
        .filter(group -> !group.id().equals(moving.group().id()))
        .flatMap(group -> group.in(MemberState.SYNCING).stream())
        .anyMatch(member -> member.volume().equals(moving.to()));
  }

  private void giveUp(Balance.Moving moving, String why) {
    Group group = moving.group();
    if (plane.cluster(new ClusterCommand.CancelMove(group.id(), group.epoch()))
        instanceof ClusterResult.Done) {
      givenUp.incrementAndGet();
      LOG.info("{} stays on {}: {}", group.id(), moving.from(), why);
    }
  }

  /** What the new member has of the group; 0 where that is not known. */
  private long arrived(ClusterImage image, Balance.Moving moving) {
    Optional<NodeId> node = image.volume(moving.to()).map(VolumeRecord::node);
    if (node.isEmpty()) {
      return 0;
    }
    Map<GroupId, Long> groups = query.all(List.of(node.get()), Long.MAX_VALUE).get(moving.to());
    return groups == null ? 0 : groups.getOrDefault(moving.group().id(), 0L);
  }
}
