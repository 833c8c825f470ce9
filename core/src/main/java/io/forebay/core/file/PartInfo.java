package io.forebay.core.file;

/**
 * A part of an upload.
 *
 * @param number 1–10,000
 * @param etag without quotes
 */
public record PartInfo(int number, long lengthBytes, String etag, long modifiedMillis) {
  public static final int MAX_NUMBER = 10_000;

  /** Least length of every part but the last. */
  public static final long MIN_BYTES = 5L << 20;
}
