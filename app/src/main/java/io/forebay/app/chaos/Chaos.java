package io.forebay.app.chaos;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Progress;
import io.forebay.app.demo.DemoStore;
import io.forebay.app.demo.StoreContents;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.WriteConditions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

/**
 * One cluster, on which seeds run one after another, so that its history is part of a failure. Each
 * seed: clients write and read while faults come; all is mended; every key is read through every
 * node, and the clients' history is judged; sometimes once more without one of the nodes; the store
 * is compared. One object of each seed stays for some more, the others make room. Used by one
 * thread.
 */
final class Chaos implements AutoCloseable {
  private static final int COPIES = 2;
  private static final int CHUNK_BYTES = 4 << 20;
  private static final long FLUSH_DELAY_MILLIS = 1_000;
  private static final long READ_GRACE_MILLIS = 1_000;
  private static final int MOST_KEPT = 16;
  private static final long WATCH_MILLIS = 100;
  private static final long DUMP_MILLIS = 3_000;
  private static final long FLUSH_LOOK_NANOS = 2_000_000_000L;
  // Three times as long as an attempt may be unresolved whose answer did not come (150 s).
  private static final long FLUSH_NANOS = 450_000_000_000L;

  /** Who the clients are. */
  enum Client {
    WIRE,
    BOTO3
  }

  /**
   * How a run is wanted.
   *
   * @param store none, dir or azurite
   * @param mostStallMillis the longest that a write may stand while all is there that it needs
   * @param hardware what can be done to the nodes
   * @param durability of the bucket
   */
  record Plan(
      int nodes,
      String store,
      Client client,
      long mostStallMillis,
      Machines.Hardware hardware,
      Durability durability) {
    /** Of an object. */
    int mostBytes() {
      // Above 8 MiB an object goes to the store in blocks. Where blocks of a flush that was cut off
      // are left, Azurite (3.37) refuses a conditional PUT of a shorter object for good, although
      // its HEAD finds nothing: that says nothing about Forebay.
      return store.equals("azurite") ? 8_000_000 : 20_000_000;
    }
  }

  /** What goes on from one cluster of a run to the next. */
  static final class Sum implements AutoCloseable {
    final Faults.Tally faults = new Faults.Tally();
    final Stalls stalls = new Stalls();
    final AtomicLong tags = new AtomicLong();
    long operations;
    long acknowledged;
    long lost;

    @Override
    public void close() {
      stalls.close();
    }
  }

  private final Plan plan;
  private final Sum sum;
  private final Story story;
  private final Machines machines;
  private final Faults faults;
  // The steady client's, which reads in the end, too; and the wanderer's.
  private final Door steady;
  private final Door wanderer;
  // Objects of older seeds, the oldest first.
  private final Map<String, Long> kept = new LinkedHashMap<>();
  // Of all seeds: what was not acknowledged may come at any time.
  private final SortedSet<String> uncertain = new TreeSet<>();

  /**
   * Starts a cluster.
   *
   * @param root for all that is written; there, and empty
   */
  Chaos(Plan plan, Path root, Sum sum) throws IOException {
    this.plan = plan;
    this.sum = sum;
    this.story = new Story(root.resolve("story"));
    this.machines = new Machines(root, plan.nodes(), plan.store(), plan.hardware());
    this.faults = new Faults(machines, plan.durability(), sum.stalls, story, sum.faults);
    try {
      this.steady = door(root);
      this.wanderer = door(root);
      makeBucket();
    } catch (IOException | RuntimeException failure) {
      machines.close();
      throw failure;
    }
  }

  private Door door(Path root) throws IOException {
    return switch (plan.client()) {
      case WIRE -> new WireDoor(machines);
      case BOTO3 -> Boto3Door.start(machines, root);
    };
  }

  private void makeBucket() {
    String url = machines.store().map(DemoStore::url).orElse("");
    var plain = BucketSpec.of(Machines.BUCKET, new Family(COPIES, COPIES, plan.durability()), url);
    try (Connection connection = machines.connect(0)) {
      connection
          .files()
          .createBucket(
              new BucketSpec(
                  plain.name(),
                  plain.family(),
                  plain.storeUrl(),
                  plain.mode(),
                  List.of(),
                  CHUNK_BYTES,
                  FLUSH_DELAY_MILLIS,
                  READ_GRACE_MILLIS));
    }
    machines.awaitWhole("when the bucket was made");
  }

  /** The faults that can be made here. */
  List<Fault> kinds() {
    return faults.kinds();
  }

  /** Runs a seed. What it throws is what was wrong, and ends this cluster. */
  void run(long seed, Progress progress) throws Exception {
    var random = new SplittableRandom(seed);
    int spared = random.nextInt(machines.count());
    var history = new History();
    story.say("seed %d: %s is spared", seed, machines.name(spared));
    sum.stalls.begin();
    try {
      write(seed, spared, random, history, progress);
      mended(seed, spared, random, history);
      // Last, for it says nothing about what is stored.
      if (!Faults.isOverlapping(seed)) {
        requireNoLongStall();
      }
    } finally {
      sum.operations += history.operations();
      sum.acknowledged += history.acknowledged();
    }
    progress.note(
        "%d operations, longest stall %s"
            .formatted(
                history.operations(),
                sum.stalls.longest().map(Stalls.Stall::words).orElse("none")));
  }

  private void requireNoLongStall() {
    Optional<Stalls.Stall> longest = sum.stalls.longestBounded();
    if (longest.isPresent() && longest.get().millis() > plan.mostStallMillis()) {
      throw new Violation("a write stood for " + longest.get().words());
    }
  }

  /** Clients write and read until the last fault is over. */
  private void write(
      long seed, int spared, SplittableRandom random, History history, Progress progress)
      throws Exception {
    var workload =
        new Workload(
            seed, spared, plan.mostBytes(), machines, history, sum.stalls, story, sum.tags);
    SplittableRandom ofFaults = random.split();
    SplittableRandom ofSteady = random.split();
    SplittableRandom ofWanderer = random.split();
    var tasks = new ArrayList<Future<?>>();
    try (ExecutorService threads =
        Executors.newThreadPerTaskExecutor(
            Thread.ofPlatform().daemon(true).name("chaos").factory())) {
      try {
        tasks.add(
            threads.submit(() -> {
              workload.steady(steady, ofSteady);
              return true;
            }));
        tasks.add(
            threads.submit(() -> {
              workload.wander(wanderer, ofWanderer);
              return true;
            }));
        tasks.add(
            threads.submit(() -> {
              faults.make(seed, spared, ofFaults);
              return true;
            }));
        watch(seed, workload, tasks, progress);
      } finally {
        workload.end();
      }
    }
    for (Future<?> task : tasks) {
      try {
        task.get();
      } catch (ExecutionException failure) {
        throw failure.getCause() instanceof Exception cause ? cause : failure;
      }
    }
  }

  /** Until one of the tasks has ended: the faults are over, or something is wrong. */
  private void watch(long seed, Workload workload, List<Future<?>> tasks, Progress progress)
      throws IOException, InterruptedException {
    long told = 0;
    boolean dumped = false;
    while (tasks.stream().noneMatch(Future::isDone)) {
      Thread.sleep(WATCH_MILLIS);
      long written = workload.writtenBytes();
      progress.add(written - told);
      told = written;
      progress.note(story.lastSaid());
      if (!dumped && sum.stalls.underWayMillis() > DUMP_MILLIS) {
        dumped = true;
        story.tell(
            "a step takes long: the stacks are in %s-...", machines.dumpThreads("seed-" + seed));
      }
    }
  }

  private void mended(long seed, int spared, SplittableRandom random, History history)
      throws IOException {
    story.say("mending");
    machines.awaitWhole("after seed " + seed);
    machines.requireCleanLogs();
    story.say("checking");
    giveUpLost(spared, history);
    SortedMap<String, Long> values = readThrough(all(), history);
    // At full strength any one node is dispensable.
    int without = random.nextInt(2 * machines.count());
    if (without < machines.count()) {
      story.say("kill -9 %s; the others are read", machines.name(without));
      machines.kill(List.of(without));
      values = readThrough(all().stream().filter(node -> node != without).toList(), history);
      machines.start(List.of(without));
      machines.awaitWhole("when " + machines.name(without) + " is back");
    }
    if (machines.store().isPresent()) {
      story.say("comparing with the store");
      compareStore(machines.store().get(), spared, values, history);
    }
    forget(spared, values, history);
    machines.requireAlive();
    machines.requireCleanLogs();
    story.say("seed %d is done", seed);
  }

  /**
   * What was acknowledged before the last cut of all power under {@code replicated} may be lost.
   * What is, is named so through every node, and given up.
   */
  private void giveUpLost(int spared, History history) {
    OptionalLong lossy = faults.lossyNanos();
    if (lossy.isEmpty()) {
      return;
    }
    requireAtomic(history);
    SortedSet<String> old = history.keysAsBefore(lossy.getAsLong());
    old.addAll(kept.keySet());
    for (String key : old) {
      List<Integer> without = all().stream().filter(node -> isLost(node, key)).toList();
      if (without.size() == machines.count()) {
        story.tell("%s is lost, and named so", key);
        sum.lost++;
        try (Connection connection = machines.connect(spared)) {
          delete(connection, key);
        }
        kept.remove(key);
        history.giveUp(key);
      } else if (!without.isEmpty()) {
        throw new Violation(key + " is lost through the nodes " + without + " only");
      }
    }
  }

  private boolean isLost(int node, String key) {
    try {
      steady.get(node, key);
      return false;
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CHUNK_ABSENT) {
        return true;
      }
      throw new Violation(
          "%s cannot be read through %s: %s".formatted(key, machines.name(node), failure), failure);
    }
  }

  private List<Integer> all() {
    return IntStream.range(0, machines.count()).boxed().toList();
  }

  /** Reads everything through some nodes and judges what is known by then; the newest values. */
  private SortedMap<String, Long> readThrough(List<Integer> nodes, History history) {
    var values = new TreeMap<String, Long>();
    SortedSet<String> keys = history.keys();
    for (int node : nodes) {
      for (String key : keys) {
        values.put(key, read(node, key, history));
      }
      kept.forEach((key, value) -> {
        if (read(node, key) != value) {
          throw new Violation(
              "%s is not value %d any more, read through %s"
                  .formatted(key, value, machines.name(node)));
        }
      });
    }
    requireAtomic(history);
    values.values().removeIf(value -> value == History.ABSENT);
    return values;
  }

  private static void requireAtomic(History history) {
    List<String> violations = history.violations();
    if (!violations.isEmpty()) {
      throw new Violation(String.join("\n", violations));
    }
  }

  private long read(int node, String key, History history) {
    long begun = System.nanoTime();
    long value = read(node, key);
    history.read(key, value, machines.name(node), begun, System.nanoTime());
    return value;
  }

  private long read(int node, String key) {
    try {
      return steady.get(node, key);
    } catch (ForebayException failure) {
      throw new Violation(
          "%s cannot be read through %s: %s".formatted(key, machines.name(node), failure), failure);
    }
  }

  private void compareStore(
      DemoStore store, int node, SortedMap<String, Long> values, History history)
      throws IOException {
    awaitFlushed(node);
    var wanted = new TreeMap<>(kept);
    wanted.putAll(values);
    try (StoreContents contents = store.contents()) {
      for (Map.Entry<String, Long> entry : wanted.entrySet()) {
        String key = entry.getKey();
        var content = new ByteArrayOutputStream();
        if (!contents.copy(Machines.BUCKET + "/" + key, content)) {
          throw new Violation("the store lacks " + key + ", and all is said to be there");
        }
        long found = Tagged.tag(content.toByteArray(), key + " in the store");
        // What was not acknowledged may have come since it was read; the history says whether.
        if (found != entry.getValue()
            && (kept.containsKey(key) || found != read(node, key, history))) {
          throw new Violation(
              "the store has value %d of %s, and %d is published"
                  .formatted(found, key, entry.getValue()));
        }
      }
    }
    requireAtomic(history);
  }

  private void awaitFlushed(int node) {
    long deadline = System.nanoTime() + FLUSH_NANOS;
    try (Connection connection = machines.connect(node)) {
      FlushReport report = connection.files().flush(Machines.BUCKET, "", FLUSH_LOOK_NANOS);
      while (!report.complete() && System.nanoTime() - deadline < 0) {
        report = connection.files().flush(Machines.BUCKET, "", FLUSH_LOOK_NANOS);
      }
      if (!report.complete()) {
        throw new Violation(
            "%d objects are not in the store after 450 s: %s"
                .formatted(report.waiting(), report.troubled()));
      }
    }
  }

  /** One object of a seed stays, so that later faults may have it. */
  private void forget(int node, SortedMap<String, Long> values, History history) {
    uncertain.addAll(history.uncertainKeys());
    try (Connection connection = machines.connect(node)) {
      Optional<String> stays =
          values.keySet().stream().filter(key -> !uncertain.contains(key)).findFirst();
      values.forEach((key, value) -> {
        if (!stays.equals(Optional.of(key))) {
          delete(connection, key);
        } else {
          kept.put(key, value);
        }
      });
      if (kept.size() > MOST_KEPT) {
        String oldest = kept.keySet().iterator().next();
        kept.remove(oldest);
        delete(connection, oldest);
      }
      var listed = new TreeSet<String>();
      for (ObjectInfo object :
          connection
              .files()
              .list(Machines.BUCKET, new ListQuery("", "", "", ListQuery.MAX))
              .objects()) {
        listed.add(object.key());
      }
      listed.removeIf(key -> uncertain.contains(key) && !kept.containsKey(key));
      if (!listed.equals(new TreeSet<>(kept.keySet()))) {
        throw new Violation("listed are " + listed + ", and there are " + kept.keySet());
      }
    }
  }

  private static void delete(Connection connection, String key) {
    if (!connection.files().delete(Machines.BUCKET, key, WriteConditions.NONE)) {
      throw new Violation(key + " was not there when it was deleted");
    }
  }

  @Override
  public void close() {
    steady.close();
    wanderer.close();
    machines.close();
  }
}
