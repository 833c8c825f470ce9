package io.forebay.core.cluster;

import java.util.Comparator;

/**
 * What the groups of a family have in common.
 *
 * @param replicas copies wanted, 1–7, in different failure domains
 * @param minInSync members without which a group takes no writes, 1–replicas (rule R9)
 */
public record Family(int replicas, int minInSync, Durability durability)
    implements Comparable<Family> {
  private static final Comparator<Family> ORDER =
      Comparator.comparingInt(Family::replicas)
          .thenComparingInt(Family::minInSync)
          .thenComparing(Family::durability);

  public Family {
    if (replicas < 1 || replicas > 7) {
      throw new IllegalArgumentException("replicas must be 1 to 7: " + replicas);
    }
    if (minInSync < 1 || minInSync > replicas) {
      throw new IllegalArgumentException(
          "minInSync must be 1 to replicas (" + replicas + "): " + minInSync);
    }
  }

  @Override
  public int compareTo(Family other) {
    return ORDER.compare(this, other);
  }
}
