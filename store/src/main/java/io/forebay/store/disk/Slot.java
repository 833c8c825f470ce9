package io.forebay.store.disk;

import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.SessionId;
import io.forebay.core.volume.StoredChunk;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * A chunk's entry in the header table of its segment: one block of 4 KiB, written last, so that it
 * is the point at which the chunk is kept. Big-endian.
 *
 * <pre>
 * offset  length
 *      0       4  magic "FBSL"
 *      4       2  format, 1
 *      6       2  1: the data were on the device before this was written (SYNCED); else 0
 *      8       8  session
 *     16       8  sequence
 *     24       4  group
 *     28       4  length of the chunk, bytes
 *     32       8  epoch
 *     40       4  offset of the data in the segment, in blocks of 4 KiB
 *     44       4  CRC32C of the chunk
 *     48       4  number of 64 KiB blocks, n
 *     52      4n  CRC32C of each
 *  52+4n       4  CRC32C of everything before
 * </pre>
 *
 * <p>A slot whose first four bytes are zero is free. n is at most 1,010: a chunk that was reserved
 * with more than 63.125 MiB has CRC blocks of 128 KiB, and its slot format 2.
 */
record Slot(
    StoredChunk chunk, boolean synced, int offsetBlocks, int crcBlockBytes, int[] blockCrcs) {
  static final int BYTES = 4096;
  static final int MAGIC = 0x4642534C;
  private static final int FIXED_BYTES = 52;
  private static final int MAX_BLOCKS = (BYTES - FIXED_BYTES - 4) / 4;
  static final int MAX_CHUNK_BYTES = MAX_BLOCKS * (128 << 10);

  /** Bytes that each CRC of a chunk reserved with this length covers. */
  static int crcBlockBytes(int maxLengthBytes) {
    return maxLengthBytes <= MAX_BLOCKS * (64 << 10) ? 64 << 10 : 128 << 10;
  }

  void write(ByteBuffer target) {
    int start = target.position();
    target
        .putInt(MAGIC)
        .putShort((short) (crcBlockBytes == 64 << 10 ? 1 : 2))
        .putShort((short) (synced ? 1 : 0))
        .putLong(chunk.id().session().value())
        .putLong(chunk.id().sequence())
        .putInt(chunk.group().value())
        .putInt(chunk.lengthBytes())
        .putLong(chunk.epoch().value())
        .putInt(offsetBlocks)
        .putInt(chunk.crc32c())
        .putInt(blockCrcs.length);
    for (int crc : blockCrcs) {
      target.putInt(crc);
    }
    target.putInt(crcOf(target, start, target.position() - start));
    while (target.position() < start + BYTES) {
      target.put((byte) 0);
    }
  }

  /**
   * The slot at a position of a table; empty when it is free, torn or of no format that is known.
   */
  static Optional<Slot> read(ByteBuffer table, int start) {
    if (table.getInt(start) != MAGIC) {
      return Optional.empty();
    }
    int format = table.getShort(start + 4);
    int blocks = table.getInt(start + 48);
    int length = table.getInt(start + 28);
    if ((format != 1 && format != 2) || blocks < 1 || blocks > MAX_BLOCKS || length < 1) {
      return Optional.empty();
    }
    int crcBytes = format == 1 ? 64 << 10 : 128 << 10;
    int end = FIXED_BYTES + 4 * blocks;
    if (crcOf(table, start, end) != table.getInt(start + end)
        || blocks != (int) (((long) length + crcBytes - 1) / crcBytes)
        || table.getLong(start + 16) < 1) {
      return Optional.empty();
    }
    int[] crcs = new int[blocks];
    for (int i = 0; i < blocks; i++) {
      crcs[i] = table.getInt(start + FIXED_BYTES + 4 * i);
    }
    var chunk =
        new StoredChunk(
            new ChunkId(new SessionId(table.getLong(start + 8)), table.getLong(start + 16)),
            new GroupId(table.getInt(start + 24)),
            new Epoch(table.getLong(start + 32)),
            length,
            table.getInt(start + 44));
    boolean synced = table.getShort(start + 6) == 1;
    return Optional.of(new Slot(chunk, synced, table.getInt(start + 40), crcBytes, crcs));
  }

  private static int crcOf(ByteBuffer buffer, int start, int length) {
    var crc = new CRC32C();
    crc.update(buffer.slice(start, length));
    return (int) crc.getValue();
  }
}
