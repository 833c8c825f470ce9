package io.forebay.core.file;

/**
 * Which keys to list.
 *
 * @param prefix of all keys listed; empty: all
 * @param delimiter keys that hold it after the prefix are rolled up into one common prefix, up to
 *     and including its first occurrence; empty: none are
 * @param startAfter only keys above it, in {@link ObjectKey#ORDER}; keys that roll up into exactly
 *     this are left out too, so that the last common prefix of a page continues after it
 * @param max keys and common prefixes together, 1–1,000
 */
public record ListQuery(String prefix, String delimiter, String startAfter, int max) {
  public static final int MAX = 1000;

  public ListQuery {
    if (max < 1 || max > MAX) {
      throw new IllegalArgumentException("a page has 1 to " + MAX + " keys: " + max);
    }
  }
}
