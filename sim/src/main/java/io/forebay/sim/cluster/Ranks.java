package io.forebay.sim.cluster;

import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.env.Outcome;
import io.forebay.sim.world.SimEnv;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * A checkpoint: on every node a rank writes its part, all at once, over NICs of a known speed. In
 * the middle of it some nodes die, a tenth but no more than 10, and their ranks with them (of even
 * seeds nobody dies). What share of the NICs did the others use? When the dead are back, nothing
 * may be lost.
 *
 * <p>Slices and chunks are a sixteenth of production's and the NICs a hundredth of those of 100
 * Gbit/s, so that a run of 1,000 nodes takes minutes: as many slices, windows, chunks and round
 * trips as with slices of 1 MiB and chunks of 16 MiB at 100 Gbit/s and latencies of 3 to 80 us.
 * What has no such scale, above all the 500 ms until a writer gives up, is shorter here than there.
 */
public final class Ranks {
  private static final long SECOND = 1_000_000_000L;
  private static final long NIC_BYTES = 125_000_000L; // a second: 1 Gbit/s
  private static final int CHUNK_BYTES = 1 << 20;
  private static final int SLICE_BYTES = 64 << 10;
  private static final int MAX_DEAD = 10;
  private static final int GROUPS_PER_VOLUME = 8; // as of 1,000 nodes: a family has at most 4,096
  private static final Family FAMILY = new Family(2, 2, Durability.REPLICATED);

  /** A rank is done. */
  private record End(long afterNanos, long takenBytes) {}

  private final Checkpoint.Plan plan;
  private final Writers writers;
  private final SimEnv client;
  private final SimCluster cluster;
  private final RandomGenerator random;
  private final TreeSet<Integer> dead = new TreeSet<>();
  private final List<End> ends = new ArrayList<>();

  private Ranks(Checkpoint.Plan plan) {
    this.plan = plan;
    writers =
        new Writers(
            plan,
            new Writers.Shape(
                FAMILY,
                SimCluster.GRACE_MILLIS,
                GROUPS_PER_VOLUME,
                CHUNK_BYTES,
                SLICE_BYTES,
                bytes(plan)));
    client = writers.client();
    cluster = writers.cluster();
    random = writers.world().stream("ranks");
  }

  private static int bytes(Checkpoint.Plan plan) {
    return Math.multiplyExact(plan.operations(), 1 << 20);
  }

  /** Runs one seed to its end; {@code operations} are the MiB that each rank writes. */
  public static Checkpoint.Report run(Checkpoint.Plan plan) {
    var scenario = new Ranks(plan);
    return scenario.writers.run(scenario::play);
  }

  private void play() {
    cluster.links().nics(NIC_BYTES);
    long before = cluster.links().takenBytes();
    long began = client.nanoTime();
    List<Outcome<Boolean>> running = writers.each("rank", rank -> write(rank, began, before));
    if (plan.seed() % 2 == 1) {
      client.sleep(bytes(plan) * SECOND / NIC_BYTES / 3);
      kill();
    }
    running.forEach(Outcome::await);
    if (!ends.isEmpty()) {
      // Each byte leaves one NIC and comes to another one: to the replicas beside the own.
      double idealNanos = (double) bytes(plan) * (FAMILY.replicas() - 1) / NIC_BYTES * SECOND;
      writers.measured("nicShare", idealNanos / ends.getLast().afterNanos());
      writers.measured("nicShareUntilMedian", taken(0.5));
      writers.measured("nicShareUntilP95", taken(0.95));
      writers.measured("rankSeconds", (double) ends.getLast().afterNanos() / SECOND);
    }
    dead.forEach(cluster::restart);
    writers.await("full strength when the dead are back", () -> writers.weakGroups() == 0);
  }

  /**
   * What the NICs of all who lived took until that part of the ranks was done, of what they could.
   */
  private double taken(double part) {
    End end = ends.get((int) Math.ceil(part * ends.size()) - 1);
    return (double) end.takenBytes()
        / (cluster.size() - dead.size())
        / NIC_BYTES
        / end.afterNanos()
        * SECOND;
  }

  private void write(int rank, long began, long before) {
    writers
        .write(rank, "rank-" + rank)
        .ifPresentOrElse(
            failure -> {
              if (!dead.contains(rank)) {
                writers.judge().violation("rank " + rank + " failed: " + failure.getMessage());
              }
            },
            () ->
                ends.add(
                    new End(client.nanoTime() - began, cluster.links().takenBytes() - before)));
  }

  /** At most one voter: the logs are to go on. */
  private void kill() {
    int count = Math.min(MAX_DEAD, cluster.size() / 10);
    while (dead.size() < count) {
      int victim = random.nextInt(cluster.size());
      if (victim >= Writers.VOTERS || dead.isEmpty() || dead.first() >= Writers.VOTERS) {
        dead.add(victim);
      }
    }
    writers.world().log().add(client.nanoTime(), "KILL " + dead);
    writers.broke("kill", dead.size());
    dead.forEach(cluster::kill);
  }
}
