package io.forebay.backing.http;

import org.jspecify.annotations.Nullable;

/** What lies behind a failure that an SDK has wrapped. */
public final class Causes {
  private static final int MAX_DEPTH = 16;
  private static final int REASON_CHARACTERS = 300;

  private Causes() {}

  /** Whether a failure is of a kind, or was caused by one. */
  public static boolean caused(Throwable failure, Class<? extends Throwable> kind) {
    @Nullable Throwable at = failure;
    for (int depth = 0; depth < MAX_DEPTH && at != null; depth++) {
      if (kind.isInstance(at)) {
        return true;
      }
      at = at.getCause();
    }
    return false;
  }

  /** The innermost reason, on one line, without what might be a secret of a URL. */
  public static String reason(Throwable failure) {
    Throwable cause = failure;
    for (int depth = 0; depth < MAX_DEPTH && cause.getCause() != null; depth++) {
      cause = cause.getCause();
    }
    String text =
        cause
            .toString()
            .replaceAll("(?i)(sig|signature)=[^&\\s'\"]*", "$1=(hidden)")
            .replaceAll("\\s+", " ");
    return text.length() <= REASON_CHARACTERS ? text : text.substring(0, REASON_CHARACTERS) + "...";
  }
}
