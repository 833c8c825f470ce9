package io.forebay.store.disk;

/**
 * How a volume uses its disk.
 *
 * @param capacityBytes what its chunks may take; 0: 80 % of what was free when the directory was
 *     formatted
 * @param segmentBytes size of a segment file, 16 MiB to 1 GiB, a multiple of 4 MiB
 * @param ioThreads platform threads that write; as many again read
 * @param directIo whether to try direct I/O; a file system that refuses gets buffered I/O
 * @param reserveBytes room of the file system that chunks leave to others; 0: 256 MiB, and at most
 *     a 50th of it
 */
public record DiskSettings(
    long capacityBytes, int segmentBytes, int ioThreads, boolean directIo, long reserveBytes) {
  public static final DiskSettings DEFAULT = new DiskSettings(0, 256 << 20, 3, true);

  public DiskSettings {
    if (segmentBytes < 16 << 20 || segmentBytes > 1 << 30 || segmentBytes % (4 << 20) != 0) {
      throw new IllegalArgumentException(
          "a segment has 16 MiB to 1 GiB, a multiple of 4 MiB: " + segmentBytes);
    }
    if (capacityBytes < 0 || reserveBytes < 0) {
      throw new IllegalArgumentException("neither capacity nor reserve is negative");
    }
    if (ioThreads < 1 || ioThreads > 64) {
      throw new IllegalArgumentException("1 to 64 I/O threads: " + ioThreads);
    }
  }

  /** With the default reserve. */
  public DiskSettings(long capacityBytes, int segmentBytes, int ioThreads, boolean directIo) {
    this(capacityBytes, segmentBytes, ioThreads, directIo, 0);
  }
}
