package io.forebay.sim.cluster;

import io.forebay.core.id.ChunkId;
import io.forebay.sim.log.SimLog;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * Breaks things, one after the other and some at once, and mends them again. A disk is taken, or
 * loses what was not synced, only while every chunk that has to be kept has a copy on another
 * member of its group, or has lost fewer than acknowledged it: otherwise a loss would be legal, and
 * nothing could be said about it.
 */
final class Faults {
  private static final long SECOND = 1_000_000_000L;
  private static final long MILLI = 1_000_000L;

  private enum Kind {
    KILL,
    POWER_CUT,
    LOST_DISK,
    PAUSE,
    CUT_OFF,
    DEAF,
    MUTE,
    LINK,
    SLOW_NODE,
    SLOW_DISK,
    FULL_DISK,
    FAILED_WRITE,
    BIT_ROT,
    NO_LEADER,
    SLOW_LOG,
    KILL_SEVERAL,
    STORE_STORM,
    STORE_DOWN,
    STORE_BROKEN_BODIES,
    STORE_DENIED,
    STORE_SLOW
  }

  private static final List<Kind> OF_NODES =
      List.copyOf(EnumSet.range(Kind.KILL, Kind.KILL_SEVERAL));
  private static final List<Kind> OF_STORE =
      List.copyOf(EnumSet.range(Kind.STORE_STORM, Kind.STORE_SLOW));
  private static final int STORE = -1; // as a victim

  private final SimWorld world;
  private final SimEnv env;
  private final SimCluster cluster;
  private final Judge judge;
  private final RandomGenerator random;
  private final int atOnce;
  private final TreeSet<Integer> sick = new TreeSet<>();
  private final Map<String, Long> counts = new TreeMap<>();
  private boolean over;
  private int running;

  /**
   * @param atOnce how many nodes may be sick at the same time
   */
  Faults(SimWorld world, SimEnv env, SimCluster cluster, Judge judge, int atOnce) {
    this.world = world;
    this.env = env;
    this.cluster = cluster;
    this.judge = judge;
    this.random = world.stream("faults");
    this.atOnce = atOnce;
  }

  /** How many there were of each kind. */
  Map<String, Long> counts() {
    return counts;
  }

  /** One more, of a kind that somebody else makes. */
  void count(String kind) {
    counts.merge(kind, 1L, Long::sum);
  }

  private void count(Kind kind) {
    count(kind.name().toLowerCase(java.util.Locale.ROOT));
  }

  /** Begins to break things. */
  void begin() {
    over = false;
    running++;
    env.spawn(
        "faults",
        () -> {
          while (!over) {
            env.sleep(random.nextLong(SECOND / 10, 2 * SECOND));
            if (!over) {
              one();
            }
          }
          running--;
        });
  }

  /** Breaks nothing more. */
  void end() {
    over = true;
  }

  /** Whether everything that was broken is mended. */
  boolean ended() {
    return running == 0;
  }

  private void one() {
    if (cluster.store().isPresent() && random.nextInt(4) == 0) {
      begin(OF_STORE.get(random.nextInt(OF_STORE.size())), STORE);
      return;
    }
    Kind kind = OF_NODES.get(random.nextInt(OF_NODES.size()));
    if (kind == Kind.NO_LEADER || kind == Kind.SLOW_LOG) {
      SimLog log = cluster.logs().get(random.nextInt(2));
      long lasts = random.nextLong(SECOND / 10, 4 * SECOND);
      note(kind, "for " + lasts / MILLI + " ms");
      if (kind == Kind.NO_LEADER) {
        log.depose(lasts);
      } else {
        log.slow(lasts);
      }
      return;
    }
    int victim = random.nextInt(cluster.size());
    if (kind == Kind.KILL_SEVERAL) {
      int wanted = random.nextInt(2, cluster.size() + 1);
      for (int i = 0; i < wanted; i++) {
        begin(Kind.KILL, (victim + i) % cluster.size());
      }
    } else {
      begin(kind, victim);
    }
  }

  private void begin(Kind kind, int victim) {
    boolean enough = victim != STORE && sick.tailSet(0).size() >= atOnce;
    if (enough || !sick.add(victim)) {
      return;
    }
    running++;
    env.spawn(
        "fault",
        () -> {
          hurt(kind, victim);
          sick.remove(victim);
          running--;
        });
  }

  private void note(Kind kind, String what) {
    // Whether a disk may be hurt is known only when its node is dead.
    if (kind != Kind.POWER_CUT && kind != Kind.LOST_DISK) {
      count(kind);
    }
    world.log().add(world.nanoTime(), "FAULT " + kind + " " + what);
  }

  private void hurt(Kind kind, int victim) {
    // Mostly short, sometimes longer than the grace period.
    long lasts =
        random.nextInt(8) == 0
            ? random.nextLong(5 * SECOND, 20 * SECOND)
            : random.nextLong(SECOND / 20, 5 * SECOND);
    String where = victim == STORE ? "" : "at n" + victim + " ";
    note(kind, where + "for " + lasts / MILLI + " ms");
    switch (kind) {
      case KILL, POWER_CUT, LOST_DISK -> restart(kind, victim, lasts);
      case PAUSE -> {
        cluster.env(victim).pause();
        env.sleep(lasts);
        cluster.env(victim).resume();
      }
      case CUT_OFF, DEAF, MUTE -> {
        for (int other = 0; other < cluster.size(); other++) {
          if (other != victim) {
            cut(victim, other, kind != Kind.DEAF, kind != Kind.MUTE, true);
          }
        }
        env.sleep(lasts);
        for (int other = 0; other < cluster.size(); other++) {
          if (other != victim) {
            cut(victim, other, kind != Kind.DEAF, kind != Kind.MUTE, false);
          }
        }
      }
      case LINK -> {
        int other = (victim + random.nextInt(1, cluster.size())) % cluster.size();
        boolean both = random.nextBoolean();
        cut(victim, other, true, both, true);
        env.sleep(lasts);
        cut(victim, other, true, both, false);
      }
      case SLOW_NODE -> {
        cluster.links().slow(SimCluster.name(victim), 1 << random.nextInt(3, 11));
        env.sleep(lasts);
        cluster.links().slow(SimCluster.name(victim), 1);
      }
      case SLOW_DISK -> {
        CheckedVolume volume = cluster.volume(victim);
        volume.slow(random.nextLong(10 * MILLI, 2 * SECOND));
        env.sleep(lasts);
        volume.slow(0);
      }
      case FULL_DISK -> {
        cluster.disk(victim).full(true);
        env.sleep(lasts);
        cluster.disk(victim).full(false);
      }
      case FAILED_WRITE -> cluster.disk(victim).failNextWrite();
      case BIT_ROT -> rot(victim);
      case STORE_STORM -> weather(SimStore.Weather.STORM, lasts);
      case STORE_DOWN -> weather(SimStore.Weather.DOWN, lasts);
      case STORE_BROKEN_BODIES -> weather(SimStore.Weather.BROKEN_BODIES, lasts);
      case STORE_DENIED -> weather(SimStore.Weather.DENIED, lasts);
      case STORE_SLOW -> weather(SimStore.Weather.SLOW, lasts);
      case NO_LEADER, SLOW_LOG, KILL_SEVERAL ->
          throw new IllegalArgumentException("not the fault of one node: " + kind);
    }
  }

  private void weather(SimStore.Weather weather, long lasts) {
    SimStore store = cluster.store().orElseThrow();
    store.weather(weather);
    env.sleep(lasts);
    store.weather(SimStore.Weather.CALM);
  }

  private void rot(int victim) {
    List<ChunkId> some = judge.mayRot(judge.idOf(cluster.disk(victim)));
    for (int i = random.nextInt(1, 5); i > 0 && !some.isEmpty(); i--) {
      ChunkId chunk = some.get(random.nextInt(some.size()));
      judge.destroying(chunk);
      cluster.disk(victim).corrupt(chunk);
      world.log().add(world.nanoTime(), chunk + " rots at n" + victim);
    }
  }

  private void cut(int victim, int other, boolean out, boolean in, boolean on) {
    if (out) {
      cluster.cut(victim, other, on);
    }
    if (in) {
      cluster.cut(other, victim, on);
    }
  }

  private void restart(Kind kind, int victim, long lasts) {
    cluster.kill(victim);
    env.sleep(lasts / 2);
    boolean loses = kind != Kind.KILL && judge.mayLose(judge.idOf(cluster.disk(victim)));
    if (kind != Kind.KILL) {
      count(loses ? kind : Kind.KILL);
    }
    if (loses) {
      if (kind == Kind.LOST_DISK) {
        cluster.replaceDisk(victim);
        world.log().add(world.nanoTime(), "n" + victim + " has an empty disk");
      } else {
        int lost = cluster.powerCut(victim);
        world.log().add(world.nanoTime(), "n" + victim + " lost " + lost + " chunks");
      }
    }
    env.sleep(lasts / 2);
    cluster.restart(victim);
  }
}
