package io.forebay.backing.azure;

import java.util.Optional;

/**
 * Which blob names stand for themselves.
 *
 * <p>Azure keeps names of at most 1,024 characters, and resolves a part {@code .} or {@code ..},
 * drops a dot at a part's end and takes a backslash for a slash, as paths of URLs do: such a name
 * would be another blob's.
 */
final class BlobNames {
  static final int MAX_CHARACTERS = 1024;
  private static final int MAX_PARTS = 254;

  private BlobNames() {}

  /** What is wrong with a name or the beginning of one; empty for a good one. */
  static Optional<String> wrong(String name) {
    if (name.length() > MAX_CHARACTERS) {
      return Optional.of("a blob's name has at most " + MAX_CHARACTERS + " characters");
    }
    if (name.indexOf('\\') >= 0) {
      return Optional.of("it has a '\\', which Azure takes for '/'");
    }
    String[] parts = name.split("/", -1);
    if (parts.length > MAX_PARTS) {
      return Optional.of("a blob's name has at most " + MAX_PARTS + " parts between '/'");
    }
    for (String part : parts) {
      if (part.endsWith(".")) {
        return Optional.of("a part between '/' ends with '.', which Azure would drop");
      }
    }
    return Optional.empty();
  }
}
