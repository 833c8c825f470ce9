package io.forebay.control.raft;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** What survives a power cut. */
final class Fsync {
  private Fsync() {}

  /** Has a file's name on the device when it returns. */
  static void nameOf(Path file) throws IOException {
    Path directory = file.toAbsolutePath().getParent();
    if (directory != null) {
      of(directory);
    }
  }

  /** Has a file, or the names in a directory, on the device when it returns. */
  static void of(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
