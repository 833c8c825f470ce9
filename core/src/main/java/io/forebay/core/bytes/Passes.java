package io.forebay.core.bytes;

import java.util.concurrent.atomic.LongAdder;

/**
 * Counts what the data path does to every byte of real memory: checksums and copies. A pass over
 * memory is what a hop costs beside the socket and the disk, so there is to be one checksum for
 * each hop and no copy; the counters say whether that is so. Of the whole process, since its start.
 */
public final class Passes {
  private static final LongAdder CHECKSUMMED = new LongAdder();
  private static final LongAdder COPIED = new LongAdder();

  private Passes() {}

  /** So many bytes of data were read for a checksum. */
  public static void checksummed(int bytes) {
    CHECKSUMMED.add(bytes);
  }

  /** So many bytes of data were copied from one buffer to another. */
  public static void copied(int bytes) {
    COPIED.add(bytes);
  }

  /** All bytes read for checksums; of one byte as often as it was read. */
  public static long checksummedBytes() {
    return CHECKSUMMED.sum();
  }

  /** All bytes copied. */
  public static long copiedBytes() {
    return COPIED.sum();
  }
}
