package io.forebay.sim.cluster;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.ByteRange;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.BucketId;
import io.forebay.core.net.Network;
import io.forebay.sim.log.SimLog;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.LongConsumer;
import java.util.function.Supplier;

/**
 * A world of nodes with a client beside each that writes large objects of one length to one bucket,
 * for scenarios that measure how fast things go. All objects are alike but for their last MiB, so
 * that what they should be is computed once.
 */
final class Writers {
  /**
   * What is written.
   *
   * @param graceMillis how long the cluster waits for a lost volume
   * @param groupsPerVolume of the bucket's family
   * @param sliceBytes that a client hands over at once; a part of 1 MiB
   * @param objectBytes whole MiB
   */
  record Shape(
      Family family,
      long graceMillis,
      int groupsPerVolume,
      int chunkBytes,
      int sliceBytes,
      int objectBytes) {}

  static final int VOTERS = 3;
  private static final long SECOND = 1_000_000_000L;
  // What is read at once to copy a chunk: a part of two contents would take a buffer.
  private static final int TAIL_BYTES = Network.MAX_PAYLOAD_BYTES;
  private static final long DISK_BYTES = 64L << 30; // more than is ever written
  private static final long ALIKE = 1; // seed of what all objects have in common
  private static final long LOOK_NANOS = 5_000_000L;
  private static final long WRITE_NANOS = 180 * SECOND;
  private static final String BUCKET = "wide";

  private final Checkpoint.Plan plan;
  private final Shape shape;
  private final SimWorld world;
  private final SimEnv client;
  private final Judge judge;
  private final SimCluster cluster;
  private final int alikeCrc32c;
  private final Map<String, Long> faults = new TreeMap<>();
  private final Map<String, Double> figures = new TreeMap<>();
  private BucketId bucket = new BucketId(0);
  private long nextVersion = 1;
  private long operations;
  private long acknowledged;
  private boolean done;

  Writers(Checkpoint.Plan plan, Shape shape) {
    this.plan = plan;
    this.shape = shape;
    world = new SimWorld(plan.seed());
    client = world.env("client");
    judge = new Judge(world, shape.groupsPerVolume());
    cluster = new SimCluster(world, plan.nodes(), VOTERS, judge, DISK_BYTES, shape.graceMillis());
    cluster.logs().forEach(SimLog::answerAll);
    alikeCrc32c = new Synthetic(ALIKE, 0, alikeBytes()).crc32c();
  }

  SimWorld world() {
    return world;
  }

  /** The process of those that write, and of whoever watches them. */
  SimEnv client() {
    return client;
  }

  Judge judge() {
    return judge;
  }

  SimCluster cluster() {
    return cluster;
  }

  /** Something was broken. */
  void broke(String kind, long times) {
    faults.merge(kind, times, Long::sum);
  }

  /** Something was measured. */
  void measured(String figure, double value) {
    figures.put(figure, value);
  }

  /** Plays a scenario once there is a bucket that every node knows, to its end. */
  Checkpoint.Report run(Runnable scenario) {
    client.spawn(
        "scenario",
        () -> {
          begin();
          scenario.run();
          judge.audit();
          done = true;
          cluster.logs().forEach(SimLog::close);
          world.stop();
        });
    try {
      world.run(3_600 * SECOND);
    } catch (IllegalStateException failure) {
      judge.violation("a thread ended with " + failure.getMessage());
    }
    if (!done && judge.sound()) {
      judge.violation("the scenario did not end in an hour");
    }
    return new Checkpoint.Report(
        plan.seed(),
        world.log().digest(),
        operations,
        acknowledged,
        judge.checks(),
        cluster.links().messages(),
        0,
        faults,
        figures,
        world.nanoTime(),
        List.copyOf(judge.violations()),
        judge.scene());
  }

  private void begin() {
    await("all nodes register", () -> judge.image().volumes().size() == cluster.size());
    var spec =
        new BucketSpec(
            BUCKET,
            shape.family(),
            "",
            FlushMode.CACHE_ONLY,
            List.of(),
            shape.chunkBytes(),
            0,
            2_000);
    cluster
        .in(
            client,
            0,
            WRITE_NANOS,
            () -> {
              cluster.node(0).plane().cluster(new ClusterCommand.Initialize("c1"));
              bucket = cluster.node(0).files().createBucket(spec).id();
            })
        .ifPresent(failure -> judge.violation("setting up failed: " + failure));
    // What is measured is a cluster that was there before.
    await("every node knows the cluster", cluster::allKnow);
  }

  /** Waits for what has to come within the time that a write may take. */
  void await(String what, BooleanSupplier condition) {
    long until = world.nanoTime() + WRITE_NANOS;
    while (!condition.getAsBoolean()) {
      if (world.nanoTime() >= until) {
        judge.violation("liveness: not within " + WRITE_NANOS / SECOND + " s: " + what);
        return;
      }
      client.sleep(LOOK_NANOS);
    }
  }

  /** How many groups have not all their members in sync. */
  long weakGroups() {
    return judge.image().groups().stream()
        .filter(group -> group.in(MemberState.IN_SYNC).size() < shape.family().replicas())
        .count();
  }

  /** Does something beside each node at once. */
  List<Outcome<Boolean>> each(String what, IntConsumer action) {
    var ends = new ArrayList<Outcome<Boolean>>();
    for (int i = 0; i < cluster.size(); i++) {
      int node = i;
      var end = new Outcome<Boolean>(client);
      ends.add(end);
      client.spawn(
          what,
          () -> {
            try {
              action.accept(node);
            } finally {
              end.complete(true);
            }
          });
    }
    return ends;
  }

  /** Writes one object through a node; empty when it was acknowledged. */
  Optional<ForebayException> write(int index, String key) {
    return write(index, key, any -> {});
  }

  /**
   * Writes one object through a node; empty when it was acknowledged.
   *
   * @param stood is told for how many nanoseconds each slice, and the end, was not taken, or until
   *     it failed
   */
  Optional<ForebayException> write(int index, String key, LongConsumer stood) {
    operations++;
    History.Version version;
    do { // again where another object has this CRC
      long number = nextVersion++;
      version = new History.Version(number, ALIKE + number, shape.objectBytes());
    } while (!judge.history().intend(version, crc32c(version)));
    History.Version content = version;
    Optional<ForebayException> failure =
        cluster.in(
            client,
            index,
            WRITE_NANOS,
            () -> write(cluster.node(index).files(), key, content, stood));
    acknowledged += failure.isEmpty() ? 1 : 0;
    return failure;
  }

  /**
   * Reads a slice of an object through a node, and checks that it is what was written; empty when
   * it was read.
   *
   * @param key that was written once
   * @param number of the slice in the object
   */
  Optional<ForebayException> read(int index, String key, int number) {
    operations++;
    Optional<ForebayException> failure =
        cluster.in(
            client, index, WRITE_NANOS, () -> read(cluster.node(index).files(), key, number));
    acknowledged += failure.isEmpty() ? 1 : 0;
    return failure;
  }

  private int crc32c(History.Version version) {
    int tail = new Synthetic(version.seed(), alikeBytes(), TAIL_BYTES).crc32c();
    return Crc32cCombiner.combine(alikeCrc32c, tail, TAIL_BYTES);
  }

  private int alikeBytes() {
    return shape.objectBytes() - TAIL_BYTES;
  }

  private void read(FileService files, String key, int number) {
    History.Version version = judge.history().current(bucket, key).orElseThrow();
    long at = (long) number * shape.sliceBytes();
    try (ObjectReader reader = files.open(BUCKET, key, ReadConditions.NONE)) {
      reader.willRead(new ByteRange(at, shape.sliceBytes()));
      Bytes bytes = reader.read(at, shape.sliceBytes());
      var right = new Synthetic(seed(version, at), at, bytes.length());
      if (bytes.crc32c() != right.crc32c()) {
        judge.violation("C1: " + key + " was read as " + reader.info() + "; it held " + version);
      }
      bytes.release();
    }
  }

  private <T> T timed(LongConsumer took, Supplier<T> action) {
    long since = world.nanoTime();
    try {
      return action.get();
    } finally {
      took.accept(world.nanoTime() - since);
    }
  }

  private long seed(History.Version version, long at) {
    return at < alikeBytes() ? ALIKE : version.seed();
  }

  private void write(FileService files, String key, History.Version version, LongConsumer stood) {
    var options =
        new WriteOptions(
            ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.of(shape.objectBytes()), true);
    long began = world.nanoTime();
    try (BodyWriter<ObjectInfo> body = files.create(BUCKET, key, options)) {
      for (int at = 0; at < shape.objectBytes(); at += shape.sliceBytes()) {
        long from = at;
        timed(
            stood,
            () -> {
              body.write(new Synthetic(seed(version, from), from, shape.sliceBytes()));
              return true;
            });
      }
      ObjectInfo info = timed(stood, () -> body.publish(Optional.empty()));
      if (!judge.history().took(bucket, key, info.generation(), version, began, world.nanoTime())) {
        judge.violation("C1: " + key + " was acknowledged, and the log does not have it");
      }
    }
  }
}
