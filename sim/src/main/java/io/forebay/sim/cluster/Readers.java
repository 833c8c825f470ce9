package io.forebay.sim.cluster;

import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.BucketId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.node.Node;
import io.forebay.sim.log.SimLog;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/**
 * Many readers and a few writers of few keys, with directory leases, while leaders come and go,
 * stop, stand still and are cut off. Each answer must have been true at some moment between the
 * question and the answer: then no reader is behind what was acknowledged before it asked, and none
 * goes back behind what another saw.
 */
public final class Readers {
  private static final long SECOND = 1_000_000_000L;
  private static final long MILLI = 1_000_000L;
  private static final int VOTERS = 3;
  private static final int READERS = 8;
  private static final int WRITERS = 3;
  private static final int KEYS = 8;
  private static final long OPERATION_NANOS = 60 * SECOND;
  private static final String BUCKET = "wide";

  private enum Fault {
    KILL,
    PAUSE,
    SUSPEND,
    CUT_OFF,
    DEAF,
    MUTE,
    SLOW_NODE,
    NO_LEADER,
    SLOW_LOG
  }

  private final Checkpoint.Plan plan;
  private final SimWorld world;
  private final SimEnv client;
  private final RandomGenerator random;
  private final Judge judge;
  private final SimCluster cluster;
  private final Map<String, Long> faults = new TreeMap<>();
  private BucketId bucket = new BucketId(0);
  private long nextVersion = 1;
  private long operations;
  private long acknowledged;
  private long checks;
  private long fromMemory;
  private int running;
  private boolean over;
  private boolean done;

  private Readers(Checkpoint.Plan plan) {
    this.plan = plan;
    world = new SimWorld(plan.seed());
    client = world.env("client");
    random = world.stream("readers");
    judge = new Judge(world, SimCluster.GROUPS_PER_VOLUME);
    long length = random.nextLong(200 * MILLI, LeaseSettings.MAX_LENGTH_NANOS);
    long quiet = random.nextInt(3) == 0 ? random.nextLong(100 * MILLI) : 0;
    cluster =
        new SimCluster(
            world, plan.nodes(), VOTERS, judge, new LeaseSettings(length, quiet, List.of()));
  }

  /**
   * Runs one seed to its end.
   *
   * @return as of a checkpoint; {@code checks} are those of this scenario's own
   */
  public static Checkpoint.Report run(Checkpoint.Plan plan) {
    var scenario = new Readers(plan);
    scenario.client.spawn("scenario", scenario::play);
    try {
      scenario.world.run(3_600 * SECOND);
    } catch (IllegalStateException failure) {
      scenario.judge.violation("a thread ended with " + failure.getMessage());
    }
    if (!scenario.done && scenario.judge.sound()) {
      scenario.judge.violation("the scenario did not end in an hour");
    }
    return new Checkpoint.Report(
        plan.seed(),
        scenario.world.log().digest(),
        scenario.operations,
        scenario.acknowledged,
        scenario.checks,
        scenario.cluster.links().messages(),
        scenario.fromMemory,
        scenario.faults,
        Map.of(),
        scenario.world.nanoTime(),
        List.copyOf(scenario.judge.violations()),
        scenario.judge.scene());
  }

  private void play() {
    while (judge.image().volumes().size() < cluster.size()) {
      client.sleep(SECOND / 10);
    }
    client.sleep(3 * SECOND); // groups are made
    must(node -> node.plane().cluster(new ClusterCommand.Initialize("c1")));
    var spec =
        new BucketSpec(
            BUCKET,
            new Family(3, 2, Durability.REPLICATED),
            "",
            FlushMode.CACHE_ONLY,
            List.of(),
            1 << 20,
            0,
            2_000);
    must(node -> bucket = node.files().createBucket(spec).id());
    client.sleep(SECOND); // every node hears of it
    client.spawn("faults", this::breakThings);
    client.spawn("hiccups", this::hiccups);
    for (int i = 0; i < READERS + WRITERS; i++) {
      boolean reads = i < READERS;
      running++;
      client.spawn(
          "client",
          () -> {
            while (judge.sound() && operations < plan.operations()) {
              client.sleep(random.nextLong(reads ? 30 * MILLI : 600 * MILLI));
              if (reads) {
                read();
              } else {
                write();
              }
            }
            running--;
          });
    }
    while (running > 0) {
      client.sleep(SECOND / 10);
    }
    over = true;
    for (int i = 0; i < cluster.size(); i++) {
      if (!cluster.env(i).killed()) {
        fromMemory += cluster.node(i).status().leases().hits();
      }
    }
    done = true;
    cluster.logs().forEach(SimLog::close);
    world.stop();
  }

  private void must(Consumer<Node> action) {
    in(0, action).ifPresent(failure -> judge.violation("setting up failed: " + failure));
  }

  private String key() {
    int key = random.nextInt(KEYS);
    return "d" + key % 2 + "/" + key;
  }

  private void read() {
    int index = random.nextInt(cluster.size());
    if (!cluster.runs(index)) {
      return;
    }
    String key = key();
    SimEnv env = cluster.env(index);
    perform(
        index,
        node -> {
          long began = world.nanoTime();
          long seen =
              node.files().stat(BUCKET, key).map(info -> info.generation().value()).orElse(0L);
          env.checkAlive();
          checks++;
          List<Long> held = judge.history().generations(bucket, key, began, world.nanoTime());
          if (!held.contains(seen)) {
            judge.violation(
                "C1: n" + index + " says that " + key + " is " + seen + "; it held " + held);
          }
        });
  }

  private void write() {
    int index = random.nextInt(cluster.size());
    if (!cluster.runs(index)) {
      return;
    }
    String key = key();
    int what = random.nextInt(10);
    perform(
        index,
        node -> {
          if (what < 7) {
            publish(node, key);
          } else if (what < 9) {
            judge.want(Judge.deletion(bucket, key));
            node.files().delete(BUCKET, key, WriteConditions.NONE);
          } else {
            rename(node, key, key());
          }
        });
  }

  private void publish(Node node, String key) {
    var version = new History.Version(nextVersion++, random.nextLong(), random.nextLong(1, 2_000));
    var bytes = new Synthetic(version.seed(), 0, (int) version.lengthBytes());
    if (!judge.history().intend(version, bytes.crc32c())) {
      return;
    }
    try (BodyWriter<ObjectInfo> body = node.files().create(BUCKET, key, WriteOptions.DEFAULT)) {
      body.write(bytes);
      body.publish(Optional.empty());
    }
  }

  /** Past the file service, which looks at the target afterwards: the answer is all there is. */
  private void rename(Node node, String from, String to) {
    if (!from.equals(to)) {
      judge.want(Judge.renaming(bucket, from, to));
      node.plane()
          .namespace(
              new NamespaceCommand.Rename(
                  bucket, from, to, new FlushPolicy(FlushMode.CACHE_ONLY, 0, 2_000)));
    }
  }

  private void perform(int index, Consumer<Node> action) {
    operations++;
    if (in(index, action).isEmpty()) {
      acknowledged++;
    }
  }

  private Optional<ForebayException> in(int index, Consumer<Node> action) {
    var ended = new Outcome<Boolean>(client);
    Node node = cluster.node(index);
    cluster
        .env(index)
        .spawn(
            "client",
            () -> {
              try {
                action.accept(node);
                ended.complete(true);
              } catch (ForebayException failure) {
                ended.fail(failure);
              } finally {
                ended.fail(new ForebayException(ErrorCode.PEER_UNREACHABLE, "the node died"));
              }
            });
    if (!ended.awaitUntil(world.nanoTime() + OPERATION_NANOS)) {
      judge.violation("liveness: an operation at n" + index + " does not end");
      return Optional.of(new ForebayException(ErrorCode.TIMEOUT, "does not end"));
    }
    return ended.failure().map(ForebayException::wrap);
  }

  // Faults: one at a time, mostly at the leader.

  private void breakThings() {
    while (!over) {
      client.sleep(random.nextLong(SECOND / 5, 3 * SECOND));
      if (!over) {
        hurt(Fault.values()[random.nextInt(Fault.values().length)]);
      }
    }
  }

  /** A process that stops for a moment sees what came meanwhile in any order. */
  private void hiccups() {
    while (!over) {
      client.sleep(random.nextLong(SECOND / 5));
      SimEnv env = cluster.env(random.nextInt(cluster.size()));
      if (!env.killed() && !env.paused()) {
        env.pause();
        client.sleep(random.nextLong(40 * MILLI));
        env.resume();
      }
    }
  }

  private void hurt(Fault fault) {
    SimLog log = cluster.logs().get(1);
    int victim = random.nextInt(cluster.size());
    if (random.nextInt(4) != 0) {
      victim =
          log.leader().map(leader -> Integer.parseInt(leader.name().substring(1))).orElse(victim);
    }
    long lasts = random.nextLong(SECOND / 20, 4 * SECOND);
    faults.merge(fault.name().toLowerCase(Locale.ROOT), 1L, Long::sum);
    world
        .log()
        .add(
            world.nanoTime(),
            "FAULT " + fault + " at n" + victim + " for " + lasts / MILLI + " ms");
    switch (fault) {
      case KILL -> {
        fromMemory += cluster.node(victim).status().leases().hits();
        cluster.kill(victim);
        client.sleep(lasts);
        cluster.restart(victim);
      }
      case PAUSE -> {
        cluster.env(victim).pause();
        client.sleep(lasts);
        cluster.env(victim).resume();
      }
      case SUSPEND -> {
        cluster.env(victim).suspend();
        client.sleep(lasts);
        cluster.env(victim).resume();
      }
      case CUT_OFF, DEAF, MUTE -> {
        cut(fault, victim, true);
        client.sleep(lasts);
        cut(fault, victim, false);
      }
      case SLOW_NODE -> {
        cluster.links().slow(SimCluster.name(victim), 1 << random.nextInt(3, 11));
        client.sleep(lasts);
        cluster.links().slow(SimCluster.name(victim), 1);
      }
      case NO_LEADER -> log.depose(random.nextLong(SECOND));
      case SLOW_LOG -> log.slow(lasts);
    }
  }

  private void cut(Fault fault, int victim, boolean on) {
    for (int other = 0; other < cluster.size(); other++) {
      if (other != victim && fault != Fault.DEAF) {
        cluster.cut(victim, other, on);
      }
      if (other != victim && fault != Fault.MUTE) {
        cluster.cut(other, victim, on);
      }
    }
  }
}
