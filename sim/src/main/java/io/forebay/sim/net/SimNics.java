package io.forebay.sim.net;

import io.forebay.core.id.NodeId;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongConsumer;

/**
 * How long frames occupy the NICs of a world, sending and receiving apart: each stands in line at
 * the sender's, and then at the receiver's, which takes its first bytes while the last ones still
 * leave. Speeds are bytes per second in each direction; 0: as fast as may be. What is under way
 * when a speed changes keeps its old one; what stands in line has the new one.
 */
final class SimNics {
  private static final long SECOND = 1_000_000_000L;

  private record Turn(int bytes, Runnable begins, Runnable ends) {}

  /** One direction of a NIC: the first frame is under way, the others wait for it. */
  private final class Line {
    private final NodeId node;
    private final ArrayDeque<Turn> turns = new ArrayDeque<>();
    private long waitingBytes;
    private long firstUntilNanos;

    Line(NodeId node) {
      this.node = node;
    }

    /** Returns when it will have had its turn, if no speed changes. */
    long add(Turn turn) {
      turns.add(turn);
      if (turns.size() == 1) {
        begin();
      } else {
        waitingBytes += turn.bytes();
      }
      return firstUntilNanos + occupies(node, waitingBytes);
    }

    private void begin() {
      Turn first = turns.element();
      firstUntilNanos = world.nanoTime() + occupies(node, first.bytes());
      world.at(firstUntilNanos, this::end);
      first.begins().run();
    }

    private void end() {
      Turn first = turns.remove();
      if (!turns.isEmpty()) {
        waitingBytes -= turns.element().bytes();
        begin();
      }
      first.ends().run();
    }
  }

  private final SimWorld world;
  private final Map<NodeId, Line> sending = new TreeMap<>();
  private final Map<NodeId, Line> taking = new TreeMap<>();
  private final Map<NodeId, Long> speeds = new TreeMap<>(); // of those unlike the others
  private long usualSpeed;
  private long takenBytes;

  SimNics(SimWorld world) {
    this.world = world;
  }

  void speed(long bytesPerSecond) {
    usualSpeed = bytesPerSecond;
  }

  void speed(NodeId node, long bytesPerSecond) {
    speeds.put(node, bytesPerSecond);
  }

  void mend() {
    speeds.clear();
  }

  /**
   * The sender's turn.
   *
   * @param arrives is told, when it begins to leave, from when on the receiver can take it so as to
   *     have no gap; latency comes on top
   * @return when its last byte will have left, if no speed changes
   */
  long send(NodeId from, NodeId to, int bytes, LongConsumer arrives) {
    Runnable leaves =
        () -> {
          long ahead = occupies(from, bytes) - occupies(to, bytes);
          arrives.accept(world.nanoTime() + Math.max(0, ahead));
        };
    return sending.computeIfAbsent(from, Line::new).add(new Turn(bytes, leaves, () -> {}));
  }

  /** What all receivers have taken so far. */
  long takenBytes() {
    return takenBytes;
  }

  /** The receiver's turn; calls back when it has the last byte. */
  void take(NodeId to, int bytes, Runnable has) {
    takenBytes += bytes;
    long _ = taking.computeIfAbsent(to, Line::new).add(new Turn(bytes, () -> {}, has));
  }

  private long occupies(NodeId node, long bytes) {
    long speed = speeds.getOrDefault(node, usualSpeed);
    return speed == 0 ? 0 : bytes * SECOND / speed;
  }
}
