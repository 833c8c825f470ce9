package io.forebay.app.config;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A number of bytes as people write it: {@code 512}, {@code 64MiB}, {@code 1GiB}, {@code 2GB}. */
public final class Size {
  private static final Pattern FORM = Pattern.compile("(\\d{1,15})\\s*([A-Za-z]*)");

  private Size() {}

  /**
   * Parses a size.
   *
   * @param what the setting's name, for the message
   * @throws ForebayException CONFIGURATION naming the setting, what was written, and what would be
   *     right
   */
  public static long parse(String what, String text) {
    Matcher matcher = FORM.matcher(text.strip());
    if (matcher.matches()) {
      long factor =
          switch (matcher.group(2).toLowerCase(Locale.ROOT)) {
            case "", "b" -> 1L;
            case "kib" -> 1L << 10;
            case "mib" -> 1L << 20;
            case "gib" -> 1L << 30;
            case "tib" -> 1L << 40;
            case "kb" -> 1_000L;
            case "mb" -> 1_000_000L;
            case "gb" -> 1_000_000_000L;
            case "tb" -> 1_000_000_000_000L;
            default -> 0L;
          };
      if (factor != 0) {
        long number = Long.parseLong(matcher.group(1));
        if (number <= Long.MAX_VALUE / factor) {
          return number * factor;
        }
      }
    }
    throw new ForebayException(
        ErrorCode.CONFIGURATION,
        what
            + ": '"
            + text
            + "' is no size; write bytes or a unit, such as 512, 64MiB, 1GiB or 2GB");
  }

  /** A size for people: three digits and a binary unit. */
  public static String format(long bytes) {
    String[] units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = bytes;
    int unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    String number =
        unit == 0
            ? Long.toString(bytes)
            : String.format(
                Locale.ROOT, value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
    return number + " " + units[unit];
  }
}
