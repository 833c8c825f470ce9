package io.forebay.sim.cluster;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Balance;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.StoreConflict;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.UploadId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.node.Node;
import io.forebay.sim.log.SimLog;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/**
 * Clients publish, overwrite, copy, rename, delete and read through random nodes while nodes,
 * disks, links and the log fail and return; every now and then everything is mended, and then all
 * must be well again within a bound.
 *
 * <p>With a store, one of the buckets lies before it, and somebody else writes there, too. Then the
 * store must end up with all that was published, and disks may lose what it has. Below one of its
 * prefixes a trainer writes checkpoints, which are kept by a policy.
 *
 * <p>Where nodes join, the others' disks are nearly full before, of what no store has. Then so much
 * must move that none is much fuller than another.
 */
public final class Checkpoint {
  /**
   * How a run is to be.
   *
   * @param operations about how many there are to be
   */
  public record Plan(long seed, int nodes, int operations) {}

  /**
   * What a run did.
   *
   * @param operations asked of nodes that ran
   * @param acknowledged those that succeeded
   * @param checks single looks at what must hold
   * @param fromMemory reads that a directory lease answered
   * @param faults by kind
   * @param figures what the scenario measured, by name
   * @param scene what had happened when the first promise was broken
   */
  public record Report(
      long seed,
      long digest,
      long operations,
      long acknowledged,
      long checks,
      long messages,
      long fromMemory,
      Map<String, Long> faults,
      Map<String, Double> figures,
      long simulatedNanos,
      List<String> violations,
      List<String> scene) {}

  private static final long SECOND = 1_000_000_000L;
  private static final long MILLI = 1_000_000L;
  private static final int CLIENTS = 6;
  // What a writer is told only when the log has nothing of it.
  private static final Set<ErrorCode> REFUSALS =
      EnumSet.of(ErrorCode.PRECONDITION_FAILED, ErrorCode.QUOTA_EXCEEDED);
  private static final int ROUNDS = 3;
  private static final int KEYS = 20;
  private static final long WRITE_MEMORY_BYTES = SimCluster.WRITE_MEMORY_BYTES;
  // A writer gives up after 30 s, each of its commands after 15 s, and nobody is paused for longer
  // than 20 s.
  private static final long OPERATION_NANOS = 180 * SECOND;
  private static final int SETTLE_SECONDS = 600;
  // By then all that does not wait for other objects in a circle is flushed.
  private static final int PATIENCE_SECONDS = 200;
  // What others write too: never copied, for a copy's source must not be theirs to destroy.
  private static final String SHARED = "f/";
  private static final String THROUGH = "k3/";
  // Directories that get each other's names.
  private static final String MOVED = "m";
  private static final String TRAINED = "c/";
  private static final String MARKER = "done";
  // Where nodes join: what the disks hold before, in objects of a chunk each.
  private static final long JOINED_CAPACITY_BYTES = 48L << 20;
  private static final int JOINED_GROUPS_PER_VOLUME = 8;
  private static final double JOINED_FILL = 0.7;
  private static final int CHUNK_BYTES = 1 << 20;
  private static final String FILLING = "b/";

  /**
   * @param backed whether there is a store behind it
   */
  private record Place(String bucket, BucketId id, boolean backed) {}

  /** Something that a client does, in a process, with a node's files. */
  @FunctionalInterface
  private interface Act {
    void run(SimEnv env, FileService files);
  }

  private final Plan plan;
  private final SimWorld world;
  private final SimEnv client;
  private final RandomGenerator random;
  private final Judge judge;
  private final Optional<SimStore> store;
  private final SimCluster cluster;
  private final Faults faults;
  private final Operators operators;
  private final boolean joins;
  private final List<Place> places = new ArrayList<>();
  private final Map<String, Double> figures = new TreeMap<>();
  private final Map<String, Long> failures = new TreeMap<>();
  private long nextVersion = 1;
  private long nextUpload = 1;
  private long nextStep = 1;
  private long operations;
  private long acknowledged;
  private boolean done;

  private Checkpoint(Plan plan, boolean backed, boolean joins) {
    this.plan = plan;
    this.joins = joins;
    world = new SimWorld(plan.seed());
    client = world.env("client");
    random = world.stream("scenario");
    judge = new Judge(world, joins ? JOINED_GROUPS_PER_VOLUME : SimCluster.GROUPS_PER_VOLUME);
    int voters = plan.nodes() < 3 || random.nextInt(4) == 0 ? 1 : 3;
    store = backed ? Optional.of(new SimStore(world, judge)) : Optional.empty();
    cluster =
        joins
            ? new SimCluster(
                world, plan.nodes(), voters, judge, JOINED_CAPACITY_BYTES, SimCluster.GRACE_MILLIS)
            : new SimCluster(world, plan.nodes(), voters, judge, LeaseSettings.OFF, store);
    int atOnce = random.nextInt(10) == 0 ? plan.nodes() : random.nextInt(1, 4);
    faults = new Faults(world, client, cluster, judge, Math.min(atOnce, plan.nodes()));
    operators = new Operators(world, client, cluster, judge, faults);
  }

  /** Runs one seed to its end. */
  public static Report run(Plan plan) {
    return run(new Checkpoint(plan, false, false));
  }

  /** The same with a store. */
  public static Report runWithStore(Plan plan) {
    return run(new Checkpoint(plan, true, false));
  }

  /** The same with disks that are nearly full, and nodes that join. */
  public static Report runWithJoins(Plan plan) {
    return run(new Checkpoint(plan, false, true));
  }

  private static Report run(Checkpoint scenario) {
    scenario.client.spawn("scenario", scenario::play);
    try {
      scenario.world.run(3_600 * SECOND);
    } catch (IllegalStateException failure) {
      scenario.judge.violation("a thread ended with " + failure.getMessage());
    }
    if (!scenario.done && scenario.judge.violations().isEmpty()) {
      scenario.judge.violation("the scenario did not end in an hour");
    }
    return new Report(
        scenario.plan.seed(),
        scenario.world.log().digest(),
        scenario.operations,
        scenario.acknowledged,
        scenario.judge.checks(),
        scenario.cluster.links().messages(),
        0,
        scenario.faults.counts(),
        scenario.figures,
        scenario.world.nanoTime(),
        List.copyOf(scenario.judge.violations()),
        scenario.judge.scene());
  }

  private void play() {
    await("all nodes register", 60, () -> judge.image().volumes().size() == cluster.size());
    need(node -> node.plane().cluster(new ClusterCommand.Initialize("c1")));
    Durability durability = random.nextBoolean() ? Durability.SYNCED : Durability.REPLICATED;
    if (store.isPresent()) {
      bucket("backed", new Family(2, 2, durability), SimStore.URL);
      PrefixPolicy policy = policy();
      need(node -> node.files().setPolicies("backed", List.of(policy)));
    } else {
      bucket("wide", new Family(3, 2, Durability.REPLICATED), "");
    }
    bucket("narrow", new Family(2, 2, durability), "");
    if (joins) {
      fill();
    }
    client.spawn(
        "audit",
        () -> {
          while (!done) {
            client.sleep(10 * SECOND);
            judge.audit();
          }
        });
    for (int round = 1; round <= ROUNDS && sound(); round++) {
      long until = operations + plan.operations() / ROUNDS;
      faults.begin();
      operators.begin();
      store.ifPresent(behind -> client.spawn("others", () -> disturb(behind, until)));
      var clients = new ArrayList<Outcome<Boolean>>();
      for (int i = 0; i < CLIENTS; i++) {
        clients.add(
            spawn(
                "client",
                () -> {
                  while (sound() && operations < until) {
                    client.sleep(random.nextLong(150 * MILLI));
                    operation();
                  }
                }));
      }
      if (store.isPresent()) {
        clients.add(spawn("trainer", () -> train(places.getFirst(), until)));
      }
      if (joins && round == 1) {
        join();
      }
      clients.forEach(Outcome::await);
      if (sound()) {
        calm(round == ROUNDS);
      }
    }
    if (joins) {
      figures.put("moves", (double) judge.moves());
    }
    done = true;
    cluster.logs().forEach(SimLog::close);
    world.stop();
  }

  /** Returns when it ends. */
  private Outcome<Boolean> spawn(String name, Runnable body) {
    var end = new Outcome<Boolean>(client);
    client.spawn(
        name,
        () -> {
          try {
            body.run();
          } finally {
            end.complete(true);
          }
        });
    return end;
  }

  private boolean sound() {
    return judge.violations().isEmpty();
  }

  private void bucket(String name, Family family, String storeUrl) {
    boolean backed = !storeUrl.isEmpty();
    var spec =
        new BucketSpec(
            name,
            family,
            storeUrl,
            backed ? FlushMode.BACK : FlushMode.CACHE_ONLY,
            backed
                ? List.of(
                    new Bucket.PrefixMode(THROUGH, FlushMode.THROUGH),
                    new Bucket.PrefixMode(TRAINED, FlushMode.CACHE_ONLY))
                : List.of(),
            CHUNK_BYTES,
            500 /* ms to flush */,
            2_000 /* ms to read */);
    need(node -> places.add(new Place(name, node.files().createBucket(spec).id(), backed)));
  }

  /** Fills the disks with what stays. */
  private void fill() {
    for (int i = 0; fills().getAverage() < JOINED_FILL && sound(); i++) {
      write(i % cluster.size(), places.get(i % places.size()), FILLING + i, version(CHUNK_BYTES));
    }
  }

  /** One or two nodes join, whatever is broken just then. */
  private void join() {
    for (int more = random.nextInt(1, 3); more > 0; more--) {
      client.sleep(random.nextLong(5 * SECOND));
      world.log().add(world.nanoTime(), "n" + cluster.size() + " joins");
      cluster.join();
      faults.count("join");
    }
    figures.put("gapBefore", gap());
  }

  /** How full the disks are, of what has to be kept. */
  private DoubleSummaryStatistics fills() {
    return judge.pinned().values().stream()
        .mapToLong(groups -> groups.values().stream().mapToLong(Long::longValue).sum())
        .mapToDouble(bytes -> (double) bytes / JOINED_CAPACITY_BYTES)
        .summaryStatistics();
  }

  /** How much fuller the fullest disk is than the emptiest one. */
  private double gap() {
    return fills().getMax() - fills().getMin();
  }

  /** Whether nothing is left to move, and nothing moves. */
  private boolean balanced() {
    return whole() && Balance.next(judge.image(), judge.pinned(), Set.of()).isEmpty();
  }

  /** Somebody else writes and deletes in the store until so many operations were asked for. */
  private void disturb(SimStore behind, long until) {
    while (true) {
      client.sleep(random.nextLong(5 * SECOND));
      if (operations >= until || !sound()) {
        return;
      }
      Place place = places.getFirst();
      String key = place.bucket() + "/" + shared();
      if (random.nextInt(3) > 0) {
        faults.count("foreign_write");
        behind.theyWrite(key, version());
      } else {
        faults.count("foreign_delete");
        behind.theyDelete(key);
      }
    }
  }

  private PrefixPolicy policy() {
    return new PrefixPolicy(
        TRAINED,
        MARKER,
        random.nextInt(1, 4),
        random.nextInt(4),
        random.nextBoolean() ? 45_000 /* ms to live */ : 0);
  }

  /** A trainer writes checkpoints, one after the other; one of which a file fails is given up. */
  private void train(Place place, long until) {
    while (operations < until && sound()) {
      client.sleep(random.nextLong(SECOND));
      String directory = TRAINED + nextStep++ + "/";
      boolean written =
          file(place, directory + "0", false)
              && file(place, directory + "1/1", random.nextBoolean())
              && file(place, directory + MARKER, false);
      int node = random.nextInt(cluster.size());
      if (written && cluster.runs(node)) {
        read(node, place, directory + "0", false);
      }
    }
  }

  private boolean file(Place place, String key, boolean uploaded) {
    int node = random.nextInt(cluster.size());
    return cluster.runs(node) && (uploaded ? upload(node, place, key) : write(node, place, key));
  }

  /** At the beginning, when nothing is broken. */
  private void need(Consumer<Node> action) {
    in(0, () -> action.accept(cluster.node(0)))
        .ifPresent(failure -> judge.violation("setting up failed: " + failure));
  }

  // Calm: everything is mended, so everything must become well.

  private void calm(boolean last) {
    faults.end();
    operators.end();
    await("an end of all faults", 60, faults::ended);
    cluster.links().mend();
    for (int i = 0; i < cluster.size(); i++) {
      cluster.disk(i).full(false);
    }
    if (!await("operators have what they changed as it was", 180, operators::undone)
        || !await("full strength", 180, this::whole)) {
      return;
    }
    if (joins) {
      if (!await("no disk is much fuller than another", 600, this::balanced)) {
        return;
      }
      figures.putIfAbsent("gapAfter", gap());
    }
    if (!await("every node knows the cluster as it is", 60, cluster::allKnow)) {
      return;
    }
    if (!await("every damaged copy is good again", 120, () -> judge.damaged().isEmpty())) {
      return;
    }
    for (int i = 0; i < cluster.size(); i++) {
      // Scrubbing must find what rots, and never what the rules should have kept.
      if (cluster.node(i).status().repair().lostChunks() > 0) {
        judge.violation("n" + i + " was in sync and lacked what was owed, until it was repaired");
      }
    }
    judge.audit();
    if (store.isPresent() && !(retained() && settle(store.get().judge()))) {
      return;
    }
    for (Place place : places) {
      for (String key : judge.history().keys(place.id())) {
        read(random.nextInt(cluster.size()), place, key, true);
      }
    }
    for (Place place : places) {
      await("the use of " + place.bucket() + " is what it holds", 60, () -> counted(place));
    }
    if (last && store.isPresent() && sound()) {
      empty(places.getFirst(), store.get().judge());
    }
    if (last && sound()) {
      await("nothing left of what nobody needs", 90, () -> judge.leftovers().isEmpty());
      // Of clients that died, a node keeps handles for ten minutes.
      await("all memory of readers and writers is given back", 660, this::allGivenBack);
    }
  }

  /** Policies are carried out. */
  private boolean retained() {
    boolean carriedOut =
        await(
            "checkpoints are as their policy says",
            SETTLE_SECONDS,
            () -> judge.policies().overdue().isEmpty());
    if (carriedOut) {
      judge.policies().checkTurns();
    }
    return carriedOut;
  }

  /** All is flushed, as users decide where others wrote; then no disk needs what the store has. */
  private boolean settle(StoreJudge judged) {
    Place place = places.getFirst();
    if (random.nextBoolean()) {
      perform(
          random.nextInt(cluster.size()),
          "all is flushed now",
          (env, files) -> files.flush(place.bucket(), "", 0));
    }
    long began = world.nanoTime();
    boolean settled =
        await(
            "all is in the store",
            SETTLE_SECONDS,
            () -> {
              int node = random.nextInt(cluster.size());
              decide(node, place);
              judged.disturbed(place.id()).forEach(key -> write(node, place, key));
              if (world.nanoTime() - began > PATIENCE_SECONDS * SECOND) {
                circles(node, place);
              }
              List<String> left = judged.unsettled();
              if (!left.isEmpty()) {
                client.sleep(SECOND);
              }
              return left.isEmpty();
            });
    if (!settled) {
      judge.violation("not in the store: " + judged.unsettled().stream().limit(5).toList());
      return false;
    }
    judge.audit();
    for (int i = 0; i < cluster.size(); i++) {
      long bugs = cluster.flusher(i).counters().getOrDefault("unexpectedFailures", 0L);
      if (bugs > 0) {
        judge.violation("the flusher of n" + i + " met what it did not expect, " + bugs + " times");
      }
      if (random.nextInt(4) > 0) {
        evict(i);
      }
    }
    return true;
  }

  /** Everything goes, from the store too, and then the bucket. */
  private void empty(Place place, StoreJudge judged) {
    perform(
        random.nextInt(cluster.size()),
        place.bucket() + " has no policies any more",
        (env, files) -> files.setPolicies(place.bucket(), List.of()));
    for (String key : judge.history().keys(place.id())) {
      delete(random.nextInt(cluster.size()), place, key);
    }
    if (settle(judged)) {
      await(
          "the bucket is deleted",
          200,
          () -> {
            perform(
                random.nextInt(cluster.size()),
                place.bucket() + " is deleted",
                (env, files) -> files.deleteBucket(place.bucket()));
            return judge.image().bucket(place.bucket()).isEmpty();
          });
    }
  }

  /** Takes from a disk whatever may be evicted. */
  private void evict(int node) {
    in(node, () -> cluster.volume(node).delete(judge.clean(judge.idOf(cluster.disk(node)))))
        .ifPresent(failure -> judge.violation("evicting failed: " + failure));
  }

  /** Says keep or take about each conflict. */
  private void decide(int index, Place place) {
    perform(
        index,
        place.bucket() + " is decided about",
        (env, files) -> {
          for (StoreConflict each : files.conflicts(place.bucket())) {
            files.resolveConflict(
                place.bucket(),
                each.key(),
                random.nextBoolean()
                    ? StoreConflict.Resolution.KEEP
                    : StoreConflict.Resolution.TAKE,
                each.generation(),
                each.storeEtag());
          }
        });
  }

  /** Objects that changed names wait for each other until one of them is written anew (F6). */
  private void circles(int index, Place place) {
    var waiting = new ArrayList<String>();
    perform(
        index,
        place.bucket() + " is looked at",
        (env, files) ->
            files.flushStatus(place.bucket(), "").troubled().stream()
                .filter(trouble -> trouble.reason().startsWith("other objects"))
                .forEach(trouble -> waiting.add(trouble.key())));
    waiting.stream().limit(1).forEach(key -> write(index, place, key));
  }

  /** Whether what counts for the quota is what objects and parts that are in no store have. */
  private boolean counted(Place place) {
    return judge.use(place.id()).heldBytes()
        == judge.heldBytes(place.id()) + judge.partBytes(place.id());
  }

  private boolean allGivenBack() {
    for (int i = 0; i < cluster.size(); i++) {
      var status = cluster.node(i).status();
      if (status.writeMemoryFreeBytes() != WRITE_MEMORY_BYTES
          || status.readSlicesFree() != SimCluster.READ_SLICES) {
        return false;
      }
    }
    return true;
  }

  private boolean whole() {
    return judge.image().groups().stream().allMatch(Checkpoint::whole);
  }

  private static boolean whole(Group group) {
    return !group.reviving()
        && group.members().size() == group.family().replicas()
        && group.in(MemberState.IN_SYNC).size() == group.family().replicas();
  }

  private boolean await(String what, int seconds, BooleanSupplier condition) {
    long deadline = world.nanoTime() + seconds * SECOND;
    while (!condition.getAsBoolean()) {
      if (world.nanoTime() >= deadline) {
        judge.violation(
            "liveness: not within "
                + seconds
                + " s: "
                + what
                + "; weak are "
                + judge.image().groups().stream().filter(group -> !whole(group)).toList()
                + "; left over "
                + judge.leftovers().stream().limit(5).toList()
                + "; damaged are "
                + judge.damaged().stream().limit(5).toList()
                + "; checkpoints "
                + judge.policies().overdue().stream().limit(5).toList()
                + "; logs "
                + cluster.logs());
        return false;
      }
      client.sleep(SECOND / 10);
    }
    return true;
  }

  // Operations.

  private void operation() {
    int node = random.nextInt(cluster.size());
    if (!cluster.runs(node)) {
      return;
    }
    Place place = places.get(random.nextInt(places.size()));
    if (place.backed() && random.nextInt(4) == 0) {
      onShared(node, place);
      return;
    }
    String key = key();
    int what = random.nextInt(100);
    if (what < 45) {
      write(node, place, key);
    } else if (what < 82) {
      read(node, place, key, false);
    } else if (what < 90) {
      delete(node, place, key);
    } else if (what < 94) {
      copy(node, place, key, key());
    } else if (what < 95) {
      rename(node, place, key, key());
    } else if (what < 96) {
      if (random.nextBoolean()) {
        int from = random.nextInt(2);
        rename(node, place, MOVED + from + "/", MOVED + (1 - from) + "/");
      } else {
        cross(node, place, key);
      }
    } else if (what < 98) {
      upload(node, place, "u/" + nextUpload++);
    } else {
      look(node, place, key);
    }
  }

  /** What others write, too. */
  private void onShared(int node, Place place) {
    int what = random.nextInt(10);
    if (what < 4) {
      write(node, place, shared());
    } else if (what < 8) {
      read(node, place, shared(), false);
    } else if (what < 9) {
      delete(node, place, shared());
    } else {
      decide(node, place);
    }
  }

  private String shared() {
    return SHARED + random.nextInt(KEYS / 4);
  }

  private String key() {
    return random.nextInt(10) == 0
        ? MOVED + random.nextInt(2) + "/" + random.nextInt(3)
        : "k" + random.nextInt(4) + "/" + random.nextInt(KEYS / 4);
  }

  private History.Version version() {
    int kind = random.nextInt(100);
    long length =
        kind < 10
            ? random.nextLong(1, 2_048)
            : kind < 96 ? random.nextLong(2_050, 40_000) : random.nextLong(900_000, 2_300_000);
    return version(length);
  }

  private History.Version version(long length) {
    while (true) {
      var version = new History.Version(nextVersion++, random.nextLong(), length);
      if (judge
          .history()
          .intend(version, new Synthetic(version.seed(), 0, (int) length).crc32c())) {
        return version;
      }
    }
  }

  private static void pour(
      SimEnv env, RandomGenerator random, History.Version version, BodyWriter<?> body) {
    // A slow writer's chunk is admitted under one epoch and finished under another; a very slow
    // one's session ends meanwhile.
    int kind = random.nextInt(100);
    long pause =
        kind == 0 ? random.nextLong(15 * SECOND) : kind < 12 ? random.nextLong(1, 3 * SECOND) : 0;
    // The first slice is longer than what lies in a manifest, or is all: slabs of a process do not
    // come to lie on simulated disks that way.
    int slice = version.lengthBytes() > 100_000 ? 1 << 18 : random.nextInt(2_049, 20_000);
    for (long at = 0; at < version.lengthBytes(); at += slice) {
      body.write(
          new Synthetic(version.seed(), at, (int) Math.min(slice, version.lengthBytes() - at)));
      if (pause > 0) {
        env.sleep(pause);
        pause /= 2;
      }
    }
  }

  /** With the length announced or not, and with an MD5 or without. */
  private WriteOptions options(History.Version version, WriteConditions conditions) {
    return new WriteOptions(
        ObjectMetadata.NONE,
        conditions,
        random.nextBoolean() ? OptionalLong.of(version.lengthBytes()) : OptionalLong.empty(),
        random.nextBoolean());
  }

  private boolean write(int index, Place place, String key) {
    return write(index, place, key, version());
  }

  /** Returns whether it was acknowledged. */
  private boolean write(int index, Place place, String key, History.Version version) {
    boolean absent = random.nextInt(12) == 0;
    WriteOptions options = options(version, absent ? WriteConditions.ABSENT : WriteConditions.NONE);
    long began = world.nanoTime();
    Optional<ForebayException> failure =
        perform(
            index,
            place.bucket() + "/" + key + (absent ? " := if absent " : " := ") + version,
            (env, files) -> {
              ObjectInfo info;
              try (BodyWriter<ObjectInfo> body = files.create(place.bucket(), key, options)) {
                pour(env, random, version, body);
                info = body.publish(Optional.empty());
              }
              acknowledge(env, place, key, info, version, began);
              if (absent && judge.history().replaced(place.id(), key, info.generation())) {
                judge.violation("C1: " + key + " was written if absent, and there was one");
              }
            });
    if (failure.filter(each -> REFUSALS.contains(each.code())).isPresent()
        && judge.history().wrote(place.id(), key, version)) {
      judge.violation("C1: the log has " + version + " of " + key + "; refused: " + failure.get());
    }
    return failure.isEmpty();
  }

  private void acknowledge(
      SimEnv env, Place place, String key, ObjectInfo info, History.Version version, long began) {
    env.checkAlive();
    if (place.backed() && key.startsWith(THROUGH)) {
      store.orElseThrow().judge().through(place.id(), key, info.generation());
    }
    if (!judge
        .history()
        .took(place.id(), key, info.generation(), version, began, world.nanoTime())) {
      judge.violation(
          "C1: "
              + key
              + " was acknowledged as "
              + info.generation()
              + " of "
              + version
              + ", which the log does not have");
    }
  }

  private void delete(int index, Place place, String key) {
    boolean together = random.nextInt(4) == 0;
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "/" + key + " deleted",
        (env, files) -> {
          if (together) {
            Optional<ForebayException> refused =
                files.deleteMany(place.bucket(), List.of(key)).getFirst().failure();
            if (refused.isPresent()) {
              throw refused.get();
            }
          } else {
            files.delete(place.bucket(), key, WriteConditions.NONE);
          }
          env.checkAlive();
          if (!judge
              .history()
              .between(place.id(), key, began, world.nanoTime())
              .contains(Optional.<History.Version>empty())) {
            judge.violation("C1: the deletion of " + key + " was acknowledged and did not happen");
          }
        });
  }

  private void copy(int index, Place place, String from, String to) {
    if (from.equals(to)) {
      return;
    }
    perform(
        index,
        place.bucket() + "/" + to + " := copy of " + from,
        (env, files) ->
            files.copy(
                place.bucket(),
                from,
                ReadConditions.NONE,
                place.bucket(),
                to,
                CopyOptions.DEFAULT));
  }

  /** A copy from the other bucket, whose family, and perhaps store, is another one. */
  private void cross(int index, Place to, String key) {
    Place from = places.get(1 - places.indexOf(to));
    String target = History.CROSSED + random.nextInt(KEYS / 4);
    long began = world.nanoTime();
    perform(
        index,
        to.bucket() + "/" + target + " := copy of " + from.bucket() + "/" + key,
        (env, files) -> {
          ObjectInfo made =
              files.copy(
                  from.bucket(),
                  key,
                  ReadConditions.NONE,
                  to.bucket(),
                  target,
                  CopyOptions.DEFAULT);
          env.checkAlive();
          Optional<History.Version> copied = judge.history().of(made.generation().value());
          if (copied.isEmpty()
              || !judge
                  .history()
                  .between(from.id(), key, began, world.nanoTime())
                  .contains(copied)) {
            judge.violation("C1: " + target + " is " + copied + ", which " + key + " never held");
          }
        });
  }

  private void rename(int index, Place place, String from, String to) {
    if (from.equals(to)) {
      return;
    }
    perform(
        index,
        place.bucket() + "/" + from + " renamed to " + to,
        (env, files) -> files.rename(place.bucket(), from, to));
  }

  /** Returns whether it was acknowledged; no key twice. */
  private boolean upload(int index, Place place, String key) {
    History.Version version = version();
    long began = world.nanoTime();
    WriteOptions options = options(version, WriteConditions.NONE);
    // Never what may refer to a store object: left open, it would keep that for a week (F6).
    boolean givesUp = !place.backed() && random.nextInt(4) == 0;
    judge.history().intendUpload(place.id(), key, version);
    return perform(
            index,
            place.bucket() + "/" + key + " uploaded as " + version,
            (env, files) -> {
              UploadId upload = files.createUpload(place.bucket(), key, ObjectMetadata.NONE);
              PartInfo part;
              try (BodyWriter<PartInfo> body =
                  files.createPart(place.bucket(), key, upload, 1, options)) {
                pour(env, random, version, body);
                part = body.publish(Optional.empty());
              }
              if (givesUp) {
                giveUp(files, place, key, upload);
                return;
              }
              ObjectInfo info =
                  files.completeUpload(
                      place.bucket(),
                      key,
                      upload,
                      List.of(new CompletedPart(1, part.etag())),
                      WriteConditions.NONE,
                      OptionalLong.empty());
              acknowledge(env, place, key, info, version, began);
            })
        .isEmpty();
  }

  /** Adds a copied part to an upload, looks at it, and drops it. */
  private void giveUp(FileService files, Place place, String key, UploadId upload) {
    files.copyPart(
        place.bucket(),
        key,
        upload,
        2,
        place.bucket(),
        key(),
        ReadConditions.NONE,
        Optional.empty());
    int parts = files.listParts(place.bucket(), key, upload, 0, 1_000).parts().size();
    if (parts != 2) {
      judge.violation("C1: an upload of " + key + " has " + parts + " parts and not 2");
    }
    files.abortUpload(place.bucket(), key, upload);
  }

  /** Listings and reports. */
  private void look(int index, Place place, String key) {
    switch (random.nextInt(8)) {
      case 0 ->
          perform(
              index,
              place.bucket() + " is asked for uploads",
              (env, files) -> files.listUploads(place.bucket(), "", "", Optional.empty(), 1_000));
      case 1 ->
          perform(
              index,
              place.bucket() + "/" + key + " is asked for its places",
              (env, files) -> files.pathStatus(place.bucket(), key));
      case 2 ->
          perform(
              index,
              place.bucket() + " is asked for its flush",
              (env, files) -> files.flushStatus(place.bucket(), ""));
      case 3 ->
          perform(
              index,
              place.bucket() + "/" + key + " gets a header",
              (env, files) -> {
                ObjectInfo now =
                    files.changeHeaders(place.bucket(), key, Map.of("x-amz-tagging", "a=b"));
                files.partsOf(place.bucket(), key, now.generation(), 0, 1_000);
              });
      case 4 -> directories(index, place);
      default -> list(index, place);
    }
  }

  /** Directories are listed when something below them is there. */
  private void directories(int index, Place place) {
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "'s directories are listed",
        (env, files) -> {
          var found = new TreeSet<String>();
          Optional<String> after = Optional.of("");
          while (after.isPresent()) {
            ListPage page =
                files.list(
                    place.bucket(), new ListQuery("", "/", after.get(), random.nextInt(1, 4)));
            found.addAll(page.commonPrefixes());
            after = page.next();
          }
          env.checkAlive();
          var always = new TreeSet<String>();
          var sometimes = new TreeSet<String>();
          for (String key : judge.history().keys(place.id())) {
            String directory = key.substring(0, key.indexOf('/') + 1);
            List<Long> held = judge.history().generations(place.id(), key, began, world.nanoTime());
            List<Long> markers = markers(place, key, began, held);
            if (!held.contains(0L) && !markers.contains(0L)) {
              always.add(directory);
            }
            if (!held.stream().allMatch(each -> each == 0)
                && !markers.stream().allMatch(each -> each == 0)) {
              sometimes.add(directory);
            }
          }
          if (!found.containsAll(always) || !sometimes.containsAll(found)) {
            judge.violation(
                "C1: "
                    + found
                    + " were listed; there were always "
                    + always
                    + ", and at times "
                    + sometimes);
          }
        });
  }

  /** What the marker of a key's checkpoint held since then; of another key what that held. */
  private List<Long> markers(Place place, String key, long began, List<Long> held) {
    return judge
        .policies()
        .marker(place.id(), key)
        .map(marker -> judge.history().generations(place.id(), marker, began, world.nanoTime()))
        .orElse(held);
  }

  /**
   * A listing shows what each key held at some moment of it; of a checkpoint nothing but while its
   * marker was there.
   */
  private void list(int index, Place place) {
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + " is listed",
        (env, files) -> {
          var found = new TreeMap<String, Long>();
          Optional<String> after = Optional.of("");
          while (after.isPresent()) {
            ListPage page =
                files.list(
                    place.bucket(), new ListQuery("", "", after.get(), random.nextInt(1, 40)));
            page.objects().forEach(each -> found.put(each.key(), each.generation().value()));
            after = page.next();
          }
          env.checkAlive();
          for (String key : judge.history().keys(place.id())) {
            long listed = found.getOrDefault(key, 0L);
            List<Long> held = judge.history().generations(place.id(), key, began, world.nanoTime());
            List<Long> markers = markers(place, key, began, held);
            boolean right =
                listed == 0
                    ? held.contains(0L) || markers.contains(0L)
                    : held.contains(listed) && !markers.stream().allMatch(each -> each == 0);
            if (!right) {
              judge.violation(
                  "C1: "
                      + key
                      + " was listed as "
                      + listed
                      + "; it held "
                      + held
                      + ", the marker "
                      + markers);
            }
          }
        });
  }

  private void read(int index, Place place, String key, boolean mustWork) {
    String what = place.bucket() + "/" + key + " read";
    Optional<ForebayException> failure =
        perform(index, what, (env, files) -> readOne(files, env, place, key));
    if (mustWork && failure.isPresent()) {
      judge.violation(
          what + " at n" + index + " failed while nothing was broken: " + failure.get());
    }
  }

  private void readOne(FileService files, SimEnv env, Place place, String key) {
    long began = world.nanoTime();
    ObjectReader reader;
    try {
      reader = files.open(place.bucket(), key, ReadConditions.NONE);
    } catch (ForebayException failure) {
      env.checkAlive();
      if (failure.code() != ErrorCode.NOT_FOUND) {
        throw failure;
      }
      List<Optional<History.Version>> held =
          judge.history().between(place.id(), key, began, world.nanoTime());
      if (!held.contains(Optional.<History.Version>empty())) {
        judge.violation("C1: " + key + " was not found; it held " + held);
      }
      return;
    }
    try (reader) {
      env.checkAlive();
      List<Optional<History.Version>> held =
          judge.history().between(place.id(), key, began, world.nanoTime());
      long length = reader.info().lengthBytes();
      var matching = new ArrayList<History.Version>();
      for (Optional<History.Version> version : held) {
        version.filter(each -> each.lengthBytes() == length).ifPresent(matching::add);
      }
      for (long at = 0; at < length && sound(); ) {
        Bytes bytes = reader.read(at, (int) Math.min(1 << 18, length - at));
        long from = at;
        int crc = bytes.crc32c();
        int count = bytes.length();
        matching.removeIf(version -> new Synthetic(version.seed(), from, count).crc32c() != crc);
        at += count;
        bytes.release();
      }
      if (matching.isEmpty()) {
        judge.violation("C1: " + key + " was read as " + reader.info() + "; it held " + held);
      }
    }
  }

  /**
   * Counts, tells and bounds one operation on a node's files, from its own process or from another;
   * empty when it succeeded.
   */
  private Optional<ForebayException> perform(int index, String what, Act act) {
    operations++;
    int drawn = random.nextInt(3) == 0 ? random.nextInt(cluster.size()) : index;
    int process = cluster.runs(drawn) ? drawn : index;
    SimEnv env = cluster.env(process);
    FileService files = cluster.files(process, index);
    Optional<ForebayException> failure = in(process, () -> act.run(env, files));
    if (failure.isEmpty()) {
      acknowledged++;
    } else {
      failures.merge(failure.get().code().name(), 1L, Long::sum);
    }
    world
        .log()
        .add(
            world.nanoTime(),
            "n"
                + index
                + (process == index ? " " : " through n" + process + " ")
                + what
                + failure.map(each -> ": " + each.getMessage()).orElse(""));
    return failure;
  }

  /** Runs something in a node's process; empty when it was done, else why not (or not known). */
  private Optional<ForebayException> in(int index, Runnable action) {
    return cluster.in(client, index, OPERATION_NANOS, action);
  }
}
