package io.forebay.gateway.s3;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.gateway.http.RequestBody;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads a form's fields and then its file out of a multipart/form-data body (RFC 7578), piece by
 * piece.
 *
 * <pre>
 *   --BOUNDARY CR LF  headers CR LF CR LF  value  CR LF      for each field
 *   --BOUNDARY CR LF  headers CR LF CR LF  file   CR LF
 *   --BOUNDARY--
 * </pre>
 *
 * <p>Belongs to the thread that handles the request. What comes behind the file is not looked at,
 * as in S3.
 */
final class FormBody {
  /** S3's bound of all fields together, without the file. */
  private static final int MAX_FIELDS_BYTES = 20_000;

  private static final int MAX_FIELDS = 200;
  private static final int MAX_LINE_BYTES = 4096;
  private static final int WINDOW_BYTES = 64 << 10;
  private static final Pattern TYPE =
      Pattern.compile(
          "multipart/form-data\\s*;.*?boundary=(?:\"([^\"]{1,70})\"|([^\";,\\s]{1,70})).*",
          Pattern.CASE_INSENSITIVE);
  private static final Pattern PARAMETER =
      Pattern.compile(";\\s*(name|filename)=(?:\"((?:[^\"\\\\]|\\\\.)*)\"|([^;\\s]*))");

  private final RequestBody body;
  private final byte[] delimiter;
  private final byte[] window = new byte[WINDOW_BYTES];
  private int begin;
  private int end;
  private @Nullable ByteBuffer piece;
  private boolean atDelimiter;
  private String fileName = "";

  private FormBody(RequestBody body, String boundary) {
    this.body = body;
    this.delimiter = ("\r\n--" + boundary).getBytes(StandardCharsets.ISO_8859_1);
    // The first delimiter may stand at the very beginning: as if a line had ended before.
    window[0] = '\r';
    window[1] = '\n';
    end = 2;
  }

  /** Whether a request is a form for {@link #of}. */
  static boolean isForm(S3Request request) {
    return request.method().equals("POST")
        && request
            .header("content-type")
            .filter(type -> TYPE.matcher(type.strip()).matches())
            .isPresent();
  }

  /** The form of a request for which {@link #isForm} holds. */
  static FormBody of(S3Request request, RequestBody body) {
    Matcher type = TYPE.matcher(request.header("content-type").orElse("").strip());
    if (!type.matches()) {
      throw malformed("it has no boundary");
    }
    String quoted = type.group(1);
    return new FormBody(body, quoted == null ? type.group(2) : quoted);
  }

  /**
   * Reads the fields up to the file, whose {@link #file} comes next. Values are bytes as chars (ISO
   * 8859-1), as header values are.
   *
   * @return by lower-case name
   * @throws S3Refusal MALFORMED_POST_REQUEST; INVALID_ARGUMENT when there is no file, or a field
   *     twice; ENTITY_TOO_LARGE's name when the fields are too long
   */
  Map<String, String> fields() {
    var fields = new LinkedHashMap<String, String>();
    while (content() != null) {
      // what stands before the first delimiter means nothing
    }
    int left = MAX_FIELDS_BYTES;
    while (nextPart()) {
      String name = "";
      Optional<String> file = Optional.empty();
      for (String line = line(); !line.isEmpty(); line = line()) {
        if (line.toLowerCase(Locale.ROOT).startsWith("content-disposition:")) {
          Matcher parameter = PARAMETER.matcher(line);
          while (parameter.find()) {
            String quoted = parameter.group(2);
            String value = quoted == null ? parameter.group(3) : quoted.replace("\\\"", "\"");
            if (parameter.group(1).equals("name")) {
              name = value.toLowerCase(Locale.ROOT);
            } else {
              file = Optional.of(value);
            }
          }
        }
      }
      if (name.equals("file")) {
        fileName = file.orElse("");
        return fields;
      }
      String value = value(left);
      left -= name.length() + value.length();
      if (fields.size() == MAX_FIELDS || left < 0) {
        throw tooLong();
      }
      if (fields.put(name, value) != null) {
        throw new S3Refusal(
            S3Code.INVALID_ARGUMENT, "POST contains the field '" + name + "' more than once");
      }
    }
    throw new S3Refusal(
        S3Code.INVALID_ARGUMENT, "POST requires exactly one file upload per request.");
  }

  /** What the file was called, without directories; bytes as chars. */
  String fileName() {
    int slash = Math.max(fileName.lastIndexOf('/'), fileName.lastIndexOf('\\'));
    return fileName.substring(slash + 1);
  }

  /** The file, once the fields were read. */
  RequestBody file() {
    return this::content;
  }

  private String value(int most) {
    var value = new ByteArrayOutputStream();
    for (ByteBuffer run = content(); run != null; run = content()) {
      if (value.size() + run.remaining() > most) {
        throw tooLong();
      }
      value.write(run.array(), run.arrayOffset() + run.position(), run.remaining());
    }
    return value.toString(StandardCharsets.ISO_8859_1);
  }

  /** After a delimiter: whether a part follows. */
  private boolean nextPart() {
    String rest = line();
    if (rest.startsWith("--")) {
      return false;
    }
    if (!rest.isBlank()) {
      throw malformed("its boundary is followed by other bytes");
    }
    atDelimiter = false;
    return true;
  }

  /** A line without its end; the last may lack one. */
  private String line() {
    while (true) {
      for (int i = begin; i < end; i++) {
        if (window[i] == '\n') {
          int length = i > begin && window[i - 1] == '\r' ? i - 1 - begin : i - begin;
          var line = new String(window, begin, length, StandardCharsets.ISO_8859_1);
          begin = i + 1;
          return line;
        }
      }
      if (end - begin > MAX_LINE_BYTES) {
        throw malformed("a line of it has more than " + MAX_LINE_BYTES + " bytes");
      }
      if (!fill()) {
        if (end - begin >= 2 && window[begin] == '-' && window[begin + 1] == '-') {
          begin = end;
          return "--";
        }
        throw incomplete();
      }
    }
  }

  /** The next run of the present part; null at its end. Valid until the next call. */
  private @Nullable ByteBuffer content() {
    if (atDelimiter) {
      return null;
    }
    while (true) {
      int found = delimiterAt();
      if (found > begin || found < 0) {
        // Without a delimiter, all but what could be the beginning of one.
        int until = found < 0 ? end - delimiter.length + 1 : found;
        if (until > begin) {
          ByteBuffer run = ByteBuffer.wrap(window, begin, until - begin).slice();
          begin = until;
          return run;
        }
      } else {
        begin += delimiter.length;
        atDelimiter = true;
        return null;
      }
      if (!fill()) {
        throw incomplete();
      }
    }
  }

  private int delimiterAt() {
    for (int i = begin; i + delimiter.length <= end; i++) {
      int matching = 0;
      while (matching < delimiter.length && window[i + matching] == delimiter[matching]) {
        matching++;
      }
      if (matching == delimiter.length) {
        return i;
      }
    }
    return -1;
  }

  private boolean fill() {
    System.arraycopy(window, begin, window, 0, end - begin);
    end -= begin;
    begin = 0;
    while (piece == null || !piece.hasRemaining()) {
      piece = body.next();
      if (piece == null) {
        return false;
      }
    }
    int count = Math.min(piece.remaining(), window.length - end);
    piece.get(window, end, count);
    end += count;
    return true;
  }

  private static S3Refusal malformed(String why) {
    return new S3Refusal(
        S3Code.MALFORMED_POST_REQUEST,
        "The body of your POST request is not well-formed multipart/form-data: " + why);
  }

  private static ForebayException incomplete() {
    return new ForebayException(
        ErrorCode.INCOMPLETE_BODY, "the form ends before its last boundary");
  }

  private static S3Refusal tooLong() {
    return new S3Refusal(
        S3Code.MALFORMED_POST_REQUEST,
        "Your POST request fields preceding the upload file were too large: they have more than "
            + MAX_FIELDS_BYTES
            + " bytes, or are more than "
            + MAX_FIELDS);
  }
}
