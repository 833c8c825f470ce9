package io.forebay.core.file;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Optional;

/**
 * Preconditions of a publish or delete, decided in the log together with the change itself.
 *
 * @param ifMatch ETag without quotes that the present generation must have, or {@code *}: there
 *     must be one
 * @param ifAbsent there must be none (If-None-Match: *, O_EXCL)
 */
public record WriteConditions(Optional<String> ifMatch, boolean ifAbsent) {
  public static final WriteConditions NONE = new WriteConditions(Optional.empty(), false);
  public static final WriteConditions ABSENT = new WriteConditions(Optional.empty(), true);

  public WriteConditions {
    if (ifAbsent && ifMatch.isPresent()) {
      throw new IllegalArgumentException("If-Match and If-None-Match exclude each other");
    }
  }

  /**
   * Lets a change pass or not.
   *
   * @param present the generation published now
   * @throws ForebayException PRECONDITION_FAILED; NOT_FOUND when If-Match meets nothing
   */
  public void check(Optional<ObjectInfo> present) {
    if (ifAbsent && present.isPresent()) {
      throw new ForebayException(
          ErrorCode.PRECONDITION_FAILED, "If-None-Match: * does not hold: the object exists");
    }
    if (ifMatch.isPresent()) {
      if (present.isEmpty()) {
        throw new ForebayException(
            ErrorCode.NOT_FOUND, "If-Match does not hold: there is no such object");
      }
      if (!present.get().matches(ifMatch.get())) {
        throw new ForebayException(
            ErrorCode.PRECONDITION_FAILED,
            "If-Match does not hold: the object has ETag \"" + present.get().etag() + "\"");
      }
    }
  }
}
