package io.forebay.node.life;

import io.forebay.core.cluster.Balance;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.Network;
import io.forebay.node.replica.Fill;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Which of this node's volumes are clearly fuller than others, so that its writers put them first
 * no more. What counts is what balancing counts ({@link Balance}): bytes that may not be evicted;
 * and nobody is short of room on a volume that is less than half full.
 *
 * <p>A node knows what it holds itself, and no more. So one with a volume that is more than half
 * full asks a few others, of chance, as often as they look at their volumes; all others ask nobody.
 * Whoever does not answer is left out.
 */
public final class OwnFill {
  private static final long LOOK_NANOS = 10_000_000_000L;
  // The mean of so many is near enough, and a thousand nodes are not to ask a thousand.
  private static final int ASKED = 8;
  // Above the mean: where a volume comes first no more, as much as balancing leaves above what is
  // between the fullest and the emptiest; and where it comes first again.
  private static final double NO_MORE = Balance.MARGIN / 2;
  private static final double AGAIN = Balance.MARGIN / 4;

  private final Env env;
  private final NodeId self;
  private final Supplier<ClusterImage> images;
  private final Fill fill;
  private final Function<List<NodeId>, Map<VolumeId, Map<GroupId, Long>>> held;
  private final AtomicReference<SortedSet<VolumeId>> fuller =
      new AtomicReference<>(Collections.emptySortedSet());

  public OwnFill(Env env, Network network, Supplier<ClusterImage> images, Fill fill) {
    this(
        env,
        network.self(),
        images,
        fill,
        nodes -> new HeldQuery(network).all(nodes, Long.MAX_VALUE));
  }

  /**
   * @param held what the volumes of some nodes hold that may not be evicted, by group
   */
  OwnFill(
      Env env,
      NodeId self,
      Supplier<ClusterImage> images,
      Fill fill,
      Function<List<NodeId>, Map<VolumeId, Map<GroupId, Long>>> held) {
    this.env = env;
    this.self = self;
    this.images = images;
    this.fill = fill;
    this.held = held;
  }

  /** Volumes of this node that its writers should not put first now. */
  public SortedSet<VolumeId> fuller() {
    return fuller.get();
  }

  /** Looks every few seconds, until interrupted. */
  public void run() {
    while (true) {
      env.sleep(LOOK_NANOS);
      look();
    }
  }

  /** One look. */
  void look() {
    ClusterImage image = images.get();
    List<VolumeRecord> full =
        image.volumes().stream()
            .filter(volume -> volume.node().equals(self) && fill(volume) > Balance.LEAST_FILL)
            .toList();
    var next = new TreeSet<VolumeId>();
    if (!full.isEmpty()) {
      double mean = mean(image);
      for (VolumeRecord volume : full) {
        double least = fuller.get().contains(volume.id()) ? AGAIN : NO_MORE;
        if (fill(volume) > mean + least) {
          next.add(volume.id());
        }
      }
    }
    fuller.set(Collections.unmodifiableSortedSet(next));
  }

  private long bytes(VolumeRecord volume) {
    return fill.contents(volume.id()).map(each -> each.owedBytes() + each.openBytes()).orElse(0L);
  }

  private double fill(VolumeRecord volume) {
    return volume.capacityBytes() == 0 ? 0 : (double) bytes(volume) / volume.capacityBytes();
  }

  /** How full the volumes of this node and of a few others are, taken together. */
  private double mean(ClusterImage image) {
    long bytes = 0;
    long capacityBytes = 0;
    for (VolumeRecord volume : image.volumes()) {
      if (volume.node().equals(self)) {
        bytes += bytes(volume);
        capacityBytes += volume.capacityBytes();
      }
    }
    for (Map.Entry<VolumeId, Map<GroupId, Long>> each : held.apply(some(image)).entrySet()) {
      Optional<VolumeRecord> volume = image.volume(each.getKey());
      if (volume.isPresent()) {
        bytes += each.getValue().values().stream().mapToLong(Long::longValue).sum();
        capacityBytes += volume.get().capacityBytes();
      }
    }
    return (double) bytes / capacityBytes;
  }

  private List<NodeId> some(ClusterImage image) {
    var others = new ArrayList<NodeId>();
    for (NodeRecord node : image.nodes()) {
      if (node.state() == NodeState.UP && !node.id().equals(self)) {
        others.add(node.id());
      }
    }
    for (int i = 0; i < Math.min(ASKED, others.size()); i++) {
      Collections.swap(others, i, i + env.random().nextInt(others.size() - i));
    }
    return others.subList(0, Math.min(ASKED, others.size()));
  }
}
