package io.forebay.node.resync;

import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Which of a node's groups is brought up next: the one with the fewest copies. Each try in vain
 * counts as a copy more, so that groups that cannot be helped now do not keep others waiting; who
 * comes later begins with as many tries as the one that has the fewest. Not for use by several
 * threads.
 *
 * @param <J> a group on a volume
 */
final class RepairOrder<J extends Comparable<J>> {
  private final Map<J, Integer> tries = new TreeMap<>();

  /** Forgets all that is not wanted any more. */
  void retain(Set<J> wanted) {
    tries.keySet().retainAll(wanted);
  }

  /**
   * The next one, which is now tried.
   *
   * @param copies of what is wanted, how many members are in sync
   */
  Optional<J> next(Map<J, Integer> copies) {
    int least =
        copies.keySet().stream()
            .flatMap(job -> known(job).stream())
            .min(Integer::compare)
            .orElse(0);
    copies.keySet().forEach(job -> tries.putIfAbsent(job, least));
    Optional<J> next =
        copies.entrySet().stream()
            .min(
                Comparator.<Map.Entry<J, Integer>>comparingInt(
                        job -> job.getValue() + tries.getOrDefault(job.getKey(), 0))
                    .thenComparingInt(Map.Entry::getValue)
                    .thenComparing(Map.Entry::getKey))
            .map(Map.Entry::getKey);
    next.ifPresent(job -> tries.merge(job, 1, Integer::sum));
    return next;
  }

  private Optional<Integer> known(J job) {
    return Optional.ofNullable(tries.get(job));
  }
}
