package io.forebay.core.lease;

import io.forebay.core.id.BucketId;

/**
 * The keys of a bucket that have the same path before their last '/'.
 *
 * @param path up to and with the last '/'; empty: keys without one
 */
public record Directory(BucketId bucket, String path) implements Comparable<Directory> {
  /** Where a key lies. */
  public static Directory of(BucketId bucket, String key) {
    return new Directory(bucket, key.substring(0, key.lastIndexOf('/') + 1));
  }

  @Override
  public int compareTo(Directory other) {
    int order = bucket.compareTo(other.bucket);
    return order != 0 ? order : path.compareTo(other.path);
  }

  @Override
  public String toString() {
    return bucket + ":" + path;
  }
}
