package io.forebay.node.replica;

import io.forebay.core.env.Env;

/**
 * A node's right to take writes: ends by itself when the cluster's leader has not been heard for a
 * while, and before the leader tells the others that the node is gone.
 */
public final class Lease {
  private final Env env;
  private volatile long untilNanos;

  public Lease(Env env) {
    this.env = env;
    this.untilNanos = env.nanoTime();
  }

  /**
   * A leader has answered.
   *
   * @param sentNanos when the question was sent: the lease counts from there
   */
  public void renew(long sentNanos, long lengthNanos) {
    untilNanos = Math.max(untilNanos, sentNanos + lengthNanos);
  }

  /** Whether writes may be taken now. */
  public boolean held() {
    return env.nanoTime() - untilNanos < 0;
  }
}
