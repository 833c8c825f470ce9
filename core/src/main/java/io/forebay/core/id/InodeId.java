package io.forebay.core.id;

/** An object or directory, whatever its name is; shard in the upper 16 bits. */
public record InodeId(long value) implements Comparable<InodeId> {
  @Override
  public int compareTo(InodeId other) {
    return Long.compareUnsigned(value, other.value);
  }

  @Override
  public String toString() {
    return "i" + Long.toHexString(value);
  }
}
