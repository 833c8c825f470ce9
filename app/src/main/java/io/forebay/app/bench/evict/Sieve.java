package io.forebay.app.bench.evict;

import java.util.Arrays;

/**
 * SIEVE (Zhang and others, NSDI 2024): a queue in the order of arrival, and a hand that goes from
 * the oldest to the newest, spares once what was used since it last came by, and takes the first
 * that was not.
 */
final class Sieve implements Policy {
  private static final int NONE = -1;

  private final int most;
  // By chunk: its neighbours in the queue.
  private final int[] newer;
  private final int[] older;
  private final boolean[] present;
  private final boolean[] used;
  private int newest = NONE;
  private int oldest = NONE;
  private int hand = NONE;
  private int count;

  /**
   * @param chunks how many there are in the trace
   */
  Sieve(int most, int chunks) {
    this.most = most;
    this.newer = new int[chunks];
    this.older = new int[chunks];
    this.present = new boolean[chunks];
    this.used = new boolean[chunks];
    Arrays.fill(newer, NONE);
    Arrays.fill(older, NONE);
  }

  @Override
  public boolean use(int chunk) {
    used[chunk] |= present[chunk];
    return present[chunk];
  }

  @Override
  public void add(int chunk) {
    if (count == most) {
      int at = hand == NONE ? oldest : hand;
      while (used[at]) {
        used[at] = false;
        at = newer[at] == NONE ? oldest : newer[at];
      }
      hand = at;
      drop(at);
    }
    older[chunk] = newest;
    newer[chunk] = NONE;
    if (newest != NONE) {
      newer[newest] = chunk;
    }
    newest = chunk;
    if (oldest == NONE) {
      oldest = chunk;
    }
    present[chunk] = true;
    used[chunk] = false;
    count++;
  }

  @Override
  public void drop(int chunk) {
    if (!present[chunk]) {
      return;
    }
    if (hand == chunk) {
      hand = newer[chunk];
    }
    if (older[chunk] == NONE) {
      oldest = newer[chunk];
    } else {
      newer[older[chunk]] = newer[chunk];
    }
    if (newer[chunk] == NONE) {
      newest = older[chunk];
    } else {
      older[newer[chunk]] = older[chunk];
    }
    present[chunk] = false;
    count--;
  }
}
