package io.forebay.sim.cluster;

import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.sim.world.SimEnv;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * Every node writes one object after the other, and reads parts of what is there, over NICs and
 * disks of a known speed; then some become 20 times slower, and make progress all the time. How
 * long do writes and reads at the others stand? Whatever is slow: every read is right, no more than
 * one node is out at once (each is a failure domain of its own), and when all are fast again all
 * groups are whole. No write at the others fails, unless all are slow, nor a read where one is.
 *
 * <p>Slices and chunks are a sixteenth of production's, and NICs so slow that a chunk takes 0.2 s,
 * and 3 s where it is slow: what writers do about it has bounds of 0.5 to 1 s.
 */
public final class Slow {
  /** What becomes slow; of consecutive seeds one after the other. */
  private enum Kind {
    NODE,
    DISK,
    NIC,
    /** Of three nodes that have all groups. */
    OF_THREE,
    THIRD,
    ALL
  }

  private static final long SECOND = 1_000_000_000L;
  private static final long NIC_BYTES = 6_250_000L; // a second: 50 Mbit/s
  private static final long DISK_BYTES = 25_000_000L; // a second
  private static final int TIMES = 20;
  private static final long MOST_STALL_NANOS = 3 * SECOND;
  private static final double JUDGED_PART = 0.95; // of some 150 writes the 99th is one of two
  private static final long LOOK_NANOS = 20_000_000L;
  private static final long READ_PAUSE_NANOS = 500_000_000L;
  private static final long GRACE_MILLIS = 120_000; // production's: who is put out comes back
  private static final int GROUPS_PER_VOLUME = 8;
  private static final int CHUNK_BYTES = 1 << 20;
  private static final int SLICE_BYTES = 64 << 10;
  private static final int OBJECT_BYTES = 4 << 20;

  /**
   * Of one phase, what took how long, in nanoseconds.
   *
   * @param stalls the longest of each write, those that failed too
   * @param written what was acknowledged
   */
  private record Times(List<Long> stalls, List<Long> reads, List<String> written) {
    Times() {
      this(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    }
  }

  private final Checkpoint.Plan plan;
  private final Kind kind;
  private final Writers writers;
  private final SimEnv client;
  private final SimCluster cluster;
  private final RandomGenerator random;
  private final TreeSet<Integer> victims = new TreeSet<>();
  private final List<String> written = new ArrayList<>();
  private final Times before = new Times();
  private final Times meanwhile = new Times();
  private final TreeSet<NodeId> putOut = new TreeSet<>();
  private double putOutAfterSeconds;
  private long failed;
  private boolean slowed;
  private boolean over;

  private Slow(Checkpoint.Plan asked) {
    kind = Kind.values()[Math.floorMod(asked.seed() - 1, Kind.values().length)];
    int copies = kind == Kind.OF_THREE ? 3 : 2;
    plan = kind == Kind.OF_THREE ? new Checkpoint.Plan(asked.seed(), 3, asked.operations()) : asked;
    writers =
        new Writers(
            plan,
            new Writers.Shape(
                new Family(copies, 2, Durability.REPLICATED),
                GRACE_MILLIS,
                GROUPS_PER_VOLUME,
                CHUNK_BYTES,
                SLICE_BYTES,
                OBJECT_BYTES));
    client = writers.client();
    cluster = writers.cluster();
    random = writers.world().stream("slow");
    int count =
        switch (kind) {
          case NODE, DISK, NIC, OF_THREE -> 1;
          case THIRD -> plan.nodes() / 3;
          case ALL -> plan.nodes();
        };
    while (victims.size() < count) {
      victims.add(random.nextInt(plan.nodes()));
    }
  }

  /** Runs one seed to its end; {@code operations} are the seconds for which something is slow. */
  public static Checkpoint.Report run(Checkpoint.Plan plan) {
    var scenario = new Slow(plan);
    return scenario.writers.run(scenario::play);
  }

  private void play() {
    speeds(1);
    List<Outcome<Boolean>> running = new ArrayList<>(writers.each("writer", this::writeOn));
    running.addAll(writers.each("reader", this::readOn));
    client.sleep(plan.operations() * SECOND / 2);
    writers.broke("slow_" + kind.name().toLowerCase(Locale.ROOT), victims.size());
    writers.world().log().add(client.nanoTime(), "SLOW " + kind + " " + victims);
    slowed = true;
    speeds(TIMES);
    long since = client.nanoTime();
    while (!running.stream().allMatch(Outcome::isDone)) {
      client.sleep(LOOK_NANOS);
      look(since);
      over = client.nanoTime() - since >= plan.operations() * SECOND;
    }
    speeds(1);
    report();
    long fast = client.nanoTime();
    writers.await("full strength when all are fast again", () -> writers.weakGroups() == 0);
    writers.measured("wholeAfterSeconds", (double) (client.nanoTime() - fast) / SECOND);
    long missed = 0;
    long moved = 0;
    for (int i = 0; i < cluster.size(); i++) {
      missed += cluster.node(i).status().resync().missedBytes();
      moved += cluster.node(i).status().resync().movedBytes();
    }
    writers.measured("resyncMissedMib", (double) (missed >> 20));
    writers.measured("resyncMovedMib", (double) (moved >> 20));
  }

  private void report() {
    measure("Before", before, plan.operations() / 2.0);
    measure("While", meanwhile, plan.operations());
    writers.measured("slowPutOut", (double) putOut.stream().filter(node -> isVictim(node)).count());
    writers.measured(
        "othersPutOut", (double) putOut.stream().filter(node -> !isVictim(node)).count());
    writers.measured("putOutAfterSeconds", putOutAfterSeconds);
    writers.measured("failed", (double) failed);
    long rehomed = 0;
    for (int i = 0; i < cluster.size(); i++) {
      rehomed += cluster.node(i).status().rehomedChunks();
    }
    writers.measured("rehomedChunks", (double) rehomed);
    if (victims.size() == 1 && part(meanwhile.stalls(), JUDGED_PART) > MOST_STALL_NANOS) {
      writers
          .judge()
          .violation(
              "of twenty writes one stood for %.1f s while one was slow"
                  .formatted((double) part(meanwhile.stalls(), JUDGED_PART) / SECOND));
    }
  }

  private boolean isVictim(NodeId node) {
    return victims.stream().anyMatch(victim -> SimCluster.name(victim).equals(node));
  }

  private void speeds(int times) {
    cluster.links().nics(NIC_BYTES);
    for (int i = 0; i < cluster.size(); i++) {
      int slower = victims.contains(i) ? times : 1;
      cluster.diskSpeed(i, DISK_BYTES / (kind == Kind.NIC ? 1 : slower));
      cluster.links().nic(SimCluster.name(i), NIC_BYTES / (kind == Kind.DISK ? 1 : slower));
    }
  }

  /** Nobody dies: who is down is put out. */
  private void look(long since) {
    List<NodeId> down =
        writers.judge().image().nodes().stream()
            .filter(node -> node.state() == NodeState.DOWN)
            .map(NodeRecord::id)
            .toList();
    if (!down.isEmpty() && putOut.isEmpty()) {
      putOutAfterSeconds = (double) (client.nanoTime() - since) / SECOND;
    }
    putOut.addAll(down);
    if (down.size() > 1) {
      writers.judge().violation("put out at once are " + down);
    }
  }

  /** What is behind a slow NIC is as slow; a slow disk can be passed by. */
  private boolean counts(int node) {
    return kind == Kind.DISK || kind == Kind.ALL || !victims.contains(node);
  }

  private void writeOn(int node) {
    for (int number = 0; !over; number++) {
      String key = node + "/" + number;
      long[] longest = {0};
      Optional<ForebayException> failure =
          writers.write(node, key, nanos -> longest[0] = Math.max(longest[0], nanos));
      failed += failure.isPresent() ? 1 : 0;
      if (failure.isEmpty()) {
        written.add(key);
        took(node, key, now().written());
      }
      took(node, longest[0], now().stalls());
      if (kind != Kind.ALL) {
        must(node, key + " written", failure);
      }
    }
  }

  private void readOn(int node) {
    while (!over) {
      client.sleep(READ_PAUSE_NANOS);
      if (written.isEmpty()) {
        continue;
      }
      String key = written.get(random.nextInt(written.size()));
      long began = client.nanoTime();
      Optional<ForebayException> failure =
          writers.read(node, key, random.nextInt(OBJECT_BYTES / SLICE_BYTES));
      failed += failure.isPresent() ? 1 : 0;
      took(node, client.nanoTime() - began, now().reads());
      if (victims.size() == 1) { // else both copies may be slow
        must(node, key + " read", failure);
      }
    }
  }

  private Times now() {
    return slowed ? meanwhile : before;
  }

  private <T> void took(int node, T fact, List<T> facts) {
    if (counts(node)) {
      facts.add(fact);
    }
  }

  private void must(int node, String what, Optional<ForebayException> failure) {
    failure
        .filter(any -> counts(node))
        .ifPresent(why ->
            writers.judge().violation(what + " at n" + node + " failed: " + why.getMessage()));
  }

  private static long part(List<Long> nanos, double part) {
    List<Long> sorted = nanos.stream().sorted().toList();
    return sorted.isEmpty() ? 0 : sorted.get((int) (part * (sorted.size() - 1)));
  }

  private void measure(String when, Times times, double seconds) {
    writers.measured(
        "mibPerSecond" + when, times.written().size() * (OBJECT_BYTES >> 20) / seconds);
    seconds("stallSeconds", when, times.stalls());
    seconds("readSeconds", when, times.reads());
  }

  private void seconds(String what, String when, List<Long> nanos) {
    writers.measured(what + "P50" + when, (double) part(nanos, 0.5) / SECOND);
    writers.measured(what + "P99" + when, (double) part(nanos, 0.99) / SECOND);
    writers.measured(what + "Longest" + when, (double) part(nanos, 1) / SECOND);
  }
}
