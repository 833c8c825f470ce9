package io.forebay.node.write;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.net.Hop;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Chooses the group for each chunk: full-strength groups with a volume of this node first, taken in
 * a shuffled order one after the other, so that loads differ by at most one (plain hashing loads
 * some 3.5 to 5 times as much); then others; weaker ones only where no full one exists (rule R10).
 */
final class GroupChooser {
  /**
   * Where a chunk goes.
   *
   * @param chain the members that must acknowledge, this node's own first
   * @param suspect whether a node among them is suspected of being dead: there was no group
   *     without. A volume that is full or broken has answered, and an attempt costs nothing there
   */
  record Choice(Group group, List<Hop> chain, boolean suspect) {}

  private record Stripe(long version, List<Group> local, List<Group> full, List<Group> weak) {}

  private final Env env;
  private final ControlPlane plane;
  private final NodeId self;
  private final Suspects suspects;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Family, Stripe> stripes =
      new TreeMap<>(GroupChooser::compare); // guarded by lock
  private long turn; // guarded by lock

  GroupChooser(Env env, ControlPlane plane, NodeId self, Suspects suspects) {
    this.env = env;
    this.plane = plane;
    this.self = self;
    this.suspects = suspects;
  }

  private static int compare(Family a, Family b) {
    int order = Integer.compare(a.replicas(), b.replicas());
    order = order != 0 ? order : Integer.compare(a.minInSync(), b.minInSync());
    return order != 0 ? order : a.durability().compareTo(b.durability());
  }

  /** A group of the family that takes writes now; empty when there is none. */
  Optional<Choice> choose(Family family) {
    ClusterImage image = plane.image();
    Stripe stripe = stripe(family, image);
    for (List<Group> tier : List.of(stripe.local(), stripe.full(), stripe.weak())) {
      Optional<Choice> choice = pick(image, tier, true);
      if (choice.isPresent()) {
        return choice;
      }
    }
    // Suspicion may be wrong, and an acknowledgement still needs every member: better than nothing.
    for (List<Group> tier : List.of(stripe.local(), stripe.full(), stripe.weak())) {
      Optional<Choice> choice = pick(image, tier, false);
      if (choice.isPresent()) {
        return choice;
      }
    }
    return Optional.empty();
  }

  /** The chain of a group as it stands. */
  Optional<List<Hop>> chain(ClusterImage image, Group group) {
    var chain = new ArrayList<Hop>();
    for (Member member : group.writers()) {
      Optional<NodeId> node = image.volume(member.volume()).map(VolumeRecord::node);
      if (node.isEmpty()) {
        return Optional.empty();
      }
      var hop = new Hop(node.get(), member.volume());
      if (node.get().equals(self)) {
        chain.addFirst(hop);
      } else {
        chain.add(hop);
      }
    }
    return chain.isEmpty() ? Optional.empty() : Optional.of(chain);
  }

  private Optional<Choice> pick(ClusterImage image, List<Group> tier, boolean avoid) {
    long start;
    lock.lock();
    try {
      start = turn++;
    } finally {
      lock.unlock();
    }
    for (int i = 0; i < tier.size(); i++) {
      Group group = tier.get((int) ((start + i) % tier.size()));
      Optional<List<Hop>> chain = chain(image, group);
      if (chain.isPresent()
          && !(avoid
              && chain.get().stream()
                  .anyMatch(
                      hop -> suspects.contains(hop.node()) || suspects.contains(hop.volume())))) {
        boolean suspect = chain.get().stream().map(Hop::node).anyMatch(suspects::contains);
        return Optional.of(new Choice(group, chain.get(), suspect));
      }
    }
    return Optional.empty();
  }

  private Stripe stripe(Family family, ClusterImage image) {
    lock.lock();
    try {
      Stripe known = stripes.get(family);
      if (known != null && known.version() == image.version()) {
        return known;
      }
      var local = new ArrayList<Group>();
      var full = new ArrayList<Group>();
      var weak = new ArrayList<Group>();
      var owners = new TreeMap<VolumeId, NodeId>();
      image.volumes().forEach(volume -> owners.put(volume.id(), volume.node()));
      for (Group group : image.groups()) {
        if (!group.family().equals(family) || !group.writable()) {
          continue;
        }
        if (!group.fullStrength()) {
          weak.add(group);
        } else if (group.writers().stream()
            .anyMatch(member -> self.equals(owners.get(member.volume())))) {
          local.add(group);
        } else {
          full.add(group);
        }
      }
      shuffle(local);
      shuffle(full);
      shuffle(weak);
      var stripe = new Stripe(image.version(), local, full, weak);
      stripes.put(family, stripe);
      return stripe;
    } finally {
      lock.unlock();
    }
  }

  private void shuffle(List<Group> groups) {
    for (int i = groups.size() - 1; i > 0; i--) {
      int j = env.random().nextInt(i + 1);
      Group other = groups.get(j);
      groups.set(j, groups.get(i));
      groups.set(i, other);
    }
  }
}
