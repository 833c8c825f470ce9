package io.forebay.core.id;

/**
 * One immutable version of an object: the upper 16 bits are the shard, the rest its position in
 * that shard's log.
 */
public record Generation(long value) implements Comparable<Generation> {
  @Override
  public int compareTo(Generation other) {
    return Long.compareUnsigned(value, other.value);
  }

  @Override
  public String toString() {
    return "g" + Long.toHexString(value);
  }
}
