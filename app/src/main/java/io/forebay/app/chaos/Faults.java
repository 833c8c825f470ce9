package io.forebay.app.chaos;

import io.forebay.core.cluster.Durability;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Makes the faults of seeds: one to three each, one after another. The first ones of as many
 * consecutive seeds as there are kinds are all of them, but that none destroys copies where faults
 * overlap; the others are drawn.
 *
 * <p>A disk is wiped only while the cluster is whole and stays without another fault until it is
 * whole again: every chunk that was acknowledged has its other copy then. So is the power of one
 * node cut, where its disk is not told to keep what it acknowledges ({@code replicated}). Nothing
 * else here destroys a copy, so that nothing that was acknowledged may be lost by any of it; but
 * for a cut of all power under {@code replicated}, of which is remembered when it was.
 */
final class Faults {
  private static final int MOST_OF_A_SEED = 3;
  // Shorter ones may be over before a node is held for lost.
  private static final long KNOWN_FROM_MILLIS = 2_000;
  // What is slow is so for longer than others are away: what it costs shows with time only.
  private static final long SLOW_MILLIS = 20_000;
  // And how fast is written without it, just before.
  private static final long USUAL_MILLIS = 10_000;

  private final Machines machines;
  private final Stalls stalls;
  private final Story story;
  private final Tally tally;
  private final Durability durability;
  private final List<Fault> kinds;
  private volatile OptionalLong lossyNanos = OptionalLong.empty();

  /** What there was of faults, over all clusters of a run. */
  static final class Tally {
    private final ReentrantLock lock = new ReentrantLock();
    // Both guarded by lock.
    private final Map<Fault, Long> counts = new EnumMap<>(Fault.class);
    private final List<Long> lossKnownMillis = new ArrayList<>();

    private void count(Fault fault) {
      lock.lock();
      try {
        counts.merge(fault, 1L, Long::sum);
      } finally {
        lock.unlock();
      }
    }

    private void lossKnown(long millis) {
      lock.lock();
      try {
        lossKnownMillis.add(millis);
      } finally {
        lock.unlock();
      }
    }

    /** How many there were, by kind. */
    Map<String, Long> counts() {
      lock.lock();
      try {
        var words = new TreeMap<String, Long>();
        counts.forEach((fault, count) -> words.put(fault.word(), count));
        return words;
      } finally {
        lock.unlock();
      }
    }

    /**
     * After how long the loss of a node was known, of so many of a hundred losses at most; 0
     * without any.
     */
    long lossKnownMillis(int percent) {
      lock.lock();
      try {
        List<Long> sorted = lossKnownMillis.stream().sorted().toList();
        int rank = (sorted.size() * percent + 99) / 100;
        return rank == 0 ? 0 : sorted.get(rank - 1);
      } finally {
        lock.unlock();
      }
    }
  }

  /**
   * @param durability of what is written
   */
  Faults(Machines machines, Durability durability, Stalls stalls, Story story, Tally tally) {
    this.machines = machines;
    this.durability = durability;
    this.stalls = stalls;
    this.story = story;
    this.tally = tally;
    this.kinds = Stream.of(Fault.values()).filter(this::isPossible).toList();
  }

  private boolean isPossible(Fault fault) {
    if (machines.hasSpeeds()) {
      return fault == Fault.SLOW_NIC || fault == Fault.SLOW_DISK || fault == Fault.SLOW_ALL;
    }
    return switch (fault) {
      case SLOW_NIC, SLOW_DISK, SLOW_ALL -> false;
      case CUT_OFF -> machines.hasLinks();
      case FULL_DISK -> machines.hasSmallDisk();
      case STORE_AWAY -> machines.store().isPresent();
      case POWER, POWER_ALL -> machines.hasPower();
      case KILL, STOP, WIPE_DISK, KILL_ALL, KILL_SEVERAL -> true;
    };
  }

  /** What can be made here. */
  List<Fault> kinds() {
    return kinds;
  }

  /** Faults of one seed that may come before the cluster is whole again after the one before. */
  static boolean isOverlapping(long seed) {
    // Of eight kinds of faults each comes first in some of them, and in some of the others.
    return Math.floorMod(seed + seed / 8, 4) == 0;
  }

  /**
   * Makes the faults of a seed. Afterwards all processes run, and everything is connected and
   * there, but not necessarily whole.
   *
   * @param spared the node that no kill, stop or cut of a single node hits
   * @throws Violation a node does not start, a loss does not become known, or the cluster does not
   *     become whole
   */
  void make(long seed, int spared, SplittableRandom random)
      throws IOException, InterruptedException {
    boolean overlapping = isOverlapping(seed);
    lossyNanos = OptionalLong.empty();
    int many = random.nextInt(1, MOST_OF_A_SEED + 1);
    for (int i = 0; i < many; i++) {
      int drawn = random.nextInt(kinds.size());
      Fault fault = kinds.get(i == 0 ? Math.floorMod(seed, kinds.size()) : drawn);
      if (overlapping && destroysCopies(fault)) {
        fault = Fault.KILL;
      }
      int victim = (spared + random.nextInt(1, machines.count())) % machines.count();
      long beforeMillis = random.nextLong(100, 1_500);
      long downMillis = random.nextLong(500, 4_000);
      if (i > 0 && !overlapping) {
        long ended = System.nanoTime();
        machines.awaitWhole("between two faults");
        story.say("whole again after %d ms", millisSince(ended));
      }
      Thread.sleep(beforeMillis + (machines.hasSpeeds() ? USUAL_MILLIS : 0));
      if (!overlapping) {
        // What was down for a moment only may be expelled for it a little later.
        machines.awaitWhole("before a fault");
      }
      tally.count(fault);
      stalls.begins(fault);
      var down = new Down(downMillis, !overlapping && downMillis >= KNOWN_FROM_MILLIS);
      happen(fault, spared, victim, down, random);
      stalls.isOver();
    }
  }

  private boolean destroysCopies(Fault fault) {
    return fault == Fault.WIPE_DISK
        || (fault == Fault.POWER && durability == Durability.REPLICATED);
  }

  /**
   * When, in this seed and by System.nanoTime, all that was acknowledged before may last have been
   * lost; but what is lost must be named.
   */
  OptionalLong lossyNanos() {
    return lossyNanos;
  }

  private List<Integer> all() {
    return IntStream.range(0, machines.count()).boxed().toList();
  }

  private void happen(Fault fault, int spared, int victim, Down down, SplittableRandom random)
      throws IOException, InterruptedException {
    String name = machines.name(victim);
    List<Integer> one = List.of(victim);
    switch (fault) {
      case KILL -> {
        story.say("kill -9 %s", name);
        machines.kill(one);
        down.lasts(spared, victim);
        start(one);
      }
      case WIPE_DISK -> {
        story.say("kill -9 %s, and its disk is wiped", machines.name(spared));
        machines.kill(List.of(spared));
        machines.wipe(spared);
        down.lasts(victim, spared);
        start(List.of(spared), "--accept-empty-volume");
      }
      case KILL_SEVERAL -> {
        List<Integer> victims = others(spared, random);
        story.say("kill -9 %s at once", names(victims));
        machines.kill(victims);
        down.lasts();
        start(victims);
      }
      case KILL_ALL -> {
        story.say("kill -9 of all nodes at once");
        machines.kill(all());
        down.lasts();
        start(all());
      }
      case POWER -> {
        story.say("the power of %s is cut", name);
        machines.cutPower(one, random);
        down.lasts(spared, victim);
        machines.restorePower(one);
        start(one);
      }
      case POWER_ALL -> {
        story.say("all power is cut");
        machines.cutPower(all(), random);
        if (durability == Durability.REPLICATED) {
          lossyNanos = OptionalLong.of(System.nanoTime());
        }
        down.lasts();
        machines.restorePower(all());
        start(all());
      }
      case STOP -> {
        story.say("SIGSTOP %s", name);
        machines.stop(victim);
        down.lasts(spared, victim);
        machines.resume(victim);
        story.say("SIGCONT %s", name);
      }
      case CUT_OFF -> {
        story.say("%s is cut off", name);
        machines.cutOff(victim, true);
        down.lasts(spared, victim);
        machines.cutOff(victim, false);
        story.say("%s is connected", name);
      }
      case SLOW_NIC -> {
        story.say("the link of %s is slow", name);
        machines.slowNic(victim, true);
        Thread.sleep(SLOW_MILLIS);
        machines.slowNic(victim, false);
        story.say("it is as fast as the others");
      }
      case SLOW_DISK -> {
        story.say("the disk of %s is slow", name);
        machines.slowDisk(victim, true);
        Thread.sleep(SLOW_MILLIS);
        machines.slowDisk(victim, false);
        story.say("it is as fast as the others");
      }
      case SLOW_ALL -> {
        story.say("all links and disks are slow");
        slowAll(true);
        Thread.sleep(SLOW_MILLIS);
        slowAll(false);
        story.say("they are as fast as before");
      }
      case FULL_DISK -> {
        story.say("the disk of %s is full", machines.name(machines.count() - 1));
        machines.fillSmallDisk();
        down.lasts();
        machines.drainSmallDisk();
        story.say("it has room again");
      }
      case STORE_AWAY -> {
        story.say("the store is away");
        machines.store().orElseThrow().takeAway();
        down.lasts();
        machines.store().orElseThrow().bringBack();
        story.say("the store is back");
      }
    }
  }

  private void slowAll(boolean on) {
    for (int node : all()) {
      machines.slowNic(node, on);
      machines.slowDisk(node, on);
    }
  }

  private void start(List<Integer> nodes, String... options) throws IOException {
    story.say("start %s", names(nodes));
    machines.start(nodes, options);
    story.say("%s: ready", names(nodes));
  }

  /** Two nodes or more, but not the spared one. */
  private List<Integer> others(int spared, SplittableRandom random) {
    var others =
        new ArrayList<>(
            IntStream.range(0, machines.count()).filter(node -> node != spared).boxed().toList());
    int many = random.nextInt(2, machines.count());
    while (others.size() > many) {
      others.remove(/* index */ random.nextInt(others.size()));
    }
    return List.copyOf(others);
  }

  private List<String> names(List<Integer> nodes) {
    return nodes.stream().map(machines::name).toList();
  }

  private static long millisSince(long nanos) {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanos);
  }

  /** How long something is away, which is part of the fault. */
  private final class Down {
    private final long begunNanos = System.nanoTime();
    private final long millis;
    private final boolean untilKnown;

    Down(long millis, boolean untilKnown) {
      this.millis = millis;
      this.untilKnown = untilKnown;
    }

    void lasts() throws InterruptedException {
      Thread.sleep(Math.max(0, millis - millisSince(begunNanos)));
    }

    /** Of a node: until its loss is known to another one, where it is away long enough for that. */
    void lasts(int asked, int lost) throws InterruptedException {
      if (untilKnown) {
        long known = TimeUnit.NANOSECONDS.toMillis(machines.awaitLoss(asked, lost) - begunNanos);
        tally.lossKnown(known);
        story.say("that %s is lost was known after %d ms", machines.name(lost), known);
      }
      lasts();
    }
  }
}
