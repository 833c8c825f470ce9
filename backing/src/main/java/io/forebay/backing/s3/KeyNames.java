package io.forebay.backing.s3;

import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Which keys stand for themselves.
 *
 * <p>S3 keeps keys of at most 1,024 bytes. It keeps a part {@code .} or {@code ..} too, but proxies
 * and clients on the way resolve it, as paths of URLs do: such a key would be another object's.
 */
final class KeyNames {
  static final int MAX_BYTES = 1024;

  private KeyNames() {}

  /** What is wrong with a key or the beginning of one; empty for a good one. */
  static Optional<String> wrong(String key) {
    if (key.getBytes(StandardCharsets.UTF_8).length > MAX_BYTES) {
      return Optional.of("a key has at most " + MAX_BYTES + " bytes");
    }
    for (String part : key.split("/", -1)) {
      if (part.equals(".") || part.equals("..")) {
        return Optional.of("a part between '/' is '" + part + "', which is resolved on the way");
      }
    }
    return Optional.empty();
  }
}
