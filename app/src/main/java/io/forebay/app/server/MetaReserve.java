package io.forebay.app.server;

import io.forebay.app.config.ServerConfig;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Room that chunks leave to the control plane where it shares their file system: a voter whose log
 * cannot be written is no voter any more.
 *
 * <p>1 GiB is for a namespace of a million files: 240 MiB of rows, the same again while they are
 * compacted, and two dumps of them. On small file systems it is a 20th, for small namespaces.
 */
final class MetaReserve {
  private static final long MOST_BYTES = 1L << 30;
  private static final int PART = 20;

  private MetaReserve() {}

  /** What the volume in a directory is to leave; 0: what it leaves by itself. */
  static long bytes(ServerConfig config, Path data) {
    if (config.reserveBytes().isPresent()) {
      return config.reserveBytes().getAsLong();
    }
    try {
      return config.voter() && device(data).equals(device(config.meta()))
          ? Math.min(MOST_BYTES, Files.getFileStore(existing(data)).getTotalSpace() / PART)
          : 0;
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the file systems of " + data + " and " + config.meta() + " cannot be looked at",
          failure);
    }
  }

  private static Object device(Path path) throws IOException {
    return Files.getAttribute(existing(path), "unix:dev");
  }

  /** The directory itself, or the one in which it will be made. */
  private static Path existing(Path path) {
    Path at = path.toAbsolutePath();
    while (!Files.exists(at) && at.getParent() != null) {
      at = at.getParent();
    }
    return at;
  }
}
