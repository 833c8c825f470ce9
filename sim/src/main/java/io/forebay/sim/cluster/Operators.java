package io.forebay.sim.cluster;

import io.forebay.core.cluster.AccessKey;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.Optional;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * Whoever runs the cluster, while it is used and while it fails: drains nodes and takes that back,
 * sets quotas, changes buckets and keys, and asks for what has to be refused. In the calm all of it
 * is as it was.
 */
final class Operators {
  private static final long SECOND = 1_000_000_000L;
  private static final long ACT_NANOS = 60 * SECOND;
  private static final long FEW_BYTES = 200_000;
  private static final long MANY_BYTES = 3_000_000;

  private final SimWorld world;
  private final SimEnv env;
  private final SimCluster cluster;
  private final Judge judge;
  private final Faults faults;
  private final RandomGenerator random;
  private final TreeSet<Integer> drained = new TreeSet<>(); // perhaps: not every answer arrives
  private final TreeSet<String> bounded = new TreeSet<>(); // perhaps, too
  private boolean over;
  private int running;

  Operators(SimWorld world, SimEnv env, SimCluster cluster, Judge judge, Faults faults) {
    this.world = world;
    this.env = env;
    this.cluster = cluster;
    this.judge = judge;
    this.faults = faults;
    this.random = world.stream("operators");
  }

  /** Begins to change things. */
  void begin() {
    over = false;
    running++;
    env.spawn(
        "operators",
        () -> {
          while (!over) {
            env.sleep(random.nextLong(SECOND, 12 * SECOND));
            int node = random.nextInt(cluster.size());
            if (!over && cluster.runs(node)) {
              act(node);
            }
          }
          running--;
        });
  }

  /** Changes nothing more. */
  void end() {
    over = true;
  }

  /** Whether everything is as it was; tries to make it so when nobody changes anything any more. */
  boolean undone() {
    if (running > 0) {
      return false;
    }
    for (int victim : new TreeSet<>(drained)) {
      drain(0, victim, false);
    }
    for (String bucket : new TreeSet<>(bounded)) {
      quota(0, bucket, 0);
    }
    return drained.isEmpty() && bounded.isEmpty();
  }

  private void act(int node) {
    switch (random.nextInt(6)) {
      case 0, 1 -> {
        if (drained.isEmpty()) {
          faults.count("drain");
          drain(node, random.nextInt(cluster.size()), true);
        } else {
          drain(node, drained.first(), false);
        }
      }
      case 2 ->
          bucket()
              .ifPresent(bucket -> {
                faults.count("quota");
                quota(node, bucket.name(), random.nextLong(FEW_BYTES, MANY_BYTES));
              });
      case 3 -> bounded.stream().findFirst().ifPresent(bucket -> quota(node, bucket, 0));
      case 4 -> bucket().ifPresent(bucket -> change(node, bucket));
      default ->
          refused(
              node,
              random.nextBoolean()
                  ? new ClusterCommand.Drain(new NodeId("nobody"), true)
                  : new ClusterCommand.RemoveBucket("nobody's", new BucketId(99)));
    }
  }

  private Optional<Bucket> bucket() {
    var all = judge.image().buckets();
    return all.isEmpty() ? Optional.empty() : Optional.of(all.get(random.nextInt(all.size())));
  }

  private void drain(int node, int victim, boolean on) {
    drained.add(victim);
    var command = new ClusterCommand.Drain(SimCluster.name(victim), on);
    boolean done = in(node, command.toString(), () -> cluster.node(node).plane().cluster(command));
    if (done && !on) {
      drained.remove(victim);
    }
  }

  private void quota(int node, String bucket, long bytes) {
    bounded.add(bucket);
    boolean done =
        in(
            node,
            "a quota of " + bytes + " for " + bucket,
            () -> cluster.node(node).files().setQuota(bucket, bytes));
    if (done && bytes == 0) {
      bounded.remove(bucket);
    }
  }

  private void change(int node, Bucket bucket) {
    var command =
        new ClusterCommand.ReplaceBucket(
            bucket,
            bucket.mode(),
            bucket.prefixModes(),
            random.nextLong(2_000),
            bucket.readGraceMillis());
    in(node, command.toString(), () -> cluster.node(node).plane().cluster(command));
    var key = new AccessKey("AK" + random.nextInt(3), "secret");
    in(
        node,
        "a key",
        () -> cluster.node(node).plane().cluster(new ClusterCommand.PutAccessKey(key)));
  }

  /** What names nothing changes nothing, and is refused. */
  private void refused(int node, ClusterCommand command) {
    in(
        node,
        command.toString(),
        () -> {
          ClusterResult result = cluster.node(node).plane().cluster(command);
          if (!(result instanceof ClusterResult.Refused)) {
            judge.violation(command + " was answered with " + result);
          }
        });
  }

  /** Whether it was done in a node's process, as far as is known. */
  private boolean in(int node, String what, Runnable action) {
    Optional<ForebayException> failure = cluster.in(env, node, ACT_NANOS, action);
    world
        .log()
        .add(
            world.nanoTime(),
            "OPERATOR at n" + node + " " + what + failure.map(each -> ": " + each).orElse(""));
    return failure.isEmpty();
  }
}
