package io.forebay.app.fuzz;

/**
 * Something that the server should not have done. The message says what, and in answer to which
 * talk.
 */
final class Defect extends RuntimeException {
  private static final long serialVersionUID = 1;

  Defect(String message) {
    super(message);
  }

  Defect(String message, Throwable cause) {
    super(message, cause);
  }
}
