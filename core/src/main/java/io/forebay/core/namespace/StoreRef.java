package io.forebay.core.namespace;

import io.forebay.core.id.BucketId;

/**
 * Bytes that lie in a store object (rule R13).
 *
 * @param etag the store's, without quotes: read and copied with If-Match on it
 * @param offset of the first byte in the store object
 */
public record StoreRef(BucketId bucket, String key, String etag, long offset, long lengthBytes) {
  public StoreRef {
    if (offset < 0 || lengthBytes < 0) {
      throw new IllegalArgumentException("store reference " + offset + "+" + lengthBytes);
    }
  }
}
