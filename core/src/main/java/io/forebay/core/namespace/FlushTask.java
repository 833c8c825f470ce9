package io.forebay.core.namespace;

import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;

/**
 * What the holder of an attempt has to send.
 *
 * @param attempt number, for the stamp and for {@code FlushEnd}
 * @param leaseMillis wall time after which nothing more may be sent under this number
 * @param condition Absent: If-None-Match: *; Present: If-Match
 * @param etag ours, for the object's metadata; empty for a deletion
 * @param manifest empty ({@code Inline} of no bytes) for a deletion
 */
public record FlushTask(
    BucketId bucket,
    String key,
    long attempt,
    FlushKind kind,
    Generation generation,
    long leaseMillis,
    StoreSight condition,
    long lengthBytes,
    String etag,
    ObjectMetadata metadata,
    long modifiedMillis,
    Manifest manifest) {}
