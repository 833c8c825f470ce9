package io.forebay.node.read;

import io.forebay.core.env.Env;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;

/**
 * How many slices of 1 MiB all readers of a node may hold at once. Every reader in the middle of a
 * read has one; what is read ahead takes others only while enough are left for readers to come. So
 * any number of readers gets on, one after the other where there is no room for all.
 */
public final class ReadMemory {
  // Of what there is, for readers that have none yet.
  private static final int RESERVED_SHARE = 4;
  private static final long WAIT_NANOS = 20_000_000_000L;

  private final Env env;
  private final int slices;
  private final Permits permits;

  /**
   * @param slices of 1 MiB, at least 1
   */
  public ReadMemory(Env env, int slices) {
    this.env = env;
    this.slices = slices;
    this.permits = new Permits(env, slices);
  }

  /**
   * Takes the slice of a reader that has none, waiting for it.
   *
   * @throws ForebayException BUSY after 20 s in vain
   */
  void take() {
    if (!permits.acquire(1, env.nanoTime() + WAIT_NANOS)) {
      throw new ForebayException(
          ErrorCode.BUSY,
          "all memory for "
              + slices
              + " MiB of reads is in use by other readers; try again later, or give the node a larger 'memory'");
    }
  }

  /** Takes one more for reading ahead, if it can be spared. */
  boolean tryAhead() {
    return permits.available() > slices / RESERVED_SHARE && permits.tryAcquire(1);
  }

  /** Gives one back. */
  void release() {
    permits.release(1);
  }

  /** Slices that are not in use. */
  public long available() {
    return permits.available();
  }
}
