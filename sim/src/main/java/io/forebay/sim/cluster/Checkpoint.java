package io.forebay.sim.cluster;

import io.forebay.core.cluster.Balance;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.env.Outcome;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.node.Node;
import io.forebay.sim.log.SimLog;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
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
  private static final int ROUNDS = 3;
  private static final long WRITE_MEMORY_BYTES = SimCluster.WRITE_MEMORY_BYTES;
  private static final int SETTLE_SECONDS = 600;
  // By then all that does not wait for other objects in a circle is flushed.
  private static final int PATIENCE_SECONDS = 200;
  // Where nodes join: what the disks hold before, in objects of a chunk each.
  private static final long JOINED_CAPACITY_BYTES = 48L << 20;
  private static final int JOINED_GROUPS_PER_VOLUME = 8;
  private static final double JOINED_FILL = 0.7;
  private static final int CHUNK_BYTES = 1 << 20;
  private static final String FILLING = "b/";
  // What is written when nothing is broken: of each key a chunk and more first, to meet the groups.
  private static final String CALM = "calm/";
  private static final int CALM_WRITES = 3;
  private static final int SMALL_BYTES = 5_000;

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
  private final KeySpace keys;
  private final Operations operations;
  private final Clients clients;
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
    keys = new KeySpace(random);
    operations =
        new Operations(
            world, client, random, judge, store, cluster, keys, store.isEmpty() && !joins);
    clients = new Clients(client, random, judge, cluster, keys, operations, places);
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
    if (!scenario.done && scenario.judge.sound()) {
      scenario.judge.violation("the scenario did not end in an hour");
    }
    return new Report(
        scenario.plan.seed(),
        scenario.world.log().digest(),
        scenario.operations.asked(),
        scenario.operations.acknowledged(),
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
      need(node ->
          node.files().setPolicies("backed", node.files().policies("backed"), List.of(policy)));
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
    for (int round = 1; round <= ROUNDS && judge.sound(); round++) {
      long until = operations.asked() + plan.operations() / ROUNDS;
      faults.begin();
      operators.begin();
      store.ifPresent(behind -> client.spawn("others", () -> disturb(behind, until)));
      var ends = new ArrayList<Outcome<Boolean>>();
      for (int i = 0; i < CLIENTS; i++) {
        ends.add(
            spawn(
                "client",
                () -> {
                  while (judge.sound() && operations.asked() < until) {
                    client.sleep(random.nextLong(150 * MILLI));
                    clients.operation();
                  }
                }));
      }
      if (store.isPresent()) {
        Place place = places.getFirst();
        boolean sends = judge.policies().sends(place.id(), KeySpace.TRAINED);
        for (int i = 0; i < (sends ? 1 : 2); i++) {
          ends.add(spawn("trainer", () -> clients.train(place, sends, until)));
        }
      }
      if (joins && round == 1) {
        join();
      }
      ends.forEach(Outcome::await);
      if (judge.sound()) {
        calm(round == ROUNDS);
      }
    }
    if (joins) {
      figures.put("moves", (double) judge.moves());
    } else if (store.isEmpty()) {
      figures.put("uploadsInParts", (double) operations.completedInParts());
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
                    new Bucket.PrefixMode(KeySpace.THROUGH, FlushMode.THROUGH),
                    new Bucket.PrefixMode(KeySpace.TRAINED, FlushMode.CACHE_ONLY))
                : List.of(),
            CHUNK_BYTES,
            500 /* ms to flush */,
            2_000 /* ms to read */);
    need(node -> places.add(new Place(name, node.files().createBucket(spec).id(), backed)));
  }

  /** Fills the disks with what stays. */
  private void fill() {
    for (int i = 0; fills().getAverage() < JOINED_FILL && judge.sound(); i++) {
      operations.write(
          i % cluster.size(),
          places.get(i % places.size()),
          FILLING + i,
          operations.version(CHUNK_BYTES));
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
    return judge.pinnedBytes().values().stream()
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
      if (operations.asked() >= until || !judge.sound()) {
        return;
      }
      Place place = places.getFirst();
      String key = place.bucket() + "/" + keys.shared();
      if (random.nextInt(3) > 0) {
        faults.count("foreign_write");
        behind.theyWrite(key, operations.version());
      } else {
        faults.count("foreign_delete");
        behind.theyDelete(key);
      }
    }
  }

  private PrefixPolicy policy() {
    return new PrefixPolicy(
        KeySpace.TRAINED,
        KeySpace.MARKER,
        random.nextInt(1, 4),
        random.nextInt(4),
        random.nextBoolean() ? 45_000 /* ms to live */ : 0);
  }

  /** At the beginning, when nothing is broken. */
  private void need(Consumer<Node> action) {
    operations
        .in(0, () -> action.accept(cluster.node(0)))
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
    takesWrites();
    if (store.isPresent() && !(retained() && settle(store.get().judge()))) {
      return;
    }
    for (Place place : places) {
      for (String key : judge.history().keys(place.id())) {
        operations.read(random.nextInt(cluster.size()), place, key, true);
      }
    }
    for (Place place : places) {
      await("the use of " + place.bucket() + " is what it holds", 60, () -> counted(place));
    }
    if (last && store.isPresent() && judge.sound()) {
      empty(places.getFirst(), store.get().judge());
    }
    if (last && judge.sound()) {
      await("nothing left of what nobody needs", 90, () -> judge.leftovers().isEmpty());
      // Of clients that died, a node keeps handles for ten minutes.
      await("all memory of readers and writers is given back", 660, this::allGivenBack);
    }
  }

  /** Through every node, into every bucket. */
  private void takesWrites() {
    for (Place place : places) {
      for (int i = 0; i < cluster.size(); i++) {
        for (int j = 0; j < CALM_WRITES; j++) {
          operations.mustWrite(i, place, CALM + i, j == 0 ? CHUNK_BYTES + 1 : SMALL_BYTES);
        }
      }
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
      operations.perform(
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
              operations.decide(node, place);
              judged.disturbed(place.id()).forEach(key -> operations.write(node, place, key));
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
    operations.perform(
        random.nextInt(cluster.size()),
        place.bucket() + " has no policies any more",
        (env, files) ->
            files.setPolicies(place.bucket(), files.policies(place.bucket()), List.of()));
    for (String key : judge.history().keys(place.id())) {
      operations.delete(random.nextInt(cluster.size()), place, key);
    }
    if (settle(judged)) {
      await(
          "the bucket is deleted",
          200,
          () -> {
            operations.perform(
                random.nextInt(cluster.size()),
                place.bucket() + " is deleted",
                (env, files) -> files.deleteBucket(place.bucket()));
            return judge.image().bucket(place.bucket()).isEmpty();
          });
    }
  }

  /** Takes from a disk whatever may be evicted. */
  private void evict(int node) {
    operations
        .in(node, () -> cluster.volume(node).delete(judge.clean(judge.idOf(cluster.disk(node)))))
        .ifPresent(failure -> judge.violation("evicting failed: " + failure));
  }

  /** Objects that changed names wait for each other until one of them is written anew (F6). */
  private void circles(int index, Place place) {
    var waiting = new ArrayList<String>();
    operations.perform(
        index,
        place.bucket() + " is looked at",
        (env, files) ->
            files.flushStatus(place.bucket(), "").troubled().stream()
                .filter(trouble -> trouble.reason().startsWith("other objects"))
                .forEach(trouble -> waiting.add(trouble.key())));
    waiting.stream().limit(1).forEach(key -> operations.write(index, place, key));
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
    return judge.image().groups().stream().allMatch(Checkpoint::whole)
        && judge.strangers().isEmpty();
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
                + "; that may not be evicted "
                + judge.pinnedBytes()
                + "; without their disks "
                + judge.strangers()
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
}
