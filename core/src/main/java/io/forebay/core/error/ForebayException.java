package io.forebay.core.error;

import org.jspecify.annotations.Nullable;

/**
 * A fault of the environment or a refusal, with its code. The message says what was attempted, on
 * what, and why it failed; it holds no secret and no user bytes. Caller bugs are
 * IllegalArgument/IllegalState instead.
 */
public final class ForebayException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final ErrorCode code;

  public ForebayException(ErrorCode code, String message) {
    this(code, message, null);
  }

  public ForebayException(ErrorCode code, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  public ErrorCode code() {
    return code;
  }

  /**
   * The failure as it is to be thrown on the waiting thread: a ForebayException keeps its code and
   * gets this thread's stack, anything else becomes INTERNAL.
   */
  public static ForebayException wrap(Throwable failure) {
    if (failure instanceof ForebayException known) {
      return new ForebayException(known.code, String.valueOf(known.getMessage()), known);
    }
    return new ForebayException(ErrorCode.INTERNAL, String.valueOf(failure), failure);
  }
}
