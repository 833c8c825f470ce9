package io.forebay.app.fuzz;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The answer that a connection ended with: all that came behind its head is its body. */
record HttpAnswer(int status, byte[] body) {
  private static final Pattern STATUS = Pattern.compile("HTTP/1\\.1 ([0-9]{3}) ");
  private static final Pattern LENGTH = Pattern.compile("(?i)content-length: ([0-9]+)\r\n");
  private static final int STATUS_LINE_BYTES = 13;

  /** Empty where nothing came that is an answer. */
  static Optional<HttpAnswer> of(byte[] came) {
    int end = new String(came, ISO_8859_1).indexOf("\r\n\r\n");
    int status = firstStatus(came);
    return end < 0 || status == 0
        ? Optional.empty()
        : Optional.of(new HttpAnswer(status, Arrays.copyOfRange(came, end + 4, came.length)));
  }

  /** The status of the first answer that is not "go on"; 0 without one. */
  static int firstStatus(byte[] came) {
    String text =
        new String(came, 0, Math.min(came.length, 2 * STATUS_LINE_BYTES + 20), ISO_8859_1);
    Matcher each = STATUS.matcher(text);
    while (each.find()) {
      int status = Integer.parseInt(each.group(1));
      if (status >= 200) {
        return status;
      }
    }
    return 0;
  }

  /** How many whole answers came one behind the other. None may be one to HEAD with a length. */
  static int count(byte[] came) {
    String text = new String(came, ISO_8859_1);
    int count = 0;
    for (int at = 0; text.startsWith("HTTP/1.1 ", at); count++) {
      int end = text.indexOf("\r\n\r\n", at);
      Matcher length = LENGTH.matcher(end < 0 ? text : text.substring(at, end + 2));
      int next = end + 4 + (length.find() ? Integer.parseInt(length.group(1)) : 0);
      if (end < 0 || next > came.length) {
        return count;
      }
      at = next;
    }
    return count;
  }
}
