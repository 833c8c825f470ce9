package io.forebay.core.cluster;

/**
 * A right in some buckets.
 *
 * @param bucket a bucket's name, or the beginning of names and {@code *}
 */
public record KeyGrant(String bucket, KeyRight right) {
  /** Whether it lets its holder do that in this bucket. */
  public boolean allows(KeyRight wanted, String name) {
    boolean covers =
        bucket.endsWith("*")
            ? name.startsWith(bucket.substring(0, bucket.length() - 1))
            : name.equals(bucket);
    return covers && right.compareTo(wanted) >= 0;
  }
}
