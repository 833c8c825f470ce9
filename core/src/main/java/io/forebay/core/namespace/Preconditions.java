package io.forebay.core.namespace;

import io.forebay.core.file.WriteConditions;
import java.util.Optional;

/**
 * Conditions of a change, decided in the log together with the change itself. ETags are ours or the
 * store's, without quotes.
 *
 * @param ifMatch the present generation must have it; {@code *}: there must be one
 * @param ifAbsent there must be none
 * @param ifNoneMatch the present generation, if any, must not have it
 */
public record Preconditions(
    Optional<String> ifMatch, boolean ifAbsent, Optional<String> ifNoneMatch) {
  public static final Preconditions NONE =
      new Preconditions(Optional.empty(), false, Optional.empty());
  public static final Preconditions ABSENT =
      new Preconditions(Optional.empty(), true, Optional.empty());

  /** The conditions of a door's write. */
  public static Preconditions of(WriteConditions conditions) {
    return new Preconditions(conditions.ifMatch(), conditions.ifAbsent(), Optional.empty());
  }

  /** Only while the present generation has this ETag. */
  public static Preconditions ifMatch(String etag) {
    return new Preconditions(Optional.of(etag), false, Optional.empty());
  }
}
