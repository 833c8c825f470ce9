package io.forebay.core.file;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.List;
import java.util.OptionalLong;

/**
 * Conditions of a read. ETags are without quotes, {@code *} means any; empty lists and absent times
 * are no condition. Precedence as in RFC 9110, section 13.2.2: If-Match overrides
 * If-Unmodified-Since, If-None-Match overrides If-Modified-Since.
 *
 * @param ifModifiedSinceMillis compared in whole seconds, as HTTP dates are
 * @param ifUnmodifiedSinceMillis likewise
 */
public record ReadConditions(
    List<String> ifMatch,
    List<String> ifNoneMatch,
    OptionalLong ifModifiedSinceMillis,
    OptionalLong ifUnmodifiedSinceMillis) {
  public static final ReadConditions NONE =
      new ReadConditions(List.of(), List.of(), OptionalLong.empty(), OptionalLong.empty());

  public ReadConditions {
    ifMatch = List.copyOf(ifMatch);
    ifNoneMatch = List.copyOf(ifNoneMatch);
  }

  /** Only that generation whose ETag is this one. */
  public static ReadConditions ifMatch(String etag) {
    return new ReadConditions(List.of(etag), List.of(), OptionalLong.empty(), OptionalLong.empty());
  }

  /**
   * Lets a generation pass or not.
   *
   * @throws ForebayException PRECONDITION_FAILED; NOT_MODIFIED
   */
  public void check(ObjectInfo info) {
    long seconds = Math.floorDiv(info.modifiedMillis(), 1000L);
    if (!ifMatch.isEmpty()) {
      if (ifMatch.stream().noneMatch(info::matches)) {
        throw failed(ErrorCode.PRECONDITION_FAILED, "If-Match", info);
      }
    } else if (ifUnmodifiedSinceMillis.isPresent()
        && seconds > Math.floorDiv(ifUnmodifiedSinceMillis.getAsLong(), 1000L)) {
      throw failed(ErrorCode.PRECONDITION_FAILED, "If-Unmodified-Since", info);
    }
    if (!ifNoneMatch.isEmpty()) {
      if (ifNoneMatch.stream().anyMatch(info::matches)) {
        throw failed(ErrorCode.NOT_MODIFIED, "If-None-Match", info);
      }
    } else if (ifModifiedSinceMillis.isPresent()
        && seconds <= Math.floorDiv(ifModifiedSinceMillis.getAsLong(), 1000L)) {
      throw failed(ErrorCode.NOT_MODIFIED, "If-Modified-Since", info);
    }
  }

  private static ForebayException failed(ErrorCode code, String condition, ObjectInfo info) {
    return new ForebayException(
        code, condition + " does not hold: the object has ETag \"" + info.etag() + "\"");
  }
}
