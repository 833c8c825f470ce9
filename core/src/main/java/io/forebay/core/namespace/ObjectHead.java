package io.forebay.core.namespace;

import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.InodeId;
import java.util.Optional;

/**
 * A published generation without its manifest.
 *
 * @param inode stays with the object when it is overwritten or renamed
 * @param etag ours, without quotes
 * @param storeEtag the store's, once the generation is flushed
 */
public record ObjectHead(
    BucketId bucket,
    String key,
    InodeId inode,
    Generation generation,
    long lengthBytes,
    String etag,
    ObjectMetadata metadata,
    long modifiedMillis,
    FlushState flush,
    Optional<String> storeEtag) {
  /** As the doors see it. */
  public ObjectInfo info(String bucketName) {
    return new ObjectInfo(
        bucketName, key, generation, lengthBytes, etag, modifiedMillis, metadata, flush, storeEtag);
  }

  /** Whether a condition's ETag (or {@code *}) means this generation. */
  public boolean matches(String wanted) {
    return wanted.equals("*")
        || wanted.equals(etag)
        || (storeEtag.isPresent() && wanted.equals(storeEtag.get()));
  }
}
