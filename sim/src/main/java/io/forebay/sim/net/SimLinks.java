package io.forebay.sim.net;

import io.forebay.core.id.NodeId;
import io.forebay.core.net.Message;
import io.forebay.sim.world.SimWorld;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * All links of a world: who is up, which directions are cut, how long a message takes.
 *
 * <p>NICs are as fast as may be until a scenario gives them a speed. From then on payloads, and
 * what an upload sends, stand in line at both ends; what has none passes by, as flows that send
 * little do where queues are fair.
 */
public final class SimLinks {
  private static final long MIN_LATENCY_NANOS = 20_000;
  private static final long MAX_LATENCY_NANOS = 500_000;
  private static final long MAX_SLOW_NANOS = 500_000_000;

  private final SimWorld world;
  private final RandomGenerator random;
  private final Map<NodeId, SimNetwork> ends = new TreeMap<>();
  private final Map<NodeId, Map<NodeId, String>> names = new TreeMap<>();
  private final Set<String> cut = new TreeSet<>();
  private final Map<String, Long> lastArrivals = new TreeMap<>();
  private final Map<String, Long> lastPassed = new TreeMap<>(); // of what passes NICs by
  private final Map<NodeId, Integer> slow = new TreeMap<>();
  private final SimNics nics;
  private final SimFrames frames;
  private boolean limited;
  private Observer observer =
      new Observer() {
        @Override
        public void answered(NodeId by, Message request, Message reply) {}

        @Override
        public void failed(NodeId by, Message request, RuntimeException failure) {}
      };
  private long messages;

  public SimLinks(SimWorld world) {
    this.world = world;
    this.random = world.stream("links");
    this.nics = new SimNics(world);
    this.frames = new SimFrames(world.env("wire"), world.stream("frames"));
  }

  /** Cuts or mends one direction. */
  public void cut(NodeId from, NodeId to, boolean on) {
    if (on) {
      cut.add(link(from, to));
    } else {
      cut.remove(link(from, to));
    }
  }

  /** Makes everything from and to a node take so many times as long; 1 mends it. */
  public void slow(NodeId node, int times) {
    if (times == 1) {
      slow.remove(node);
    } else {
      slow.put(node, times);
    }
  }

  /**
   * Gives every node a NIC of that speed, but those that have one of their own.
   *
   * @param bytesPerSecond in each direction; 0: as fast as may be
   */
  public void nics(long bytesPerSecond) {
    limit();
    nics.speed(bytesPerSecond);
  }

  /**
   * Gives a node a NIC of its own speed, until all is mended.
   *
   * @param bytesPerSecond in each direction; 0: as fast as may be
   */
  public void nic(NodeId node, long bytesPerSecond) {
    limit();
    nics.speed(node, bytesPerSecond);
  }

  private void limit() {
    if (!limited) {
      limited = true;
      lastPassed.putAll(lastArrivals); // what is on its way already is not overtaken
    }
  }

  /** Payloads that NICs have taken since they have a speed. */
  public long takenBytes() {
    return nics.takenBytes();
  }

  /** Mends every link; NICs have their usual speed. */
  public void mend() {
    cut.clear();
    slow.clear();
    nics.mend();
  }

  /** Whether that direction is not cut. */
  public boolean open(NodeId from, NodeId to) {
    return !cut.contains(link(from, to));
  }

  /** Shows somebody every answer when it is given; one at most. */
  public void observe(Observer each) {
    observer = each;
  }

  /** Sees what a process answers, at the moment of the answer. */
  public interface Observer {
    /** The node answers the request with the reply. */
    void answered(NodeId by, Message request, Message reply);

    /** The node, which lives, answers the request with a failure. */
    void failed(NodeId by, Message request, RuntimeException failure);
  }

  SimFrames frames() {
    return frames;
  }

  Observer observer() {
    return observer;
  }

  /** Messages sent so far. */
  public long messages() {
    return messages;
  }

  void attach(SimNetwork end) {
    ends.put(end.self(), end);
  }

  /** The end that lives under that name now. */
  Optional<SimNetwork> end(NodeId node) {
    return Optional.ofNullable(ends.get(node)).filter(end -> !end.env().killed());
  }

  /**
   * Something on its way.
   *
   * @param number its size, or whatever else tells it from others of its kind
   * @param bytes of its payload
   * @param inLine whether it stands in line at NICs that have a speed
   */
  record Frame(String what, long number, int bytes, boolean inLine) {}

  /**
   * Carries something over a link, in the link's order; what stands in line and what passes by have
   * an order each.
   *
   * @param lost called (in the sender's process) a while after a message that a cut link lost
   * @param dead called (in the sender's process) when the receiver is dead on arrival
   * @return how many nanoseconds until its last byte has left the sender
   */
  long send(
      SimNetwork from, SimNetwork to, Frame frame, Runnable arrive, Runnable lost, Runnable dead) {
    messages++;
    String link = link(from.self(), to.self());
    long now = world.nanoTime();
    world.log().message(now, link, frame.what(), frame.number());
    if (cut.contains(link)) {
      world.at(now + SimNetwork.BREAK_NANOS, () -> from.env().deliver(lost));
      return 0;
    }
    long takes = latency(from, to);
    Runnable end =
        () -> {
          if (to.env().killed()) {
            from.env().deliver(dead);
          } else {
            to.env().deliver(arrive);
          }
        };
    if (!limited || !frame.inLine() || from == to) {
      world.at(inOrder(limited ? lastPassed : lastArrivals, link, now + takes), end);
      return 0;
    }
    long left =
        nics.send(
            from.self(),
            to.self(),
            frame.bytes(),
            arrives ->
                world.at(
                    inOrder(lastArrivals, link, arrives + takes),
                    () -> nics.take(to.self(), frame.bytes(), end)));
    return left - now;
  }

  private static long inOrder(Map<String, Long> last, String link, long atNanos) {
    long at = Math.max(atNanos, last.getOrDefault(link, 0L));
    last.put(link, at);
    return at;
  }

  private long latency(SimNetwork from, SimNetwork to) {
    long takes = random.nextLong(MIN_LATENCY_NANOS, MAX_LATENCY_NANOS);
    if (!slow.isEmpty() && from != to) {
      takes *= slow.getOrDefault(from.self(), 1);
      takes *= slow.getOrDefault(to.self(), 1);
      // Two slow ends are no slower than one: a link keeps its order, and would be dead for
      // minutes.
      takes = Math.min(takes, MAX_SLOW_NANOS);
    }
    return takes;
  }

  /** Made once: links are named in every message. */
  private String link(NodeId from, NodeId to) {
    return names
        .computeIfAbsent(from, any -> new TreeMap<>())
        .computeIfAbsent(to, any -> from.name() + ">" + to.name());
  }
}
