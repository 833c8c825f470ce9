package io.forebay.core.cluster;

import io.forebay.core.id.GroupId;
import io.forebay.core.id.VolumeId;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Which group moves from the fullest volume to the emptiest one, so that a node that joins takes
 * its part of what was there before (decision 0025). Pure: a choice by an image and by what the
 * volumes hold that may not be evicted.
 *
 * <p>Why it ends: let a volume's fill be what it holds by its capacity, and take the sum over all
 * volumes of capacity × fill². A move takes s bytes from a fill f to a lower fill e, and is chosen
 * only where that leaves e no higher than f; the sum falls by at least s × (f - e), which is more
 * than a fifth of s. So what nobody writes to moves a bounded number of bytes, and no move is ever
 * made up for by others. A group comes back only when what is held has changed by as much as it
 * took to make it go.
 */
public final class Balance {
  /** Nothing moves from a volume that is emptier: nobody is short of room. */
  public static final double LEAST_FILL = 0.5;

  /**
   * Nothing moves between volumes that are nearer to each other: 10 % above and 10 % below what is
   * between them. Less would move what the next hour's writes and deletions move by themselves.
   */
  public static final double MARGIN = 0.2;

  // Of a volume's capacity; a smaller group is not worth an epoch.
  private static final double LEAST_PART = MARGIN / 100;
  // Groups of a family that a volume may come to have, of those that are fair by its size.
  private static final double MOST_GROUPS = 2;
  private static final double LEAST_GROUPS = 0.5;
  // Full volumes, and empty ones, that are looked at: a thousand would make a million pairs.
  private static final int MOST_TRIED = 16;

  /** A group that is on its way, as the image shows it. */
  public record Moving(Group group, VolumeId from, VolumeId to) {}

  /** A group that cannot revive: one of its volumes has no room for what others hold of it. */
  public record Cramped(GroupId group, VolumeId volume, long lackingBytes, long roomBytes) {}

  /** A volume, and what it holds that may not be evicted. */
  private record Load(VolumeRecord volume, Map<GroupId, Long> groups, long bytes) {
    double fill() {
      return (double) bytes / volume.capacityBytes();
    }

    long room() {
      return Math.max(0, volume.capacityBytes() - bytes);
    }

    /** What is missing of a group, by what others hold of it. */
    long lacks(GroupId group, Map<GroupId, Long> sizes) {
      return Math.max(0, sizes.getOrDefault(group, 0L) - groups.getOrDefault(group, 0L));
    }
  }

  private Balance() {}

  /**
   * The groups that are on their way: a volume catches up beside enough others that are in sync and
   * stay, and not as the last, as whoever replaces a lost one does. (Without a move it would have
   * been dropped.)
   */
  public static List<Moving> moving(ClusterImage image) {
    Set<VolumeId> staying = GroupRules.staying(image);
    var moving = new ArrayList<Moving>();
    for (Group group : image.groups()) {
      List<Member> joining = group.in(MemberState.SYNCING);
      if (joining.size() == 1
          && !group.reviving()
          && group.in(MemberState.IN_SYNC).size() == group.family().replicas()
          && group.members().getLast().state() == MemberState.IN_SYNC
          && group.members().stream().allMatch(each -> staying.contains(each.volume()))) {
        moving.add(
            new Moving(group, group.members().getLast().volume(), joining.getFirst().volume()));
      }
    }
    return moving;
  }

  /**
   * The next move; empty when there is none to make: the volumes are near enough to each other,
   * nobody is short of room, no group fits in between, or not everything is whole.
   *
   * @param held of every volume that stays, by group, what may not be evicted; where one is not
   *     known nothing moves
   * @param resting volumes that nothing moves to
   */
  public static Optional<ClusterCommand.MoveMember> next(
      ClusterImage image, Map<VolumeId, ? extends Map<GroupId, Long>> held, Set<VolumeId> resting) {
    if (!GroupRules.whole(image)) {
      return Optional.empty();
    }
    List<Load> loads = loads(image, held);
    Set<VolumeId> staying = GroupRules.staying(image);
    if (loads.size()
        < image.volumes().stream()
            .filter(volume -> staying.contains(volume.id()) && volume.capacityBytes() > 0)
            .count()) {
      return Optional.empty();
    }
    loads.sort(Comparator.comparingDouble(Load::fill));
    var counts = new Counts(image, loads);
    for (Load full : first(loads.reversed())) {
      for (Load empty : first(loads)) {
        double gap = full.fill() - empty.fill();
        if (full.fill() < LEAST_FILL || gap <= MARGIN) {
          break; // the next ones are nearer still
        }
        if (resting.contains(empty.volume().id())) {
          continue;
        }
        Optional<Group> group = largest(image, full, empty, gap, counts);
        if (group.isPresent()) {
          return group.map(each ->
              new ClusterCommand.MoveMember(
                  each.id(), each.epoch(), full.volume().id(), empty.volume().id()));
        }
      }
    }
    return Optional.empty();
  }

  /**
   * Another volume for a member that catches up where there is no room for what it lacks; the
   * emptiest that has room for the group, beside what it still gets of others. Empty when as many
   * members as shall be are in sync or have room: the others stay until they are not needed.
   *
   * @param held of volumes, by group, what may not be evicted; others neither give nor take
   */
  public static Optional<ClusterCommand.MoveMember> instead(
      ClusterImage image, Map<VolumeId, ? extends Map<GroupId, Long>> held) {
    Map<GroupId, Long> sizes = sizes(image, held);
    List<Load> loads = loads(image, held);
    loads.sort(Comparator.comparingDouble(Load::fill));
    Map<VolumeId, Load> byVolume = byVolume(loads);
    var lacking = new TreeMap<VolumeId, Long>();
    for (Group group : image.groups()) {
      for (Load load : catchingUp(group, byVolume)) {
        lacking.merge(load.volume().id(), load.lacks(group.id(), sizes), Long::sum);
      }
    }
    Set<VolumeId> staying = GroupRules.staying(image);
    for (Group group : image.groups()) {
      List<VolumeId> stuck =
          catchingUp(group, byVolume).stream()
              .filter(load -> load.lacks(group.id(), sizes) > load.room())
              .map(load -> load.volume().id())
              .toList();
      long others =
          group.writers().stream()
              .map(Member::volume)
              .filter(volume -> staying.contains(volume) && !stuck.contains(volume))
              .count();
      if (others >= group.family().replicas() || group.reviving()) {
        continue;
      }
      long bytes = sizes.getOrDefault(group.id(), 0L);
      for (VolumeId full : stuck) {
        Optional<Load> empty =
            loads.stream()
                .filter(load ->
                    bytes <= load.room() - lacking.getOrDefault(load.volume().id(), 0L)
                        && GroupRules.fits(image, group, full, load.volume().id()))
                .findFirst();
        if (empty.isPresent()) {
          return empty.map(load ->
              new ClusterCommand.MoveMember(group.id(), group.epoch(), full, load.volume().id()));
        }
      }
    }
    return Optional.empty();
  }

  /**
   * Groups that wait for an operator, or for deletions: no other volume can take part (rule R12).
   *
   * @param held as for {@link #instead}
   */
  public static List<Cramped> cramped(
      ClusterImage image, Map<VolumeId, ? extends Map<GroupId, Long>> held) {
    Map<GroupId, Long> sizes = sizes(image, held);
    Map<VolumeId, Load> byVolume = byVolume(loads(image, held));
    var cramped = new ArrayList<Cramped>();
    for (Group group : image.groups()) {
      for (Load load : group.reviving() ? catchingUp(group, byVolume) : List.<Load>of()) {
        long lacking = load.lacks(group.id(), sizes);
        if (lacking > load.room()) {
          cramped.add(new Cramped(group.id(), load.volume().id(), lacking, load.room()));
        }
      }
    }
    return cramped;
  }

  private static Map<VolumeId, Load> byVolume(List<Load> loads) {
    var byVolume = new TreeMap<VolumeId, Load>();
    loads.forEach(load -> byVolume.put(load.volume().id(), load));
    return byVolume;
  }

  /**
   * What those in sync hold of each group, also where they are to leave; of one that revives what
   * the member holds that has most.
   */
  private static Map<GroupId, Long> sizes(
      ClusterImage image, Map<VolumeId, ? extends Map<GroupId, Long>> held) {
    var sizes = new TreeMap<GroupId, Long>();
    for (Group group : image.groups()) {
      for (Member member : group.reviving() ? group.members() : group.in(MemberState.IN_SYNC)) {
        Map<GroupId, Long> groups = held.get(member.volume());
        if (groups != null) {
          sizes.merge(group.id(), groups.getOrDefault(group.id(), 0L), Math::max);
        }
      }
    }
    return sizes;
  }

  /** Of a group's members that catch up those that stay and are known. */
  private static List<Load> catchingUp(Group group, Map<VolumeId, Load> loads) {
    return group.in(MemberState.SYNCING).stream()
        .flatMap(member -> Optional.ofNullable(loads.get(member.volume())).stream())
        .toList();
  }

  /** Of all volumes that stay and of which it is known what they hold. */
  private static List<Load> loads(
      ClusterImage image, Map<VolumeId, ? extends Map<GroupId, Long>> held) {
    Set<VolumeId> staying = GroupRules.staying(image);
    var loads = new ArrayList<Load>();
    for (VolumeRecord volume : image.volumes()) {
      Map<GroupId, Long> groups = held.get(volume.id());
      if (groups != null && staying.contains(volume.id()) && volume.capacityBytes() > 0) {
        loads.add(
            new Load(volume, groups, groups.values().stream().mapToLong(Long::longValue).sum()));
      }
    }
    return loads;
  }

  private static List<Load> first(List<Load> loads) {
    return loads.subList(0, Math.min(loads.size(), MOST_TRIED));
  }

  /** Of the groups that leave the emptier volume no fuller than the other one, the largest. */
  private static Optional<Group> largest(
      ClusterImage image, Load full, Load empty, double gap, Counts counts) {
    Optional<Group> best = Optional.empty();
    long most = 0;
    for (Map.Entry<GroupId, Long> each : full.groups().entrySet()) {
      long bytes = each.getValue();
      double closes =
          (double) bytes / full.volume().capacityBytes()
              + (double) bytes / empty.volume().capacityBytes();
      Optional<Group> group = image.group(each.getKey());
      if (bytes > most
          && closes <= gap
          && closes >= LEAST_PART
          && group.isPresent()
          && counts.fair(group.get().family(), full, empty)
          && GroupRules.fits(image, group.get(), full.volume().id(), empty.volume().id())) {
        best = group;
        most = bytes;
      }
    }
    return best;
  }

  /**
   * How many groups of each family the volumes are in. What is written from now on goes to all
   * groups alike: a volume with more than its share would draw the writes, however empty it is now.
   */
  private static final class Counts {
    private final Map<Family, Map<VolumeId, Integer>> counts = new TreeMap<>();
    private final Map<Family, Integer> sums = new TreeMap<>();
    private final double capacityBytes;

    Counts(ClusterImage image, List<Load> loads) {
      capacityBytes = loads.stream().mapToDouble(load -> load.volume().capacityBytes()).sum();
      for (Group group : image.groups()) {
        Map<VolumeId, Integer> ofFamily =
            counts.computeIfAbsent(group.family(), any -> new TreeMap<>());
        for (Member member : group.members()) {
          ofFamily.merge(member.volume(), 1, Integer::sum);
          sums.merge(group.family(), 1, Integer::sum);
        }
      }
    }

    boolean fair(Family family, Load full, Load empty) {
      return count(family, full) - 1 >= LEAST_GROUPS * share(family, full)
          && count(family, empty) + 1 <= MOST_GROUPS * share(family, empty);
    }

    private int count(Family family, Load load) {
      Map<VolumeId, Integer> ofFamily = counts.get(family);
      return ofFamily == null ? 0 : ofFamily.getOrDefault(load.volume().id(), 0);
    }

    private double share(Family family, Load load) {
      return sums.getOrDefault(family, 0) * (load.volume().capacityBytes() / capacityBytes);
    }
  }
}
