package io.forebay.core.cluster;

import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.util.TreeSet;

/**
 * How many nodes are away at once, and whether that is more than what is made up for.
 *
 * <p>Why: copying everything that a tenth of the nodes holds loads the network and fills the disks
 * of the rest for hours, and so many seldom break at once: it is a switch or a power supply, and
 * they come back with their disks whole. So up to a tenth of the nodes, and one in any case, are
 * replaced after the grace period; with more away all of them are waited for, or for an operator
 * who gives some up by draining them. Groups with a single copy left are not made to wait.
 *
 * @param away nodes that are DOWN while groups count on their volumes, and that no operator drains
 * @param nodes all that are not yet made up for
 */
public record Outage(int away, int nodes) {
  /** Of how many nodes one may be away. */
  private static final int PART = 10;

  /** What the image shows. */
  public static Outage of(ClusterImage image) {
    var counted = new TreeSet<VolumeId>();
    for (Group group : image.groups()) {
      group.members().forEach(member -> counted.add(member.volume()));
    }
    var holders = new TreeSet<NodeId>();
    for (VolumeRecord volume : image.volumes()) {
      if (counted.contains(volume.id())) {
        holders.add(volume.node());
      }
    }
    int away = 0;
    int nodes = 0;
    for (NodeRecord node : image.nodes()) {
      boolean awaited = node.state() == NodeState.DOWN && holders.contains(node.id());
      away += awaited ? 1 : 0;
      nodes += awaited || node.state() != NodeState.DOWN ? 1 : 0;
    }
    return new Outage(away, nodes);
  }

  /** Whether lost volumes are waited for beyond their grace period. */
  public boolean waits() {
    return away > Math.max(1, nodes / PART);
  }
}
