package io.forebay.gateway.s3;

import io.forebay.core.file.ByteRange;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Ranges as the header Range says them (RFC 9110, 14.1.2). */
final class ByteRanges {
  private static final Pattern FORM = Pattern.compile("bytes=(\\d*)-(\\d*)");
  // Of a number that is surely a long, and more than any object has.
  private static final int MAX_DIGITS = 18;

  private ByteRanges() {}

  /**
   * The range of an object that is wanted. Several ranges, other units and what cannot be read are
   * ignored, as S3 does.
   *
   * @return empty: all of it
   * @throws S3Refusal INVALID_RANGE, with the object's length
   */
  static Optional<ByteRange> of(Optional<String> header, long lengthBytes) {
    Matcher form = FORM.matcher(header.orElse("").replace(" ", ""));
    if (!form.matches() || (form.group(1).isEmpty() && form.group(2).isEmpty())) {
      return Optional.empty();
    }
    long first;
    long last = lengthBytes - 1;
    if (form.group(1).isEmpty()) {
      long suffix = Math.min(number(form.group(2)), lengthBytes);
      first = lengthBytes - suffix;
    } else {
      first = number(form.group(1));
      if (!form.group(2).isEmpty()) {
        long named = number(form.group(2));
        if (named < first) {
          return Optional.empty();
        }
        last = Math.min(last, named);
      }
    }
    if (first >= lengthBytes) {
      // By the length the CRT client tells an empty object from a range that is none.
      throw new S3Refusal(
          S3Code.INVALID_RANGE,
          "The requested range is not satisfiable",
          new TreeMap<>(
              Map.of(
                  "ActualObjectSize",
                  Long.toString(lengthBytes),
                  "RangeRequested",
                  header.orElse(""))));
    }
    return Optional.of(new ByteRange(first, last - first + 1));
  }

  /** Digits as a number. Clients name the greatest ones there are when they mean the end. */
  private static long number(String digits) {
    String bare = digits.replaceFirst("^0+(?=.)", "");
    return bare.length() > MAX_DIGITS ? Long.MAX_VALUE : Long.parseLong(bare);
  }
}
