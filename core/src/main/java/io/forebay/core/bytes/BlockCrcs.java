package io.forebay.core.bytes;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * Takes the CRC32C of each 64 KiB of a run of data as it arrives. One pass gives both what the wire
 * wants (a CRC of the whole, by combination) and what the disk keeps (one for each block). Not safe
 * for threads.
 */
public final class BlockCrcs {
  /** What each CRC covers; the last may cover less. */
  public static final int BLOCK_BYTES = 64 << 10;

  private final CRC32C crc = new CRC32C();
  private int[] blocks;
  private int count;
  private int fill;

  /**
   * @param lengthBytes of the whole run, if it is known; it may be longer
   */
  public BlockCrcs(int lengthBytes) {
    this.blocks = new int[Math.max(1, (lengthBytes + BLOCK_BYTES - 1) / BLOCK_BYTES)];
  }

  /** The next bytes: all that remain in the buffer, whose position stays. */
  public void update(ByteBuffer bytes) {
    ByteBuffer rest = bytes.duplicate();
    Passes.checksummed(rest.remaining());
    while (rest.hasRemaining()) {
      int piece = Math.min(BLOCK_BYTES - fill, rest.remaining());
      int end = rest.position() + piece;
      crc.update(rest.duplicate().limit(end));
      rest.position(end);
      fill += piece;
      if (fill == BLOCK_BYTES) {
        endBlock();
      }
    }
  }

  private void endBlock() {
    if (count == blocks.length) {
      blocks = Arrays.copyOf(blocks, 2 * count);
    }
    blocks[count++] = (int) crc.getValue();
    crc.reset();
    fill = 0;
  }

  /** The CRCs of all blocks, the last one ended. Nothing may follow. */
  public int[] end() {
    if (fill > 0) {
      endBlock();
    }
    return Arrays.copyOf(blocks, count);
  }

  /** The CRC32C of a run of this length from those of its blocks. */
  public static int whole(int[] blocks, int lengthBytes) {
    int crc = 0;
    for (int i = 0; i < blocks.length; i++) {
      crc =
          Crc32cCombiner.combine(
              crc, blocks[i], Math.min(BLOCK_BYTES, lengthBytes - i * BLOCK_BYTES));
    }
    return crc;
  }
}
