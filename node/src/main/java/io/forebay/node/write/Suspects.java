package io.forebay.node.write;

import io.forebay.core.env.Env;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Nodes that did not answer a moment ago, and volumes that did not take a chunk, which writers
 * therefore avoid for a while (rule R10).
 */
public final class Suspects {
  // Longer than a detection (3 s), after which the cluster's image says who is gone.
  private static final long AVOID_NANOS = 4_000_000_000L;

  // Room comes back when a disk was looked at for something to evict, which takes about as long.
  private static final long UNFIT_NANOS = 2_000_000_000L;

  private final Env env;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<NodeId, Long> untilNanos = new TreeMap<>(); // guarded by lock
  private final Map<VolumeId, Long> volumesUntilNanos = new TreeMap<>(); // guarded by lock

  public Suspects(Env env) {
    this.env = env;
  }

  /** The node did not answer. */
  public void add(NodeId node) {
    lock.lock();
    try {
      untilNanos.put(node, env.nanoTime() + AVOID_NANOS);
    } finally {
      lock.unlock();
    }
  }

  /** The volume was full, or too busy, or broken. */
  public void add(VolumeId volume) {
    lock.lock();
    try {
      volumesUntilNanos.put(volume, env.nanoTime() + UNFIT_NANOS);
    } finally {
      lock.unlock();
    }
  }

  /** Whether the volume is to be avoided now. */
  public boolean contains(VolumeId volume) {
    lock.lock();
    try {
      Long until = volumesUntilNanos.get(volume);
      if (until != null && env.nanoTime() - until >= 0) {
        volumesUntilNanos.remove(volume);
        return false;
      }
      return until != null;
    } finally {
      lock.unlock();
    }
  }

  /** The node has answered. */
  public void clear(NodeId node) {
    lock.lock();
    try {
      untilNanos.remove(node);
    } finally {
      lock.unlock();
    }
  }

  /** Whether the node is to be avoided now. */
  public boolean contains(NodeId node) {
    lock.lock();
    try {
      Long until = untilNanos.get(node);
      if (until == null) {
        return false;
      }
      if (env.nanoTime() - until >= 0) {
        untilNanos.remove(node);
        return false;
      }
      return true;
    } finally {
      lock.unlock();
    }
  }
}
