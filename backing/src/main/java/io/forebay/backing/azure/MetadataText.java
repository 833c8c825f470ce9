package io.forebay.backing.azure;

import java.nio.charset.StandardCharsets;
import java.util.Base64;

/**
 * Metadata values as HTTP headers take them: what is not printable ASCII, or what a header's way
 * through proxies and signatures would change (spaces at the ends, several in a row, nothing at
 * all), becomes one encoded word (RFC 2047).
 */
final class MetadataText {
  private static final String BEGIN = "=?utf-8?B?";
  private static final String END = "?=";

  private MetadataText() {}

  static String encode(String value) {
    boolean plain =
        !value.isEmpty()
            && value.equals(value.strip())
            && !value.contains("  ")
            && !value.startsWith(BEGIN)
            && value.chars().allMatch(c -> c >= 0x20 && c < 0x7f);
    return plain
        ? value
        : BEGIN + Base64.getEncoder().encodeToString(value.getBytes(StandardCharsets.UTF_8)) + END;
  }

  static String decode(String value) {
    if (!value.startsWith(BEGIN) || !value.endsWith(END)) {
      return value;
    }
    try {
      return new String(
          Base64.getDecoder()
              .decode(value.substring(BEGIN.length(), value.length() - END.length())),
          StandardCharsets.UTF_8);
    } catch (IllegalArgumentException other) {
      // Somebody's own text that begins alike.
      return value;
    }
  }
}
