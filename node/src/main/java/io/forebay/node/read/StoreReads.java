package io.forebay.node.read;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.id.BucketId;

/** The way to a bucket's store for readers. */
@FunctionalInterface
public interface StoreReads {
  /**
   * Reads a part of a store object, of exactly one ETag.
   *
   * @param length 1 byte to 1 MiB
   * @param etag without quotes
   * @throws io.forebay.core.error.ForebayException STORE_*; GENERATION_GONE when the object has
   *     another ETag
   */
  Bytes read(BucketId bucket, String key, String etag, long offset, int length);
}
