package io.forebay.sim.cluster;

import io.forebay.core.cluster.ClusterMachine;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ForebayException;
import io.forebay.sim.world.SimEnv;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A node is lost for good while clients write beside all others at a known rate, over NICs and
 * disks of a known speed: from when the cluster decides to make up for it (it is waited for
 * before), how long until every group has all its copies again, what share of the survivors' NICs
 * was used, and what was left to the clients?
 */
public final class Redundancy {
  private static final long SECOND = 1_000_000_000L;
  private static final long NIC_BYTES = 312_500_000L; // a second: 2.5 Gbit/s
  private static final long DISK_BYTES = 1_000_000_000L; // a second
  private static final int OBJECT_BYTES = 4 << 20;
  private static final int SLICE_BYTES = 1 << 20;
  // Of its NIC, what each client writes; the copies beside its own are twice as much.
  private static final int CLIENT_PART = 10;
  private static final long PACE_NANOS = OBJECT_BYTES * SECOND / (NIC_BYTES / CLIENT_PART);
  private static final long BEFORE_NANOS = 4 * SECOND;
  private static final Family FAMILY = new Family(3, 2, Durability.REPLICATED);

  /** A client's write was acknowledged. */
  private record Written(long atNanos, long tookNanos) {}

  /** How far it is, at a moment. */
  private record Progress(long atNanos, long groups, long takenBytes, long pulledBytes) {}

  private final Checkpoint.Plan plan;
  private final Writers writers;
  private final SimEnv client;
  private final SimCluster cluster;
  private final int victim;
  private final List<Written> written = new ArrayList<>();
  private boolean over;

  private Redundancy(Checkpoint.Plan plan) {
    this.plan = plan;
    writers =
        new Writers(
            plan,
            new Writers.Shape(
                FAMILY,
                SimCluster.GRACE_MILLIS,
                ClusterMachine.DEFAULT_GROUPS_PER_VOLUME,
                OBJECT_BYTES,
                SLICE_BYTES,
                OBJECT_BYTES));
    client = writers.client();
    cluster = writers.cluster();
    // No voter: the logs are to go on.
    victim = writers.world().stream("redundancy").nextInt(Writers.VOTERS, plan.nodes());
  }

  /** Runs one seed to its end; {@code operations} are the MiB that are written beside each node. */
  public static Checkpoint.Report run(Checkpoint.Plan plan) {
    var scenario = new Redundancy(plan);
    return scenario.writers.run(scenario::play);
  }

  private void play() {
    writers.each("fill", this::fill).forEach(Outcome::await);
    cluster.links().nics(NIC_BYTES);
    for (int i = 0; i < cluster.size(); i++) {
      cluster.diskSpeed(i, DISK_BYTES);
    }
    List<Outcome<Boolean>> clients = writers.each("client", this::writeOn);
    client.sleep(BEFORE_NANOS);
    long killed = client.nanoTime();
    cluster.kill(victim);
    writers.broke("kill", 1);
    writers.await(
        "the cluster makes up for the lost node",
        () ->
            writers.judge().image().groups().stream()
                .anyMatch(group -> !group.in(MemberState.SYNCING).isEmpty()));
    var progress = new ArrayList<Progress>();
    writers.await(
        "full strength",
        () -> {
          progress.add(progress());
          return progress.getLast().groups() == 0;
        });
    over = true;
    clients.forEach(Outcome::await);
    report(killed, progress);
  }

  private void report(long killed, List<Progress> progress) {
    Progress begin = progress.getFirst();
    Progress end = progress.getLast();
    Progress mostly =
        progress.stream()
            .filter(each -> each.groups() * 20 <= begin.groups())
            .findFirst()
            .orElse(end);
    double before = bytesPerSecond(killed - BEFORE_NANOS, killed);
    writers.measured("fullStrengthSeconds", (double) (end.atNanos() - begin.atNanos()) / SECOND);
    writers.measured("copiedMib", (double) (end.pulledBytes() - begin.pulledBytes()) / (1 << 20));
    writers.measured("nicShare", share(begin, end, end.takenBytes() - begin.takenBytes()));
    writers.measured(
        "nicShareUntilP95", share(begin, mostly, mostly.takenBytes() - begin.takenBytes()));
    writers.measured(
        "nicShareOfCopies", share(begin, end, end.pulledBytes() - begin.pulledBytes()));
    writers.measured("foregroundKept", bytesPerSecond(begin.atNanos(), end.atNanos()) / before);
    writers.measured("writeP95SecondsBefore", p95(killed - BEFORE_NANOS, killed));
    writers.measured("writeP95SecondsWhile", p95(begin.atNanos(), end.atNanos()));
  }

  /** Of what the survivors' NICs could take between two moments; they send as much. */
  private double share(Progress begin, Progress end, long bytes) {
    double could =
        (double) NIC_BYTES * (plan.nodes() - 1) * (end.atNanos() - begin.atNanos()) / SECOND;
    return bytes / could;
  }

  private Progress progress() {
    long pulled = 0;
    for (int i = 0; i < cluster.size(); i++) {
      if (i != victim) {
        pulled += cluster.node(i).status().resync().movedBytes();
      }
    }
    return new Progress(
        client.nanoTime(), writers.weakGroups(), cluster.links().takenBytes(), pulled);
  }

  private double bytesPerSecond(long fromNanos, long toNanos) {
    long bytes = during(fromNanos, toNanos).count() * OBJECT_BYTES;
    return (double) bytes * SECOND / (toNanos - fromNanos);
  }

  private double p95(long fromNanos, long toNanos) {
    long[] took = during(fromNanos, toNanos).mapToLong(Written::tookNanos).sorted().toArray();
    return took.length == 0 ? 0 : (double) took[(int) (0.95 * (took.length - 1))] / SECOND;
  }

  private Stream<Written> during(long fromNanos, long toNanos) {
    return written.stream().filter(each -> each.atNanos() >= fromNanos && each.atNanos() < toNanos);
  }

  private void fill(int node) {
    int objects = plan.operations() / (OBJECT_BYTES >> 20);
    for (int i = 0; i < objects; i++) {
      must(writers.write(node, "fill-" + node + "-" + i));
    }
  }

  /** Writes at its pace; what came too late is made up for. */
  private void writeOn(int node) {
    if (node == victim) {
      return;
    }
    long due = client.nanoTime() + PACE_NANOS * node / plan.nodes();
    for (long number = 0; !over; number++) {
      client.sleep(Math.max(0, due - client.nanoTime()));
      due += PACE_NANOS;
      long began = client.nanoTime();
      must(writers.write(node, "live-" + node + "-" + number));
      written.add(new Written(client.nanoTime(), client.nanoTime() - began));
    }
  }

  private void must(Optional<ForebayException> failure) {
    failure.ifPresent(
        each -> writers.judge().violation("a write failed while a node was lost: " + each));
  }
}
