package io.forebay.core.id;

/**
 * A bucket, whatever its name is; shard in the upper 16 bits. Given out by the cluster log, never
 * again.
 */
public record BucketId(long value) implements Comparable<BucketId> {
  @Override
  public int compareTo(BucketId other) {
    return Long.compareUnsigned(value, other.value);
  }

  @Override
  public String toString() {
    return "b" + Long.toHexString(value);
  }
}
