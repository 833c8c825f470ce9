package io.forebay.core.cluster;

import io.forebay.core.id.VolumeId;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Chooses the members of groups, one after the other: in different failure domains, the volume with
 * the fewest groups for its size first, among equals the one that has met the others least often,
 * so that a lost volume's load spreads over all. Deterministic. Counts one family, while one
 * command is applied.
 */
final class Placement {
  /** Sizes are compared in sixteenths of the largest: disks of nearly one size count as equal. */
  private static final int WEIGHTS = 16;

  private static final class Candidate {
    final VolumeId volume;
    final String domain;
    final int weight;
    int groups;
    int firsts;

    Candidate(VolumeId volume, String domain, int weight) {
      this.volume = volume;
      this.domain = domain;
      this.weight = weight;
    }
  }

  private record Pair(VolumeId lower, VolumeId upper) {
    static Pair of(VolumeId one, VolumeId other) {
      return one.compareTo(other) < 0 ? new Pair(one, other) : new Pair(other, one);
    }
  }

  private final TreeMap<VolumeId, Candidate> candidates = new TreeMap<>();
  private final Map<Pair, Integer> meetings = new HashMap<>(); // looked up only
  private final ClusterState state;
  private int groups;

  /** Candidates are the volumes of nodes that are up and stay. */
  Placement(ClusterState state, Family family) {
    this.state = state;
    List<VolumeRecord> volumes =
        state.volumes().stream()
            .filter(volume -> state.present(volume.id()) != null && !state.leaving(volume.id()))
            .toList();
    long largest = 1;
    for (VolumeRecord volume : volumes) {
      largest = Math.max(largest, volume.capacityBytes());
    }
    for (VolumeRecord volume : volumes) {
      int weight = (int) Math.round((double) volume.capacityBytes() / largest * WEIGHTS);
      candidates.put(
          volume.id(),
          new Candidate(volume.id(), state.domain(volume.id()).orElseThrow(), Math.max(1, weight)));
    }
    for (Group group : state.groups()) {
      if (group.family().equals(family)) {
        groups++;
        count(group.members().stream().map(Member::volume).toList(), 0);
      }
    }
  }

  /** How many volumes may be chosen. */
  int candidates() {
    return candidates.size();
  }

  /** Groups of the family, those chosen here included. */
  int groups() {
    return groups;
  }

  /** Failure domains of the volumes that may be chosen. */
  int domains() {
    var domains = new TreeSet<String>();
    candidates.values().forEach(candidate -> domains.add(candidate.domain));
    return domains.size();
  }

  /** Volumes that are in no group of the family. */
  List<VolumeId> idle() {
    return candidates.values().stream()
        .filter(candidate -> candidate.groups == 0)
        .map(candidate -> candidate.volume)
        .toList();
  }

  /** How many groups of the family the volume is in. */
  int groupsOf(VolumeId volume) {
    Candidate candidate = candidates.get(volume);
    return candidate == null ? 0 : candidate.groups;
  }

  /** The members of a new group, turned so that each volume comes first equally often. */
  List<VolumeId> choose(int replicas) {
    return turned(extend(List.of(), List.of(), replicas));
  }

  /** The members of a new group around a volume. */
  List<VolumeId> chooseWith(VolumeId volume, int replicas) {
    count(List.of(volume), 0);
    List<VolumeId> members = new ArrayList<>(List.of(volume));
    members.addAll(extend(members, members, replicas - 1));
    return turned(members);
  }

  private List<VolumeId> turned(List<VolumeId> members) {
    if (members.isEmpty()) {
      return members; // nobody is up
    }
    groups++;
    int first = 0;
    for (int i = 1; i < members.size(); i++) {
      if (firsts(members.get(i)) < firsts(members.get(first))) {
        first = i;
      }
    }
    List<VolumeId> turned = new ArrayList<>(members);
    Collections.rotate(turned, -first);
    Candidate candidate = candidates.get(turned.getFirst());
    if (candidate != null) {
      candidate.firsts++;
    }
    return turned;
  }

  /**
   * Up to {@code count} volumes more, fewer when there are no more domains.
   *
   * @param beside whose domains are taken
   * @param without may not be chosen
   */
  List<VolumeId> extend(Collection<VolumeId> beside, Collection<VolumeId> without, int count) {
    var domains = new TreeSet<String>();
    List<VolumeId> members = new ArrayList<>(beside);
    for (VolumeId volume : beside) {
      state.domain(volume).ifPresent(domains::add);
    }
    List<VolumeId> chosen = new ArrayList<>();
    while (chosen.size() < count) {
      List<Candidate> eligible =
          candidates.values().stream()
              .filter(each -> !domains.contains(each.domain) && !without.contains(each.volume))
              .toList();
      Candidate best = best(eligible, members);
      if (best == null) {
        break;
      }
      for (VolumeId member : members) {
        meetings.merge(Pair.of(member, best.volume), 1, Integer::sum);
      }
      best.groups++;
      domains.add(best.domain);
      members.add(best.volume);
      chosen.add(best.volume);
    }
    return chosen;
  }

  /**
   * The least loaded; where there are members already, of those that are at most one group above it
   * the one that has met them least. Load alone would pair the same volumes over and over.
   */
  private @Nullable Candidate best(List<Candidate> eligible, List<VolumeId> members) {
    Candidate least = null;
    for (Candidate candidate : eligible) {
      if (least == null || byLoad(candidate, candidate.groups, least) < 0) {
        least = candidate;
      }
    }
    if (least == null || members.isEmpty()) {
      return least;
    }
    Candidate best = least;
    for (Candidate candidate : eligible) {
      if (byLoad(candidate, candidate.groups - 1, least) <= 0) {
        int byMeetings =
            Integer.compare(meetings(candidate.volume, members), meetings(best.volume, members));
        if (byMeetings < 0 || (byMeetings == 0 && byLoad(candidate, candidate.groups, best) < 0)) {
          best = candidate;
        }
      }
    }
    return best;
  }

  /** Compares what one would carry with these groups with what the other carries. */
  private static int byLoad(Candidate one, int groups, Candidate other) {
    return Long.compare((long) groups * other.weight, (long) other.groups * one.weight);
  }

  private int meetings(VolumeId volume, List<VolumeId> members) {
    int sum = 0;
    for (VolumeId member : members) {
      sum += meetings.getOrDefault(Pair.of(volume, member), 0);
    }
    return sum;
  }

  private int firsts(VolumeId volume) {
    Candidate candidate = candidates.get(volume);
    return candidate == null ? Integer.MAX_VALUE : candidate.firsts;
  }

  private void count(List<VolumeId> members, int first) {
    for (int i = 0; i < members.size(); i++) {
      Candidate candidate = candidates.get(members.get(i));
      if (candidate != null) {
        candidate.groups++;
        candidate.firsts += i == first && members.size() > 1 ? 1 : 0;
      }
      for (int j = 0; j < i; j++) {
        meetings.merge(Pair.of(members.get(j), members.get(i)), 1, Integer::sum);
      }
    }
  }
}
