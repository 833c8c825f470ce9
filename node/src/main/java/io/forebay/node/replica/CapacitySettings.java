package io.forebay.node.replica;

/**
 * When room is made on full disks, and how long writers wait for it.
 *
 * @param high share of a volume's capacity above which clean chunks are evicted, below 1
 * @param low share down to which they are, above 0 and below {@code high}
 * @param waitNanos for how long a writer of a bucket with a store waits while no writer of its node
 *     finds room; 0: it is refused as one of a bucket without a store is
 */
public record CapacitySettings(double high, double low, long waitNanos) {
  /**
   * A tenth is evicted at once, so that passes are rare, and what is left below the high watermark
   * takes up what is written until one has ended. The wait: a flush begins within 5 s, a session
   * passes its chunks every 3 s, a pass over a disk takes a second or some; and common HTTP clients
   * give up after 60 s.
   */
  public static final CapacitySettings DEFAULT = new CapacitySettings(0.85, 0.75, 30_000_000_000L);

  public CapacitySettings {
    if (!(low > 0 && low < high && high < 1)) {
      throw new IllegalArgumentException(
          "watermarks must be 0 < low < high < 1: low " + low + ", high " + high);
    }
    if (waitNanos < 0) {
      throw new IllegalArgumentException("a wait is at least 0: " + waitNanos);
    }
  }
}
