package io.forebay.core.file;

import io.forebay.core.id.Generation;
import java.util.Optional;

/**
 * A published generation of an object, as doors see it.
 *
 * @param lengthBytes at least 0
 * @param etag without quotes; see {@link EntityTag}
 * @param modifiedMillis wall-clock time of the publish, since 1970
 * @param storeEtag the store's ETag (without quotes) of the flushed object, where it is known
 */
public record ObjectInfo(
    String bucket,
    String key,
    Generation generation,
    long lengthBytes,
    String etag,
    long modifiedMillis,
    ObjectMetadata metadata,
    FlushState flush,
    Optional<String> storeEtag) {
  /** Whether a condition's ETag (without quotes, or {@code *}) means this generation. */
  public boolean matches(String wanted) {
    return wanted.equals("*")
        || wanted.equals(etag)
        || (storeEtag.isPresent() && wanted.equals(storeEtag.get()));
  }
}
