package io.forebay.backing.http;

import io.forebay.core.backing.PutOptions;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** What HTTP headers can carry. */
public final class HeaderText {
  private static final String BEGIN = "=?utf-8?B?";
  private static final String END = "?=";

  private HeaderText() {}

  /**
   * A metadata value as headers take it: what is not printable ASCII, or what a header's way
   * through proxies and signatures would change (spaces at the ends, several in a row, nothing at
   * all), becomes one encoded word (RFC 2047).
   */
  public static String encode(String value) {
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

  /** What {@link #encode} was given; somebody else's value as it is. */
  public static String decode(String value) {
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

  /**
   * The headers of an object that every store has a place for, names in lower case; the content
   * type is always among them.
   */
  public static Map<String, String> kept(PutOptions options) {
    var kept = new TreeMap<String, String>();
    // What a store takes it for when nothing is said.
    kept.put(
        "content-type",
        options.contentType().isEmpty() ? "application/octet-stream" : options.contentType());
    for (String name :
        List.of("cache-control", "content-disposition", "content-encoding", "content-language")) {
      Optional.ofNullable(options.headers().get(name)).ifPresent(value -> kept.put(name, value));
    }
    return kept;
  }

  /**
   * What is wrong with the headers that are kept; empty when nothing is. A client would fail on it
   * below the SDK, with an outcome that looks unclear.
   */
  public static Optional<String> wrong(PutOptions options) {
    return kept(options).entrySet().stream()
        .filter(header -> !header.getValue().matches("[ -~]*"))
        .findFirst()
        .map(header ->
            "its "
                + header.getKey()
                + " has characters that are not printable ASCII; store the object again with another"
                + " one");
  }
}
