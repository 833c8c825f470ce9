package io.forebay.core.namespace;

import io.forebay.core.id.BucketId;

/**
 * A store key that a flusher may take up.
 *
 * @param kind what would be sent
 * @param headNeeded {@code FlushBegin} must bring a HEAD that began after this record was read
 * @param lengthBytes of the object, 0 for a deletion
 */
public record FlushItem(
    BucketId bucket,
    String key,
    FlushKind kind,
    boolean headNeeded,
    long lengthBytes,
    FlushRecord record) {}
