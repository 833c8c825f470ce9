package io.forebay.core.file;

import io.forebay.core.id.Generation;
import java.util.OptionalLong;

/**
 * A store object that someone else has written while ours was on its way. Ours stays visible and
 * owed until it is resolved.
 *
 * @param generation ours
 * @param storeEtag theirs, without quotes; empty: they deleted it
 */
public record StoreConflict(
    String bucket,
    String key,
    Generation generation,
    long lengthBytes,
    String storeEtag,
    OptionalLong storeLengthBytes,
    String reason) {
  /** What to do about a conflict. */
  public enum Resolution {
    /** Ours overwrites theirs. */
    KEEP,
    /** Theirs becomes visible, ours is dropped. */
    TAKE
  }
}
