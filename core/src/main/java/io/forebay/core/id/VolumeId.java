package io.forebay.core.id;

/** One data directory; drawn at random when the volume is formatted. */
public record VolumeId(long value) implements Comparable<VolumeId> {
  @Override
  public int compareTo(VolumeId other) {
    return Long.compareUnsigned(value, other.value);
  }

  @Override
  public String toString() {
    return "v" + Long.toHexString(value);
  }
}
