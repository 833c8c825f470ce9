package io.forebay.store.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.function.Function;

/**
 * One segment file: a header table of slots, then data. Its allocation state is guarded by the
 * volume's lock; the channel is for any I/O thread.
 */
final class Segment {
  static final int BLOCK_BYTES = 4096;

  final int number;
  final Path path;
  final FileChannel channel;
  final int slots;
  final Extents extents;
  final BitSet usedSlots = new BitSet();
  final BitSet touched = new BitSet(); // blocks that the file system has given room
  final GroupCommit commits;

  /**
   * @param commits makes what syncs the segment's channel
   */
  Segment(
      int number,
      Path path,
      int segmentBytes,
      boolean direct,
      SegmentFiles files,
      Function<FileChannel, GroupCommit> commits)
      throws IOException {
    this.number = number;
    this.path = path;
    // One slot for each 64 KiB of data, and no more than 4 MiB of table.
    this.slots = tableBytes(segmentBytes) / BLOCK_BYTES;
    Set<OpenOption> options = new LinkedHashSet<>();
    options.add(StandardOpenOption.CREATE);
    options.add(StandardOpenOption.READ);
    options.add(StandardOpenOption.WRITE);
    if (direct) {
      options.add(DirectIo.option().orElseThrow());
    }
    this.channel = files.open(path, options);
    this.commits = commits.apply(channel);
    try {
      // One that was cut short reads as zeros behind its end, and its chunks as damaged.
      if (channel.size() < segmentBytes) {
        extend(channel, segmentBytes);
      }
    } catch (IOException failure) {
      channel.close();
      throw failure;
    }
    this.extents = new Extents(slots, segmentBytes / BLOCK_BYTES);
  }

  /** Where the segment of a number lies. */
  static Path file(Path directory, int number) {
    return directory.resolve("segments").resolve(String.format("%08d.seg", number));
  }

  /**
   * Makes the file of a new segment. It has its name when it has its size, not before. Its table is
   * written out, so that a slot can be written, and cleared, on a disk that is full.
   */
  static void make(Path directory, int number, int segmentBytes) throws IOException {
    Path file = file(directory, number);
    Path part = file.resolveSibling("new.part");
    try (FileChannel out =
        FileChannel.open(
            part,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      ByteBuffer zeros = ByteBuffer.allocateDirect(64 << 10);
      for (int at = 0; at < tableBytes(segmentBytes); at += zeros.capacity()) {
        zeros.clear();
        for (long to = at; zeros.hasRemaining(); ) {
          to += out.write(zeros, to);
        }
      }
      extend(out, segmentBytes);
      out.force(true);
    }
    Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    // The name is durable only when its directory is.
    try (FileChannel entry = FileChannel.open(file.getParent(), StandardOpenOption.READ)) {
      entry.force(true);
    }
  }

  private static void extend(FileChannel channel, int segmentBytes) throws IOException {
    ByteBuffer last = ByteBuffer.allocateDirect(2 * BLOCK_BYTES).alignedSlice(BLOCK_BYTES);
    channel.write(last.limit(BLOCK_BYTES), segmentBytes - BLOCK_BYTES);
  }

  /** Size of the header table. */
  static int tableBytes(int segmentBytes) {
    return Math.min(1024, segmentBytes / (64 << 10)) * BLOCK_BYTES;
  }

  /** Writes all of the buffer. */
  void writeFully(ByteBuffer source, long position) throws IOException {
    long at = position;
    while (source.hasRemaining()) {
      at += channel.write(source, at);
    }
  }

  /** Fills the buffer. */
  void readFully(ByteBuffer target, long position) throws IOException {
    long at = position;
    while (target.hasRemaining()) {
      int count = channel.read(target, at);
      if (count < 0) {
        throw new IOException(path + " ends at " + at + " before what was kept there");
      }
      at += count;
    }
  }
}
