package io.forebay.core.codec;

import org.jspecify.annotations.Nullable;

/** Bytes that are not those of a value; becomes CORRUPT at the codec's boundary. */
final class Malformed extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String why;
  private final int position;
  private @Nullable String field;

  Malformed(String why, int position) {
    this(why, position, null);
  }

  Malformed(String why, int position, @Nullable Throwable cause) {
    super(why, cause, false, false);
    this.why = why;
    this.position = position;
  }

  /** Names the field; the innermost one stays. */
  Malformed in(String name) {
    if (field == null) {
      field = name;
    }
    return this;
  }

  String describe() {
    return (field == null ? "" : field + ": ") + why + " at position " + position;
  }
}
