package io.forebay.node.write;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.env.Env;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.Hop;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * Chooses the group for each chunk: full-strength groups with a volume of this node first, unless
 * that is clearly fuller than others' volumes, where it is one among all; then others, which come
 * first where each of those has a slow volume; weaker ones only where no full one exists (rule
 * R10). Among equals the one whose nodes have least to do for this one, times how much longer they
 * take than others ({@link Paces}), so that a node which others write to just now gets less from
 * here (blind turns leave a quarter of the NICs idle while all nodes write); and of these the next
 * in a shuffled order, so that loads differ by at most one (plain hashing loads some 3.5 to 5 times
 * as much).
 */
final class GroupChooser {
  /**
   * Where a chunk goes.
   *
   * @param chain the members that must acknowledge: this node's own first, then those with least to
   *     do, for the last one sends nothing on; suspects at the end, where they hold nobody else up
   * @param suspect whether a node among them is suspected of being dead: there was no group
   *     without. A volume that is full or broken has answered, and an attempt costs nothing there
   * @param unfit whether a volume among them did not take a chunk a moment ago, likewise
   */
  record Choice(Group group, List<Hop> chain, boolean suspect, boolean unfit) {}

  private record Way(Group group, List<Hop> chain) {}

  private record Stripe(
      long version, SortedSet<VolumeId> fuller, List<Way> local, List<Way> full, List<Way> weak) {}

  private final Env env;
  private final Supplier<ClusterImage> images;
  private final NodeId self;
  private final Supplier<SortedSet<VolumeId>> fuller;
  private final Suspects suspects;
  private final Paces paces;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Family, Stripe> stripes = new TreeMap<>(); // guarded by lock
  private final Map<NodeId, Integer> underWay = new TreeMap<>(); // guarded by lock
  private long turn; // guarded by lock

  GroupChooser(
      Env env,
      Supplier<ClusterImage> images,
      NodeId self,
      Supplier<SortedSet<VolumeId>> fuller,
      Suspects suspects,
      Paces paces) {
    this.env = env;
    this.images = images;
    this.self = self;
    this.fuller = fuller;
    this.suspects = suspects;
    this.paces = paces;
  }

  /** A group of the family that takes writes now; empty when there is none. */
  Optional<Choice> choose(Family family) {
    ClusterImage image = images.get();
    Stripe stripe = stripe(family, image, fuller.get());
    Optional<Choice> slow = Optional.empty();
    for (List<Way> tier :
        paces.compares()
            ? List.of(stripe.full(), stripe.local())
            : List.of(stripe.local(), stripe.full())) {
      Optional<Choice> choice = pick(tier, true);
      if (choice.isPresent() && choice.get().chain().stream().noneMatch(this::slow)) {
        return choice;
      }
      slow = slow.isPresent() ? slow : choice;
    }
    Optional<Choice> weak = slow.isPresent() ? slow : pick(stripe.weak(), true);
    if (weak.isPresent()) {
      return weak;
    }
    // Suspicion may be wrong, and an acknowledgement still needs every member: better than nothing.
    for (List<Way> tier : List.of(stripe.local(), stripe.full(), stripe.weak())) {
      Optional<Choice> choice = pick(tier, false);
      if (choice.isPresent()) {
        return choice;
      }
    }
    return Optional.empty();
  }

  /** Whether every member of a choice still takes writes of its group, as far as is known here. */
  boolean stands(Choice choice) {
    return images
        .get()
        .group(choice.group().id())
        .filter(group ->
            choice.chain().stream()
                .allMatch(hop ->
                    group.writers().stream()
                        .anyMatch(member -> member.volume().equals(hop.volume()))))
        .isPresent();
  }

  /**
   * A chunk goes this way from now on, until {@link #end}.
   *
   * @return how much its nodes have to do for this one, with it; at least 1
   */
  int begin(Choice choice) {
    count(choice.chain(), 1);
    return load(choice);
  }

  /** How much the nodes of a choice have to do for this one; at least 1. */
  int load(Choice choice) {
    lock.lock();
    try {
      return choice.chain().stream().mapToInt(this::load).reduce(1, Math::max);
    } finally {
      lock.unlock();
    }
  }

  /** It is there, or was given up. */
  void end(Choice choice) {
    count(choice.chain(), -1);
  }

  /** Whoever sends on has twice as much to do as the last. */
  private void count(List<Hop> chain, int change) {
    lock.lock();
    try {
      for (int i = 0; i < chain.size(); i++) {
        int work = i < chain.size() - 1 ? 2 * change : change;
        underWay.merge(
            chain.get(i).node(), work, (old, more) -> old + more == 0 ? null : old + more);
      }
    } finally {
      lock.unlock();
    }
  }

  /** The hops of a group as it stands, this node's own first. */
  private static Optional<List<Hop>> chain(Map<VolumeId, NodeId> owners, NodeId self, Group group) {
    var chain = new ArrayList<Hop>();
    for (Member member : group.writers()) {
      NodeId node = owners.get(member.volume());
      if (node == null) {
        return Optional.empty();
      }
      var hop = new Hop(node, member.volume());
      if (node.equals(self)) {
        chain.addFirst(hop);
      } else {
        chain.add(hop);
      }
    }
    return chain.isEmpty() ? Optional.empty() : Optional.of(chain);
  }

  private Optional<Choice> pick(List<Way> tier, boolean avoid) {
    lock.lock();
    try {
      long start = turn++;
      Optional<Way> best = Optional.empty();
      long least = Long.MAX_VALUE;
      for (int i = 0; i < tier.size() && least > 1; i++) {
        Way way = tier.get((int) ((start + i) % tier.size()));
        long cost = cost(way.chain());
        if (cost < least && !(avoid && way.chain().stream().anyMatch(this::unfit))) {
          best = Optional.of(way);
          least = cost;
        }
      }
      return best.map(way ->
          new Choice(
              way.group(),
              ordered(way.chain()),
              way.chain().stream().map(Hop::node).anyMatch(suspects::contains),
              way.chain().stream().map(Hop::volume).anyMatch(suspects::contains)));
    } finally {
      lock.unlock();
    }
  }

  private boolean unfit(Hop hop) {
    return suspects.contains(hop.node()) || suspects.contains(hop.volume());
  }

  private int load(Hop hop) {
    return hop.node().equals(self) ? 0 : underWay.getOrDefault(hop.node(), 0);
  }

  private boolean slow(Hop hop) {
    return paces.times(hop.volume()) >= Paces.SLOW_TIMES;
  }

  /** How long one more chunk is likely to take there; 1 where nothing is under way. */
  private long cost(List<Hop> chain) {
    long cost = 1;
    for (Hop hop : chain) {
      cost = Math.max(cost, (load(hop) + 1) * paces.times(hop.volume()));
    }
    return cost;
  }

  private List<Hop> ordered(List<Hop> chain) {
    int own = chain.getFirst().node().equals(self) ? 1 : 0;
    if (chain.size() - own < 2) {
      return chain;
    }
    var ordered = new ArrayList<>(chain);
    ordered
        .subList(own, ordered.size())
        .sort(
            Comparator.comparing((Hop hop) -> suspects.contains(hop.node()))
                .thenComparingInt(this::load));
    return ordered;
  }

  private Stripe stripe(Family family, ClusterImage image, SortedSet<VolumeId> passed) {
    lock.lock();
    try {
      Stripe known = stripes.get(family);
      if (known != null && known.version() == image.version() && known.fuller().equals(passed)) {
        return known;
      }
      var local = new ArrayList<Way>();
      var full = new ArrayList<Way>();
      var weak = new ArrayList<Way>();
      var owners = new TreeMap<VolumeId, NodeId>();
      image.volumes().forEach(volume -> owners.put(volume.id(), volume.node()));
      for (Group group : image.groups()) {
        if (!group.family().equals(family) || !group.writable()) {
          continue;
        }
        Optional<List<Hop>> chain = chain(owners, self, group);
        if (chain.isEmpty() || chain.get().size() > ChunkPut.MAX_HOPS) {
          continue;
        }
        var way = new Way(group, chain.get());
        if (!group.fullStrength()) {
          weak.add(way);
        } else if (way.chain().getFirst().node().equals(self)
            && !passed.contains(way.chain().getFirst().volume())) {
          local.add(way);
        } else {
          full.add(way);
        }
      }
      shuffle(local);
      shuffle(full);
      shuffle(weak);
      var stripe = new Stripe(image.version(), passed, local, full, weak);
      stripes.put(family, stripe);
      return stripe;
    } finally {
      lock.unlock();
    }
  }

  private void shuffle(List<Way> ways) {
    for (int i = ways.size() - 1; i > 0; i--) {
      int j = env.random().nextInt(i + 1);
      Way other = ways.get(j);
      ways.set(j, ways.get(i));
      ways.set(i, other);
    }
  }
}
