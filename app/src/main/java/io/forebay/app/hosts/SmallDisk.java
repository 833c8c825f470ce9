package io.forebay.app.hosts;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file system in memory, of a size of its own, that can be filled. Needs root. Closing unmounts
 * it, and so does the end of this JVM; what a JVM that was killed left is unmounted by the next
 * one.
 */
public final class SmallDisk implements AutoCloseable {
  private static final String NEEDS = "a file system of its own needs root";
  private static final int MIB = 1 << 20;
  // In /proc/mounts: the source, which names the JVM, and the directory.
  private static final Pattern MOUNT = Pattern.compile("forebay-([0-9]+) (\\S+) tmpfs .*");

  private final Path directory;
  private final Thread reaper;

  private SmallDisk(Path directory) {
    this.directory = directory;
    this.reaper = new Thread(() -> unmount(directory), "small-disk-reaper");
    Runtime.getRuntime().addShutdownHook(reaper);
  }

  /**
   * Mounts one.
   *
   * @param directory made where it is not there
   * @param mebibytes at least 1; of memory, as far as they are used
   * @return empty where this user may not
   */
  public static Optional<SmallDisk> mount(Path directory, int mebibytes) throws IOException {
    removeLeftovers();
    Files.createDirectories(directory);
    try {
      Program.run(
          NEEDS,
          "mount",
          "-t",
          "tmpfs",
          "-o",
          "size=" + mebibytes + "m",
          "forebay-" + ProcessHandle.current().pid(),
          directory.toString());
      return Optional.of(new SmallDisk(directory));
    } catch (ForebayException refused) {
      if (refused.code() == ErrorCode.CONFIGURATION) {
        return Optional.empty();
      }
      throw refused;
    }
  }

  private static void removeLeftovers() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/mounts"))) {
      Matcher mount = MOUNT.matcher(line);
      if (mount.matches() && ProcessHandle.of(Long.parseLong(mount.group(1))).isEmpty()) {
        unmount(Path.of(mount.group(2)));
      }
    }
  }

  /** Takes all the room that is left. */
  public void fill() throws IOException {
    ByteBuffer zeros = ByteBuffer.allocateDirect(MIB);
    try (FileChannel channel =
        FileChannel.open(filler(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      while (true) {
        channel.write(zeros.clear());
      }
    } catch (IOException end) {
      if (!String.valueOf(end.getMessage()).contains("No space left")) {
        throw end;
      }
    }
  }

  /** Gives it back. */
  public void drain() throws IOException {
    Files.deleteIfExists(filler());
  }

  private Path filler() {
    return directory.resolve("filler");
  }

  @Override
  public void close() {
    unmount(directory);
    try {
      Runtime.getRuntime().removeShutdownHook(reaper);
    } catch (IllegalStateException ending) {
      // The hook runs, or has run; unmounting what is not mounted is nothing.
    }
  }

  /** Lazily, for a process that was killed may still be ending. */
  private static void unmount(Path directory) {
    try {
      Program.run(NEEDS, "umount", "-l", directory.toString());
    } catch (ForebayException absent) {
      // It was unmounted before.
    }
  }
}
