package io.forebay.app.bench.evict;

import java.util.LinkedHashSet;

/**
 * S3-FIFO (Yang and others, SOSP 2023): what is new waits in a tenth of the room, and goes on to
 * the rest only when it is used there or was evicted from there not long ago.
 */
final class ThreeQueues implements Policy {
  private static final int SMALL_PART = 10;
  private static final byte MOST_USES = 3;

  private final LinkedHashSet<Integer> small = new LinkedHashSet<>();
  private final LinkedHashSet<Integer> main = new LinkedHashSet<>();
  private final LinkedHashSet<Integer> ghosts = new LinkedHashSet<>();
  private final byte[] uses;
  private final int most;
  private final int mostSmall;

  /**
   * @param chunks how many there are in the trace
   */
  ThreeQueues(int most, int chunks) {
    this.most = most;
    this.mostSmall = Math.max(1, most / SMALL_PART);
    this.uses = new byte[chunks];
  }

  @Override
  public boolean use(int chunk) {
    boolean there = small.contains(chunk) || main.contains(chunk);
    if (there && uses[chunk] < MOST_USES) {
      uses[chunk]++;
    }
    return there;
  }

  @Override
  public void add(int chunk) {
    while (small.size() + main.size() >= most) {
      if (small.size() >= mostSmall || main.isEmpty()) {
        evictSmall();
      } else {
        evictMain();
      }
    }
    uses[chunk] = 0;
    (ghosts.remove(chunk) ? main : small).add(chunk);
  }

  private void evictSmall() {
    while (!small.isEmpty()) {
      int oldest = small.removeFirst();
      if (uses[oldest] > 0) {
        uses[oldest] = 0;
        main.add(oldest);
        if (main.size() > most - mostSmall) {
          evictMain();
          return;
        }
      } else {
        ghosts.add(oldest);
        if (ghosts.size() > most - mostSmall) {
          ghosts.removeFirst();
        }
        return;
      }
    }
    evictMain();
  }

  private void evictMain() {
    while (true) {
      int oldest = main.removeFirst();
      if (uses[oldest] == 0) {
        return;
      }
      uses[oldest]--;
      main.add(oldest);
    }
  }

  @Override
  public void drop(int chunk) {
    small.remove(chunk);
    main.remove(chunk);
    ghosts.remove(chunk);
  }
}
