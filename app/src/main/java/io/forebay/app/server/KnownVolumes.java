package io.forebay.app.server;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.VolumeId;
import io.forebay.core.volume.Volume;
import io.forebay.store.disk.DiskVolume;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Which volumes this node has had, kept beside the control plane's files and so on another file
 * system than the disks: lines of {@code volume path}.
 *
 * <p>Why: a mount that failed leaves an empty directory. Formatted as a new volume, it would be
 * announced in place of the old one, whose copies the cluster would then give up at once, while
 * they lie whole on a disk that is only not mounted. An empty directory where a volume was is
 * therefore refused until somebody says that the disk was replaced.
 */
final class KnownVolumes {
  static final String FILE = "volumes.known";

  private final Path file;
  private final TreeMap<String, String> byPath = new TreeMap<>();

  private KnownVolumes(Path file) {
    this.file = file;
  }

  /**
   * Reads the record; none is an empty one.
   *
   * @param directory of the node's own files, not of its volumes
   */
  static KnownVolumes read(Path directory) {
    var known = new KnownVolumes(directory.resolve(FILE));
    try {
      if (Files.exists(known.file)) {
        for (String line : Files.readAllLines(known.file)) {
          int space = line.indexOf(' ');
          if (space < 1) {
            throw new ForebayException(
                ErrorCode.CORRUPT,
                known.file
                    + " is damaged at '"
                    + line
                    + "'; remove it once you have made sure that every disk is mounted");
          }
          known.byPath.put(line.substring(space + 1), line.substring(0, space));
        }
      }
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          known.file + " cannot be read (" + failure + "); check its owner and rights",
          failure);
    }
    return known;
  }

  /**
   * Refuses directories that had a volume which is in none of them now. Before any is opened, for
   * opening formats what is empty.
   *
   * @throws ForebayException CONFIGURATION naming volume and directory, and what to do
   */
  void requirePresent(List<Path> directories) {
    var found = new TreeMap<String, Optional<VolumeId>>();
    var present = new TreeSet<String>();
    for (Path directory : directories) {
      Optional<VolumeId> volume = DiskVolume.identify(directory);
      found.put(key(directory), volume);
      volume.ifPresent(id -> present.add(id.toString()));
    }
    for (Map.Entry<String, Optional<VolumeId>> entry : found.entrySet()) {
      String before = byPath.get(entry.getKey());
      if (before != null && !present.contains(before)) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "volume "
                + before
                + " was in "
                + entry.getKey()
                + " before, and there is "
                + entry.getValue().map(now -> "volume " + now).orElse("none")
                + " now. If its disk is not mounted, mount it and start again. If the disk was"
                + " replaced and what it held shall come from other nodes, start once with"
                + " --accept-empty-volume, or remove the directory's line from "
                + file);
      }
    }
  }

  /** Replaces the record by what is open now; synced when it returns. */
  void keep(List<Path> directories, List<Volume> volumes) {
    var text = new StringBuilder();
    var now = new TreeMap<String, String>();
    for (int i = 0; i < directories.size(); i++) {
      now.put(key(directories.get(i)), volumes.get(i).id().toString());
    }
    if (now.equals(byPath)) {
      return;
    }
    now.forEach((path, volume) -> text.append(volume).append(' ').append(path).append('\n'));
    Path directory = file.toAbsolutePath().getParent();
    Path part = file.resolveSibling(FILE + ".part");
    try {
      Files.createDirectories(directory);
      try (FileChannel out =
          FileChannel.open(
              part,
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE,
              StandardOpenOption.TRUNCATE_EXISTING)) {
        ByteBuffer bytes = StandardCharsets.UTF_8.encode(text.toString());
        while (bytes.hasRemaining()) {
          out.write(bytes);
        }
        out.force(true);
      }
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      try (FileChannel entry = FileChannel.open(directory, StandardOpenOption.READ)) {
        entry.force(true);
      }
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          file + " cannot be written (" + failure + "); check its owner, rights and room",
          failure);
    }
    byPath.clear();
    byPath.putAll(now);
  }

  private static String key(Path directory) {
    return directory.toAbsolutePath().normalize().toString();
  }
}
