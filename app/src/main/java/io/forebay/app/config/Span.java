package io.forebay.app.config;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A length of time as people write it: {@code 500ms}, {@code 5s}, {@code 2m}, {@code 1h}. */
public final class Span {
  private static final Pattern FORM = Pattern.compile("(\\d{1,12})\\s*([A-Za-z]+)");
  // A hundred years; in nanoseconds, too, a long holds it.
  private static final long MOST_MILLIS = 36_500 * 86_400_000L;

  private Span() {}

  /**
   * Parses a span.
   *
   * @param what the setting's name, for the message
   * @return milliseconds
   * @throws ForebayException CONFIGURATION naming the setting, what was written, and what would be
   *     right
   */
  public static long parseMillis(String what, String text) {
    Matcher matcher = FORM.matcher(text.strip());
    if (matcher.matches()) {
      long factor =
          switch (matcher.group(2).toLowerCase(Locale.ROOT)) {
            case "ms" -> 1L;
            case "s" -> 1_000L;
            case "m", "min" -> 60_000L;
            case "h" -> 3_600_000L;
            case "d" -> 86_400_000L;
            default -> 0L;
          };
      if (factor != 0) {
        long number = Long.parseLong(matcher.group(1));
        if (number > MOST_MILLIS / factor) {
          throw new ForebayException(
              ErrorCode.CONFIGURATION,
              what + ": '" + text + "' is too long; write at most " + format(MOST_MILLIS));
        }
        return number * factor;
      }
    }
    throw new ForebayException(
        ErrorCode.CONFIGURATION,
        what
            + ": '"
            + text
            + "' is no span of time; write a number and a unit, such as 500ms, 5s, 2m or 1h");
  }

  /** As it is written with the largest unit that needs no fraction. */
  public static String format(long millis) {
    if (millis != 0 && millis % 86_400_000L == 0) {
      return millis / 86_400_000L + "d";
    }
    if (millis != 0 && millis % 3_600_000L == 0) {
      return millis / 3_600_000L + "h";
    }
    if (millis != 0 && millis % 60_000L == 0) {
      return millis / 60_000L + "m";
    }
    return millis % 1_000L == 0 ? millis / 1_000L + "s" : millis + "ms";
  }
}
