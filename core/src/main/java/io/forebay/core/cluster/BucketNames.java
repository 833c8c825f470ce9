package io.forebay.core.cluster;

import java.util.Optional;
import java.util.regex.Pattern;

/** What a bucket may be called: S3's rules for general purpose buckets, so that every door fits. */
final class BucketNames {
  private static final Pattern FORM = Pattern.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]");
  private static final Pattern ADDRESS = Pattern.compile("\\d+\\.\\d+\\.\\d+\\.\\d+");

  private BucketNames() {}

  /** Why a name is refused; empty when it is fine. */
  static Optional<String> fault(String name) {
    if (!FORM.matcher(name).matches()) {
      return Optional.of("has 3 to 63 of a-z 0-9 . - and begins and ends with a letter or digit");
    }
    if (name.contains("..")) {
      return Optional.of("has no two dots in a row");
    }
    if (ADDRESS.matcher(name).matches()) {
      return Optional.of("does not look like an IP address");
    }
    if (name.startsWith("xn--") || name.startsWith("sthree-")) {
      return Optional.of("does not begin with xn-- or sthree-");
    }
    if (name.endsWith("-s3alias") || name.endsWith("--ol-s3") || name.endsWith(".mrap")) {
      return Optional.of("does not end with -s3alias, --ol-s3 or .mrap");
    }
    return Optional.empty();
  }
}
