package io.forebay.core.file;

import java.util.Optional;

/**
 * How a copy is to be made.
 *
 * @param metadata replaces the source's; empty: taken over
 */
public record CopyOptions(Optional<ObjectMetadata> metadata, WriteConditions conditions) {
  public static final CopyOptions DEFAULT = new CopyOptions(Optional.empty(), WriteConditions.NONE);
}
