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

/** All links of a world: who is up, which directions are cut, how long a message takes. */
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
  private final Map<NodeId, Integer> slow = new TreeMap<>();
  private final SimFrames frames = new SimFrames();
  private Observer observer = (by, request, reply) -> {};
  private long messages;

  public SimLinks(SimWorld world) {
    this.world = world;
    this.random = world.stream("links");
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

  /** Mends every link. */
  public void mend() {
    cut.clear();
    slow.clear();
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
  @FunctionalInterface
  public interface Observer {
    /** The node answers the request with the reply. */
    void answered(NodeId by, Message request, Message reply);
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
   * Carries something over a link, in the link's order.
   *
   * @param lost called (in the sender's process) a while after a message that a cut link lost
   * @param dead called (in the sender's process) when the receiver is dead on arrival
   */
  void send(
      SimNetwork from,
      SimNetwork to,
      String what,
      long number,
      Runnable arrive,
      Runnable lost,
      Runnable dead) {
    messages++;
    String link = link(from.self(), to.self());
    world.log().message(world.nanoTime(), link, what, number);
    if (cut.contains(link)) {
      world.at(world.nanoTime() + SimNetwork.BREAK_NANOS, () -> from.env().deliver(lost));
      return;
    }
    long takes = random.nextLong(MIN_LATENCY_NANOS, MAX_LATENCY_NANOS);
    if (!slow.isEmpty() && from != to) {
      takes *= slow.getOrDefault(from.self(), 1);
      takes *= slow.getOrDefault(to.self(), 1);
      // Two slow ends are no slower than one: a link keeps its order, and would be dead for
      // minutes.
      takes = Math.min(takes, MAX_SLOW_NANOS);
    }
    long at = world.nanoTime() + takes;
    at = Math.max(at, lastArrivals.getOrDefault(link, 0L));
    lastArrivals.put(link, at);
    world.at(
        at,
        () -> {
          if (to.env().killed()) {
            from.env().deliver(dead);
          } else {
            to.env().deliver(arrive);
          }
        });
  }

  /** Made once: links are named in every message. */
  private String link(NodeId from, NodeId to) {
    return names
        .computeIfAbsent(from, any -> new TreeMap<>())
        .computeIfAbsent(to, any -> from.name() + ">" + to.name());
  }
}
