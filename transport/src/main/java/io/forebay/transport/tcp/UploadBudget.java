package io.forebay.transport.tcp;

import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * Who may use the buffers for arriving slices. An upload gets its whole window before its sender
 * may send anything, so slices never wait for buffers in the middle.
 *
 * <p>Chains cross each other: if all buffers here were held by chunks waiting for the next node,
 * and all there by chunks waiting for this one, nothing would move. So the buffers are divided by
 * how many hops a chunk still has to go: what goes no further depends on this node's disk only, and
 * what goes on by n depends on what goes on by n - 1.
 */
final class UploadBudget {
  private static final int MAX_WAITING = 4096;

  /** One upload's claim. */
  static final class Claim {
    private final int share;
    private final int slices;
    private final Consumer<Claim> whenGranted;
    private boolean granted;
    private boolean over;

    private Claim(int share, int slices, Consumer<Claim> whenGranted) {
      this.share = share;
      this.slices = slices;
      this.whenGranted = whenGranted;
    }

    int slices() {
      return slices;
    }
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final int[] free; // guarded by lock
  private final List<ArrayDeque<Claim>> waiting = // guarded by lock
      List.of(new ArrayDeque<>(), new ArrayDeque<>(), new ArrayDeque<>());

  /**
   * @param slices how many buffers there are
   * @param window the largest claim
   */
  UploadBudget(int slices, int window) {
    int longer = Math.max(window, slices / 5);
    int last = Math.max(window, (slices - longer) / 2);
    free = new int[] {last, Math.max(window, slices - longer - last), longer};
  }

  /** A claim, not yet made. */
  Claim claim(int hopsToGo, int slices, Consumer<Claim> whenGranted) {
    return new Claim(Math.min(hopsToGo, free.length) - 1, slices, whenGranted);
  }

  /**
   * Makes the claim: granted now or later, on whichever thread frees enough.
   *
   * @return false when too many wait already
   */
  boolean request(Claim claim) {
    lock.lock();
    try {
      ArrayDeque<Claim> queue = waiting.get(claim.share);
      if (!queue.isEmpty() || free[claim.share] < claim.slices) {
        if (queue.size() >= MAX_WAITING) {
          claim.over = true;
          return false;
        }
        queue.add(claim);
        return true;
      }
      free[claim.share] -= claim.slices;
      claim.granted = true;
    } finally {
      lock.unlock();
    }
    claim.whenGranted.accept(claim);
    return true;
  }

  /** Gives a claim back, or up. Idempotent. */
  void release(Claim claim) {
    var next = new ArrayDeque<Claim>();
    lock.lock();
    try {
      if (claim.over) {
        return;
      }
      claim.over = true;
      ArrayDeque<Claim> queue = waiting.get(claim.share);
      if (claim.granted) {
        free[claim.share] += claim.slices;
      } else {
        queue.remove(claim);
      }
      for (Claim head = queue.peek();
          head != null && free[claim.share] >= head.slices;
          head = queue.peek()) {
        queue.remove();
        free[claim.share] -= head.slices;
        head.granted = true;
        next.add(head);
      }
    } finally {
      lock.unlock();
    }
    next.forEach(granted -> granted.whenGranted.accept(granted));
  }
}
