package io.forebay.core.namespace;

import io.forebay.core.file.FlushState;
import io.forebay.core.id.Generation;
import java.util.Optional;

/**
 * How far one key is on its way to the store.
 *
 * @param generation empty: a deletion
 * @param blocked waits for objects whose only bytes are the store object here (rule F6)
 * @param reason of a failure, conflict or block; else empty
 */
public record FlushEntry(
    String key,
    Optional<Generation> generation,
    long lengthBytes,
    FlushState state,
    boolean blocked,
    String reason) {}
