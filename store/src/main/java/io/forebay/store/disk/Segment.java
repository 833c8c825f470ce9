package io.forebay.store.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.Set;

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

  Segment(int number, Path path, int segmentBytes, boolean direct) throws IOException {
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
    this.channel = FileChannel.open(path, options);
    try {
      if (channel.size() < segmentBytes) {
        ByteBuffer last = ByteBuffer.allocateDirect(2 * BLOCK_BYTES).alignedSlice(BLOCK_BYTES);
        last.limit(BLOCK_BYTES);
        channel.write(last, segmentBytes - BLOCK_BYTES);
      }
    } catch (IOException failure) {
      channel.close();
      throw failure;
    }
    this.extents = new Extents(slots, segmentBytes / BLOCK_BYTES);
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
