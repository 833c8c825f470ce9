package io.forebay.sim.cluster;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
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
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.ReadConditions;
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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/**
 * Clients publish, overwrite, copy, rename, delete and read through random nodes while nodes,
 * disks, links and the log fail and return; every now and then everything is mended, and then all
 * must be well again within a bound.
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
      long simulatedNanos,
      List<String> violations,
      List<String> scene) {}

  private static final long SECOND = 1_000_000_000L;
  private static final long MILLI = 1_000_000L;
  private static final int CLIENTS = 6;
  private static final int ROUNDS = 3;
  private static final int KEYS = 20;
  private static final long WRITE_MEMORY_BYTES = SimCluster.WRITE_MEMORY_BYTES;
  // A writer gives up after 30 s, each of its commands after 15 s, and nobody is paused for longer
  // than 20 s.
  private static final long OPERATION_NANOS = 180 * SECOND;
  private static final WriteOptions WRITE =
      new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.empty(), true);

  private record Place(String bucket, BucketId id) {}

  private final Plan plan;
  private final SimWorld world;
  private final SimEnv client;
  private final RandomGenerator random;
  private final Judge judge;
  private final SimCluster cluster;
  private final Faults faults;
  private final List<Place> places = new ArrayList<>();
  private final Map<String, Long> failures = new TreeMap<>();
  private long nextVersion = 1;
  private long nextUpload = 1;
  private long operations;
  private long acknowledged;
  private boolean done;

  private Checkpoint(Plan plan) {
    this.plan = plan;
    world = new SimWorld(plan.seed());
    client = world.env("client");
    random = world.stream("scenario");
    judge = new Judge(world, SimCluster.GROUPS_PER_VOLUME);
    int voters = plan.nodes() < 3 || random.nextInt(4) == 0 ? 1 : 3;
    cluster = new SimCluster(world, plan.nodes(), voters, judge, LeaseSettings.OFF);
    int atOnce = random.nextInt(10) == 0 ? plan.nodes() : random.nextInt(1, 4);
    faults = new Faults(world, client, cluster, judge, Math.min(atOnce, plan.nodes()));
  }

  /** Runs one seed to its end. */
  public static Report run(Plan plan) {
    var scenario = new Checkpoint(plan);
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
        plan.seed(),
        scenario.world.log().digest(),
        scenario.operations,
        scenario.acknowledged,
        scenario.judge.checks(),
        scenario.cluster.links().messages(),
        0,
        scenario.faults.counts(),
        scenario.world.nanoTime(),
        List.copyOf(scenario.judge.violations()),
        scenario.judge.scene());
  }

  private void play() {
    await("all nodes register", 60, () -> judge.image().volumes().size() == cluster.size());
    need(node -> node.plane().cluster(new ClusterCommand.Initialize("c1")));
    Durability durability = random.nextBoolean() ? Durability.SYNCED : Durability.REPLICATED;
    bucket("wide", new Family(3, 2, Durability.REPLICATED));
    bucket("narrow", new Family(2, 2, durability));
    client.spawn(
        "audit",
        () -> {
          while (!done) {
            client.sleep(10 * SECOND);
            judge.audit();
          }
        });
    for (int round = 1; round <= ROUNDS && sound(); round++) {
      long until = (long) plan.operations() * round / ROUNDS;
      faults.begin();
      var clients = new ArrayList<Outcome<Boolean>>();
      for (int i = 0; i < CLIENTS; i++) {
        var end = new Outcome<Boolean>(client);
        clients.add(end);
        client.spawn(
            "client",
            () -> {
              try {
                while (sound() && operations < until) {
                  client.sleep(random.nextLong(150 * MILLI));
                  operation();
                }
              } finally {
                end.complete(true);
              }
            });
      }
      clients.forEach(Outcome::await);
      if (sound()) {
        calm(round == ROUNDS);
      }
    }
    done = true;
    cluster.logs().forEach(SimLog::close);
    world.stop();
  }

  private boolean sound() {
    return judge.violations().isEmpty();
  }

  private void bucket(String name, Family family) {
    var spec =
        new BucketSpec(
            name, family, "", FlushMode.CACHE_ONLY, List.of(), 1 << 20, 0, 2_000 /* ms to read */);
    need(node -> places.add(new Place(name, node.files().createBucket(spec).id())));
  }

  /** At the beginning, when nothing is broken. */
  private void need(Consumer<Node> action) {
    in(0, action).ifPresent(failure -> judge.violation("setting up failed: " + failure));
  }

  // Calm: everything is mended, so everything must become well.

  private void calm(boolean last) {
    faults.end();
    await("an end of all faults", 60, faults::ended);
    cluster.links().mend();
    for (int i = 0; i < cluster.size(); i++) {
      cluster.disk(i).full(false);
    }
    if (!await("full strength", 180, this::whole)) {
      return;
    }
    if (!await("every node knows the cluster as it is", 60, this::allKnow)) {
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
    for (Place place : places) {
      for (String key : judge.history().keys(place.id())) {
        read(random.nextInt(cluster.size()), place, key, true);
      }
    }
    if (last && sound()) {
      await("nothing left of what nobody needs", 90, () -> judge.leftovers().isEmpty());
      for (int i = 0; i < cluster.size(); i++) {
        long free = cluster.node(i).status().writeMemoryFreeBytes();
        if (free != WRITE_MEMORY_BYTES) {
          judge.violation("n" + i + " never gave back " + (WRITE_MEMORY_BYTES - free) + " bytes");
        }
        long slices = cluster.node(i).status().readSlicesFree();
        if (slices != SimCluster.READ_SLICES) {
          judge.violation("a reader of n" + i + " never gave its memory back");
        }
      }
    }
  }

  private boolean allKnow() {
    for (int i = 0; i < cluster.size(); i++) {
      var status = cluster.node(i).status();
      if (!status.leaseHeld() || status.image().version() < judge.image().version()) {
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
    } else if (what < 97) {
      rename(node, place, key, key());
    } else {
      upload(node, place);
    }
  }

  private String key() {
    return "k" + random.nextInt(4) + "/" + random.nextInt(KEYS / 4);
  }

  private History.Version version() {
    int kind = random.nextInt(100);
    long length =
        kind < 10
            ? random.nextLong(1, 2_048)
            : kind < 96 ? random.nextLong(2_050, 40_000) : random.nextLong(900_000, 2_300_000);
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

  private void write(int index, Place place, String key) {
    SimEnv env = cluster.env(index);
    History.Version version = version();
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "/" + key + " := " + version,
        node -> {
          ObjectInfo info;
          try (BodyWriter<ObjectInfo> body = node.files().create(place.bucket(), key, WRITE)) {
            pour(env, random, version, body);
            info = body.publish(Optional.empty());
          }
          acknowledge(env, place, key, info, version, began);
        });
  }

  private void acknowledge(
      SimEnv env, Place place, String key, ObjectInfo info, History.Version version, long began) {
    env.checkAlive();
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
    SimEnv env = cluster.env(index);
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "/" + key + " deleted",
        node -> {
          node.files().delete(place.bucket(), key, WriteConditions.NONE);
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
        node ->
            node.files()
                .copy(
                    place.bucket(),
                    from,
                    ReadConditions.NONE,
                    place.bucket(),
                    to,
                    CopyOptions.DEFAULT));
  }

  private void rename(int index, Place place, String from, String to) {
    if (from.equals(to)) {
      return;
    }
    perform(
        index,
        place.bucket() + "/" + from + " renamed to " + to,
        node -> node.files().rename(place.bucket(), from, to));
  }

  private void upload(int index, Place place) {
    SimEnv env = cluster.env(index);
    String key = "u/" + nextUpload++;
    History.Version version = version();
    long began = world.nanoTime();
    judge.history().intendUpload(place.id(), key, version);
    perform(
        index,
        place.bucket() + "/" + key + " uploaded as " + version,
        node -> {
          FileService files = node.files();
          UploadId upload = files.createUpload(place.bucket(), key, ObjectMetadata.NONE);
          PartInfo part;
          try (BodyWriter<PartInfo> body =
              files.createPart(place.bucket(), key, upload, 1, WRITE)) {
            pour(env, random, version, body);
            part = body.publish(Optional.empty());
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
        });
  }

  private void read(int index, Place place, String key, boolean mustWork) {
    String what = place.bucket() + "/" + key + " read";
    SimEnv env = cluster.env(index);
    Optional<ForebayException> failure =
        perform(index, what, node -> readOne(node, env, place, key));
    if (mustWork && failure.isPresent()) {
      judge.violation(
          what + " at n" + index + " failed while nothing was broken: " + failure.get());
    }
  }

  private void readOne(Node node, SimEnv env, Place place, String key) {
    long began = world.nanoTime();
    ObjectReader reader;
    try {
      reader = node.files().open(place.bucket(), key, ReadConditions.NONE);
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

  /** Counts, tells and bounds one operation; empty when it succeeded. */
  private Optional<ForebayException> perform(int index, String what, Consumer<Node> action) {
    operations++;
    Optional<ForebayException> failure = in(index, action);
    if (failure.isEmpty()) {
      acknowledged++;
    } else {
      failures.merge(failure.get().code().name(), 1L, Long::sum);
    }
    world
        .log()
        .add(
            world.nanoTime(),
            "n" + index + " " + what + failure.map(each -> ": " + each.getMessage()).orElse(""));
    return failure;
  }

  /** Runs something in a node's process; empty when it was done, else why not (or not known). */
  private Optional<ForebayException> in(int index, Consumer<Node> action) {
    var ended = new Outcome<Boolean>(client);
    SimEnv env = cluster.env(index);
    if (env.killed()) {
      return Optional.of(new ForebayException(ErrorCode.PEER_UNREACHABLE, "the node is down"));
    }
    Node node = cluster.node(index);
    env.spawn(
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
      judge.violation("liveness: an operation at " + env.process() + " does not end");
    }
    return ended.isDone()
        ? ended.failure().map(ForebayException::wrap)
        : Optional.of(new ForebayException(ErrorCode.TIMEOUT, "does not end"));
  }
}
