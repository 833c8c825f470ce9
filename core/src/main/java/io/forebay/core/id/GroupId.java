package io.forebay.core.id;

/** An ordered set of volumes that hold the same chunks. Given out by the cluster log, from 1. */
public record GroupId(int value) implements Comparable<GroupId> {
  @Override
  public int compareTo(GroupId other) {
    return Integer.compare(value, other.value);
  }

  @Override
  public String toString() {
    return "group " + value;
  }
}
