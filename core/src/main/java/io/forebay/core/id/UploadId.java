package io.forebay.core.id;

/** A multipart upload; shard in the upper 16 bits. */
public record UploadId(long value) implements Comparable<UploadId> {
  @Override
  public int compareTo(UploadId other) {
    return Long.compareUnsigned(value, other.value);
  }

  @Override
  public String toString() {
    return "u" + Long.toHexString(value);
  }
}
