package io.forebay.backing.http;

import java.nio.ByteBuffer;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A part of an object that was asked for, and whether an answer is it.
 *
 * @param offset its first byte
 * @param length in bytes, at least 1
 */
public record PartAnswer(long offset, int length) {
  /** The object ends before the part that was asked for does. */
  public static final class ShortObject extends RuntimeException {
    private static final long serialVersionUID = 1;

    private ShortObject(String message) {
      super(message);
    }
  }

  /**
   * What is wrong with an answer; empty when its body is the part.
   *
   * @param status of HTTP
   * @param contentRange its header, if there was one
   * @param contentLength its header, if there was one
   * @return a {@link ShortObject}, or what else must not happen
   */
  public Optional<RuntimeException> wrong(
      int status, @Nullable String contentRange, @Nullable Long contentLength) {
    if (status != 206) {
      // Something on the way may not know ranges.
      return offset == 0 && contentLength != null && contentLength == length
          ? Optional.empty()
          : Optional.of(new IllegalStateException("the answer is the whole object, not a range"));
    }
    String range = String.valueOf(contentRange);
    if (range.startsWith("bytes " + offset + "-" + (offset + length - 1) + "/")) {
      return Optional.empty();
    }
    if (range.startsWith("bytes " + offset + "-")) {
      return Optional.of(new ShortObject("it has only " + range));
    }
    return Optional.of(new IllegalStateException("the answer holds '" + range + "'"));
  }

  /**
   * True when a body has filled its buffer.
   *
   * @throws IllegalStateException when it ended before
   */
  public static boolean filled(ByteBuffer target) {
    if (target.hasRemaining()) {
      throw new IllegalStateException(
          "the answer ended after " + target.position() + " of " + target.limit() + " bytes");
    }
    return true;
  }
}
