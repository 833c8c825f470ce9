package io.forebay.core.namespace;

import io.forebay.core.id.Generation;
import java.util.Optional;

/**
 * A conflict as it stands.
 *
 * @param generation ours; empty: we want it deleted
 */
public record ConflictEntry(
    String key, Optional<Generation> generation, long lengthBytes, FlushRecord.Conflict conflict) {}
