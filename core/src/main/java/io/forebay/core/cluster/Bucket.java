package io.forebay.core.cluster;

import io.forebay.core.id.BucketId;
import java.util.List;

/**
 * A named root with its policy.
 *
 * @param storeUrl where its objects go: {@code dir:PATH}, {@code
 *     azblob://ACCOUNT/CONTAINER/PREFIX}, {@code s3://BUCKET/PREFIX}, or empty for a cache-only
 *     bucket
 * @param flushDelayMillis from publish to flush in mode BACK
 * @param prefixModes exceptions by path prefix; the longest match wins
 * @param chunkBytes power of two, 1 MiB–64 MiB
 * @param readGraceMillis how long a superseded generation stays readable for open handles
 */
public record Bucket(
    BucketId id,
    String name,
    Family family,
    String storeUrl,
    FlushMode mode,
    List<PrefixMode> prefixModes,
    int chunkBytes,
    long flushDelayMillis,
    long readGraceMillis,
    long createdMillis) {
  /** The mode of everything below a prefix. */
  public record PrefixMode(String prefix, FlushMode mode) {}

  public Bucket {
    prefixModes = List.copyOf(prefixModes);
    if (Integer.bitCount(chunkBytes) != 1 || chunkBytes < 1 << 20 || chunkBytes > 64 << 20) {
      throw new IllegalArgumentException(
          "chunk size must be a power of two, 1 MiB to 64 MiB: " + chunkBytes);
    }
  }

  /** The flush mode of a key. */
  public FlushMode modeOf(String key) {
    FlushMode found = mode;
    int longest = -1;
    for (PrefixMode exception : prefixModes) {
      if (key.startsWith(exception.prefix()) && exception.prefix().length() > longest) {
        longest = exception.prefix().length();
        found = exception.mode();
      }
    }
    return storeUrl.isEmpty() ? FlushMode.CACHE_ONLY : found;
  }
}
