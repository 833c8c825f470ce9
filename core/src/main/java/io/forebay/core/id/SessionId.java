package io.forebay.core.id;

/**
 * One run of a writer process. The upper 16 bits are the namespace shard, the rest is given out by
 * that shard's log in growing order, so that an id above the highest given out is unknown and one
 * below it that is not open has ended.
 */
public record SessionId(long value) implements Comparable<SessionId> {
  @Override
  public int compareTo(SessionId other) {
    return Long.compareUnsigned(value, other.value);
  }

  @Override
  public String toString() {
    return "s" + Long.toHexString(value);
  }
}
