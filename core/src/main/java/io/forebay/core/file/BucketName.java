package io.forebay.core.file;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.regex.Pattern;

/** The rule for names of buckets: S3's, so that every door can name every bucket. */
public final class BucketName {
  private static final Pattern FORM = Pattern.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]");
  private static final Pattern ADDRESS = Pattern.compile("\\d+\\.\\d+\\.\\d+\\.\\d+");

  private BucketName() {}

  /**
   * Returns the name when it is legal: 3–63 of a–z, 0–9, '.', '-', beginning and ending with a
   * letter or digit, no two dots together, not an IPv4 address.
   *
   * @throws ForebayException INVALID_BUCKET_NAME
   */
  public static String check(String name) {
    if (!FORM.matcher(name).matches() || name.contains("..") || ADDRESS.matcher(name).matches()) {
      throw new ForebayException(
          ErrorCode.INVALID_BUCKET_NAME,
          "'"
              + (name.length() > 63 ? name.substring(0, 63) + "..." : name)
              + "': a bucket name has 3 to 63 of a-z, 0-9, '.' and '-', begins and ends with a letter or"
              + " digit, has no '..' and is not an IP address");
    }
    return name;
  }
}
