package io.forebay.sim.net;

import io.forebay.core.id.NodeId;
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

  private final SimWorld world;
  private final RandomGenerator random;
  private final Map<NodeId, SimNetwork> ends = new TreeMap<>();
  private final Set<String> cut = new TreeSet<>();
  private final Map<String, Long> lastArrivals = new TreeMap<>();
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
      SimNetwork from, SimNetwork to, String what, Runnable arrive, Runnable lost, Runnable dead) {
    messages++;
    String link = link(from.self(), to.self());
    world.log().add(world.nanoTime(), link + " " + what);
    if (cut.contains(link)) {
      world.at(world.nanoTime() + SimNetwork.BREAK_NANOS, () -> from.env().deliver(lost));
      return;
    }
    long at = world.nanoTime() + random.nextLong(MIN_LATENCY_NANOS, MAX_LATENCY_NANOS);
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

  private static String link(NodeId from, NodeId to) {
    return from.name() + ">" + to.name();
  }
}
