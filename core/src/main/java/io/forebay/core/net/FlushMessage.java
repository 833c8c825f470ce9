package io.forebay.core.net;

import io.forebay.core.codec.Tag;
import io.forebay.core.id.BucketId;
import io.forebay.core.namespace.Manifest;

/** Messages between the nodes that bring one object to its store. */
public sealed interface FlushMessage extends Message {
  /**
   * Asks a holder of some bytes to stage them as a part of an upload, so that they go to the store
   * from there. Answered by {@link PartStaged}; fails with what the store said, with BUSY, or with
   * TIMEOUT when the lease is over. After any failure the part may still land: the same bytes under
   * the same number.
   *
   * @param key the object's in the bucket
   * @param upload as the store has named it
   * @param part from 1
   * @param body which bytes
   * @param leaseMillis wall time from which on it is not to be sent (rule F2)
   */
  @Tag(400)
  record StagePart(
      BucketId bucket, String key, String upload, int part, Manifest.Segment body, long leaseMillis)
      implements FlushMessage {}

  /**
   * The part is staged.
   *
   * @param tag what the store wants to hear of it when the upload is committed
   */
  @Tag(401)
  record PartStaged(String tag) implements FlushMessage {}
}
