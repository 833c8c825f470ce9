package io.forebay.store.disk;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.TreeMap;

/**
 * What a data directory says of itself, in {@code volume.meta}: lines of {@code name=value}.
 *
 * @param capacityBytes what the chunks may take when the settings name nothing: a share of what was
 *     free when the directory was formatted
 * @param cluster empty until it was first used by a cluster
 * @param boot of the machine (rule R6) in which, as far as it goes back, nothing that is held can
 *     be torn; 0 when that is not known
 * @param closed whether all of it was synced, and nothing was changed since
 * @param segments how many there were at least; 0 where an older version wrote it
 * @param control id of the control plane that knows what it holds; empty until that is known
 */
record VolumeMeta(
    long volume,
    long disk,
    int segmentBytes,
    long capacityBytes,
    String cluster,
    long boot,
    boolean closed,
    int segments,
    String control) {
  static final String FILE = "volume.meta";
  private static final int FORMAT = 1;

  static VolumeMeta read(Path directory) {
    Path file = directory.resolve(FILE);
    var values = new TreeMap<String, String>();
    try {
      for (String line : Files.readAllLines(file)) {
        int equals = line.indexOf('=');
        if (equals > 0) {
          values.put(line.substring(0, equals), line.substring(equals + 1));
        }
      }
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          file + " cannot be read (" + failure + "); check the directory's owner and rights",
          failure);
    }
    String format = values.getOrDefault("format", "");
    if (!format.matches("[0-9]{1,9}")) {
      throw new ForebayException(
          ErrorCode.CORRUPT, file + " has no format; restore it, or replace the volume");
    }
    if (!format.equals(Integer.toString(FORMAT))) {
      throw new ForebayException(
          ErrorCode.WRONG_VERSION,
          file
              + " has format '"
              + format
              + "', and this version knows "
              + FORMAT
              + "; run the version of Forebay that wrote it, or a newer one");
    }
    try {
      return new VolumeMeta(
          Long.parseUnsignedLong(values.getOrDefault("volume", ""), 16),
          Long.parseUnsignedLong(values.getOrDefault("disk", ""), 16),
          Integer.parseInt(values.getOrDefault("segmentBytes", "")),
          Long.parseLong(values.getOrDefault("capacityBytes", "")),
          values.getOrDefault("cluster", ""),
          Long.parseUnsignedLong(values.getOrDefault("boot", "0"), 16),
          values.getOrDefault("closed", "").equals("true"),
          Integer.parseInt(values.getOrDefault("segments", "0")),
          values.getOrDefault("control", ""));
    } catch (NumberFormatException failure) {
      throw new ForebayException(
          ErrorCode.CORRUPT,
          file + " is damaged: " + values + "; restore it, or replace the volume",
          failure);
    }
  }

  /** With another life of the disk. */
  VolumeMeta withDisk(long drawn) {
    return new VolumeMeta(
        volume, drawn, segmentBytes, capacityBytes, cluster, boot, closed, segments, control);
  }

  /** Tied to a cluster. */
  VolumeMeta withCluster(String id) {
    return new VolumeMeta(
        volume, disk, segmentBytes, capacityBytes, id, boot, closed, segments, control);
  }

  /** Tied to a control plane. */
  VolumeMeta withControl(String id) {
    return new VolumeMeta(
        volume, disk, segmentBytes, capacityBytes, cluster, boot, closed, segments, id);
  }

  /** With nothing that can be torn, as of this boot, in which it is open. */
  VolumeMeta withBoot(long settled) {
    return new VolumeMeta(
        volume, disk, segmentBytes, capacityBytes, cluster, settled, false, segments, control);
  }

  /** With nothing that can be torn, whatever the next boot is. */
  VolumeMeta withAllSynced() {
    return new VolumeMeta(
        volume, disk, segmentBytes, capacityBytes, cluster, boot, true, segments, control);
  }

  /** With so many segments at least. */
  VolumeMeta withSegments(int count) {
    return new VolumeMeta(
        volume,
        disk,
        segmentBytes,
        capacityBytes,
        cluster,
        boot,
        closed,
        Math.max(segments, count),
        control);
  }

  /** Replaces the file, old or new whole whatever happens. */
  void write(Path directory) throws IOException {
    String text =
        "format="
            + FORMAT
            + "\nvolume="
            + Long.toHexString(volume)
            + "\ndisk="
            + Long.toHexString(disk)
            + "\nsegmentBytes="
            + segmentBytes
            + "\ncapacityBytes="
            + capacityBytes
            + "\ncluster="
            + cluster
            + "\nboot="
            + Long.toHexString(boot)
            + "\nclosed="
            + closed
            + "\nsegments="
            + segments
            + "\ncontrol="
            + control
            + "\n";
    Path part = directory.resolve(FILE + ".part");
    try (FileChannel out =
        FileChannel.open(
            part,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
      out.force(true);
    }
    Files.move(
        part,
        directory.resolve(FILE),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
    try (FileChannel entry = FileChannel.open(directory, StandardOpenOption.READ)) {
      entry.force(true);
    }
  }
}
