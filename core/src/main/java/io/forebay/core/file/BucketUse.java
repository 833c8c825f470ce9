package io.forebay.core.file;

/**
 * What a bucket holds, and how much it may.
 *
 * @param heldBytes logical bytes, each counted once however many copies there are, that are in no
 *     store: objects and parts of uploads that are not flushed, and for the bucket's read grace
 *     what was deleted or overwritten
 * @param quotaBytes 0: no quota
 */
public record BucketUse(long heldBytes, long quotaBytes) {
  /** Whether so many bytes more may be published. */
  public boolean takes(long moreBytes) {
    return quotaBytes == 0 || moreBytes <= quotaBytes - heldBytes || moreBytes == 0;
  }
}
