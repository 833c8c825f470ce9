package io.forebay.sim.net;

import io.forebay.core.id.NodeId;
import java.util.Map;
import java.util.TreeMap;

/**
 * How long frames occupy the NICs of a world, sending and receiving apart: each stands in line at
 * the sender's, and then at the receiver's, which takes its first bytes while the last ones still
 * leave. Speeds are bytes per second in each direction; 0: as fast as may be.
 */
final class SimNics {
  private static final long SECOND = 1_000_000_000L;

  /**
   * A frame that is leaving.
   *
   * @param leftNanos when its last byte has left
   * @param arrivesNanos when the receiver can begin, so as to have no gap; latency comes on top
   */
  record Sent(long leftNanos, long arrivesNanos) {}

  private final Map<NodeId, Long> sendingUntilNanos = new TreeMap<>();
  private final Map<NodeId, Long> takingUntilNanos = new TreeMap<>();
  private final Map<NodeId, Long> speeds = new TreeMap<>(); // of those unlike the others
  private long usualSpeed;
  private long takenBytes;

  void speed(long bytesPerSecond) {
    usualSpeed = bytesPerSecond;
  }

  void speed(NodeId node, long bytesPerSecond) {
    speeds.put(node, bytesPerSecond);
  }

  void mend() {
    speeds.clear();
  }

  Sent send(NodeId from, NodeId to, long nowNanos, int bytes) {
    long begins = Math.max(nowNanos, sendingUntilNanos.getOrDefault(from, 0L));
    long left = begins + occupies(from, bytes);
    sendingUntilNanos.put(from, left);
    return new Sent(left, Math.max(begins, left - occupies(to, bytes)));
  }

  /** What all receivers have taken so far. */
  long takenBytes() {
    return takenBytes;
  }

  /** The receiver's turn; returns when it has the last byte. */
  long take(NodeId to, long nowNanos, int bytes) {
    long has = Math.max(nowNanos, takingUntilNanos.getOrDefault(to, 0L)) + occupies(to, bytes);
    takingUntilNanos.put(to, has);
    takenBytes += bytes;
    return has;
  }

  private long occupies(NodeId node, int bytes) {
    long speed = speeds.getOrDefault(node, usualSpeed);
    return speed == 0 ? 0 : bytes * SECOND / speed;
  }
}
