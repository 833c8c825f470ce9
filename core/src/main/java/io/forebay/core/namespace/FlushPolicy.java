package io.forebay.core.namespace;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.FlushMode;

/**
 * What a bucket's policy says about one key, resolved by the caller from its cluster image. In mode
 * THROUGH the generation is visible at once and its flush is due at once: the caller answers its
 * client only when the generation's flush state is FLUSHED.
 *
 * @param delayMillis from publish to flush in mode BACK
 * @param readGraceMillis how long a superseded or deleted generation keeps its chunks
 */
public record FlushPolicy(FlushMode mode, long delayMillis, long readGraceMillis) {
  public FlushPolicy {
    if (delayMillis < 0 || readGraceMillis < 0) {
      throw new IllegalArgumentException(
          "flush delay " + delayMillis + " ms, read grace " + readGraceMillis + " ms");
    }
  }

  /** The policy of a key of a bucket. */
  public static FlushPolicy of(Bucket bucket, String key) {
    return new FlushPolicy(bucket.modeOf(key), bucket.flushDelayMillis(), bucket.readGraceMillis());
  }

  /** Whether what is published goes to the store. */
  public boolean flushes() {
    return mode != FlushMode.CACHE_ONLY;
  }
}
