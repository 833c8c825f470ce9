package io.forebay.core.file;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import java.util.List;

/**
 * What a new bucket is to be; see {@link Bucket} for the fields.
 *
 * @param storeUrl empty for a cache-only bucket
 */
public record BucketSpec(
    String name,
    Family family,
    String storeUrl,
    FlushMode mode,
    List<Bucket.PrefixMode> prefixModes,
    int chunkBytes,
    long flushDelayMillis,
    long readGraceMillis) {
  public static final int DEFAULT_CHUNK_BYTES = 16 << 20;
  public static final long DEFAULT_FLUSH_DELAY_MILLIS = 5_000;
  public static final long DEFAULT_READ_GRACE_MILLIS = 600_000;

  public BucketSpec {
    prefixModes = List.copyOf(prefixModes);
  }

  /** A bucket with the defaults for everything else. */
  public static BucketSpec of(String name, Family family, String storeUrl) {
    return new BucketSpec(
        name,
        family,
        storeUrl,
        storeUrl.isEmpty() ? FlushMode.CACHE_ONLY : FlushMode.BACK,
        List.of(),
        DEFAULT_CHUNK_BYTES,
        DEFAULT_FLUSH_DELAY_MILLIS,
        DEFAULT_READ_GRACE_MILLIS);
  }
}
