package io.forebay.core.file;

/**
 * A range of an object.
 *
 * @param offset of the first byte, at least 0
 * @param lengthBytes at least 1
 */
public record ByteRange(long offset, long lengthBytes) {
  public ByteRange {
    if (offset < 0 || lengthBytes < 1 || offset > Long.MAX_VALUE - lengthBytes) {
      throw new IllegalArgumentException("range " + offset + "+" + lengthBytes);
    }
  }
}
