package io.forebay.core.file;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Map;

/** The rule for headers that may be changed in place: a door's own, which no store is told of. */
public final class DoorHeaders {
  /** What the names of a door's own headers begin with. */
  public static final String PREFIX = "x-amz-";

  private DoorHeaders() {}

  /**
   * Checks names.
   *
   * @throws ForebayException INVALID_ARGUMENT, naming the first that is not a door's own
   */
  public static void check(Map<String, String> headers) {
    for (String name : headers.keySet()) {
      if (!name.startsWith(PREFIX)) {
        throw new ForebayException(
            ErrorCode.INVALID_ARGUMENT,
            "the header '"
                + name
                + "' cannot be changed in place, only those that begin with "
                + PREFIX
                + ": copy the object onto itself with new metadata");
      }
    }
  }
}
