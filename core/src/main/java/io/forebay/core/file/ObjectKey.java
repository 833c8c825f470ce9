package io.forebay.core.file;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Comparator;

/** The rules for keys: which are legal, and in which order they come. */
public final class ObjectKey {
  /** Longest key in bytes of UTF-8. */
  public static final int MAX_BYTES = 1024;

  /** By code points, which is the order of the UTF-8 bytes; String's own differs above U+FFFF. */
  public static final Comparator<String> ORDER = ObjectKey::compare;

  private ObjectKey() {}

  /**
   * Returns the key when it is legal: 1–1,024 bytes of UTF-8, no NUL, no unpaired surrogate, not
   * beginning with '/', no segment '.' or '..' (as a path it would name something else).
   *
   * @throws ForebayException KEY_TOO_LONG; INVALID_KEY, naming why
   */
  public static String check(String key) {
    if (key.isEmpty()) {
      throw invalid("a key must not be empty");
    }
    if (lengthBytes(key) > MAX_BYTES) {
      throw new ForebayException(
          ErrorCode.KEY_TOO_LONG, "a key has at most " + MAX_BYTES + " bytes of UTF-8");
    }
    if (key.charAt(0) == '/') {
      throw invalid("a key must not begin with '/'");
    }
    int begin = 0;
    while (begin <= key.length()) {
      int end = key.indexOf('/', begin);
      if (end < 0) {
        end = key.length();
      }
      int length = end - begin;
      if (length == 1 && key.charAt(begin) == '.') {
        throw invalid("a key must not have a segment '.'");
      }
      if (length == 2 && key.startsWith("..", begin)) {
        throw invalid("a key must not have a segment '..'");
      }
      begin = end + 1;
    }
    return key;
  }

  private static int lengthBytes(String key) {
    int bytes = 0;
    for (int i = 0; i < key.length(); i++) {
      char c = key.charAt(i);
      if (c == 0) {
        throw invalid("a key must not hold a NUL");
      }
      if (Character.isHighSurrogate(c)
          && i + 1 < key.length()
          && Character.isLowSurrogate(key.charAt(i + 1))) {
        bytes += 4;
        i++;
      } else if (Character.isSurrogate(c)) {
        throw invalid("a key must be valid Unicode");
      } else {
        bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
      }
    }
    return bytes;
  }

  private static int compare(String a, String b) {
    int length = Math.min(a.length(), b.length());
    for (int i = 0; i < length; i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        boolean high = Character.isSurrogate(x);
        return high == Character.isSurrogate(y) ? Character.compare(x, y) : high ? 1 : -1;
      }
    }
    return Integer.compare(a.length(), b.length());
  }

  private static ForebayException invalid(String why) {
    return new ForebayException(ErrorCode.INVALID_KEY, why);
  }
}
