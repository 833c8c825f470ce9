package io.forebay.sim.cluster;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.ChunkId;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.volume.StoredChunk;
import io.forebay.node.Node;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/** Writers publish, overwrite and delete through random nodes while nodes fail and return. */
public final class Checkpoint {
  /** What a run did. */
  public record Report(
      long seed, long digest, long operations, long faults, List<String> violations) {}

  /** Content of an object: empty length stands for "no object". */
  private record Version(long seed, long length) {
    static final Version ABSENT = new Version(0, -1);
  }

  private static final long SECOND = 1_000_000_000L;
  private static final int SLICE = 1 << 18;
  private static final String BUCKET = "checkpoints";

  private final SimWorld world;
  private final SimEnv client;
  private final RandomGenerator random;
  private final List<String> violations = new ArrayList<>();
  private final SimCluster cluster;
  // What each key may hold: one version once its last change was acknowledged.
  private final Map<String, TreeSet<Long>> possible = new TreeMap<>();
  private final Map<Long, Version> versions = new TreeMap<>();
  private long nextVersion = 1;
  private long operations;
  private long faults;
  private boolean done;

  private Checkpoint(long seed, int nodes) {
    world = new SimWorld(seed);
    client = world.env("client");
    random = world.stream("scenario");
    cluster = new SimCluster(world, nodes, violations);
    versions.put(0L, Version.ABSENT);
  }

  /** Runs one seed to its end. */
  public static Report run(long seed, int nodes, int rounds) {
    var scenario = new Checkpoint(seed, nodes);
    scenario.client.spawn("scenario", () -> scenario.play(rounds));
    try {
      scenario.world.run(3_600 * SECOND);
    } catch (IllegalStateException failure) {
      scenario.violations.add("a thread ended with " + failure.getMessage());
    }
    if (!scenario.done && scenario.violations.isEmpty()) {
      scenario.violations.add("the scenario did not end in an hour");
    }
    return new Report(
        seed,
        scenario.world.log().digest(),
        scenario.operations,
        scenario.faults,
        List.copyOf(scenario.violations));
  }

  private void play(int rounds) {
    await(
        "all nodes register",
        60,
        () -> cluster.node(0).plane().image().volumes().size() == cluster.size());
    in(0, node -> node.plane().cluster(new ClusterCommand.Initialize("c1")));
    var family = new Family(3, 2, Durability.REPLICATED);
    BucketSpec plain = BucketSpec.of(BUCKET, family, "");
    in(
        0,
        node ->
            node.files()
                .createBucket(
                    new BucketSpec(
                        BUCKET, family, "", plain.mode(), List.of(), 1 << 20, 0, 60_000)));
    for (int round = 0; round < rounds && violations.isEmpty(); round++) {
      int number = round;
      var writers = new ArrayList<Outcome<Boolean>>();
      for (int i = 0; i < 3; i++) {
        int writer = i;
        var end = new Outcome<Boolean>(client);
        writers.add(end);
        client.spawn(
            "writer",
            () -> {
              for (int step = 0; step < 6; step++) {
                change("w" + writer + "/" + random.nextInt(3), number);
                verify(anyKey(), false);
              }
              end.complete(true);
            });
      }
      for (int i = 0; i < 2; i++) {
        fault();
      }
      writers.forEach(Outcome::await);
      if (await("full strength", 180, this::whole)) {
        client.sleep(10 * SECOND);
        holdsAllOwed();
        List.copyOf(possible.keySet()).forEach(key -> verify(key, true));
      }
    }
    done = true;
    for (int i = 0; i < cluster.size(); i++) {
      cluster.env(i).kill();
    }
  }

  private String anyKey() {
    List<String> keys = List.copyOf(possible.keySet());
    return keys.get(random.nextInt(keys.size()));
  }

  /** Runs something in a node's process; empty when it was done, else why not (or not known). */
  private Optional<ForebayException> in(int index, Consumer<Node> action) {
    var ended = new Outcome<Boolean>(client);
    if (cluster.env(index).killed()) {
      return Optional.of(new ForebayException(ErrorCode.PEER_UNREACHABLE, "the node is down"));
    }
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
    try {
      ended.await(300 * SECOND, "an operation");
      return Optional.empty();
    } catch (ForebayException failure) {
      return Optional.of(failure);
    }
  }

  private void change(String name, int round) {
    String key = name + "/" + round;
    TreeSet<Long> may = possible.computeIfAbsent(key, _ -> new TreeSet<>(List.of(0L)));
    if (may.size() > 1) {
      return; // An outcome is unknown, and may come true late: the key is only read from now on.
    }
    boolean delete = random.nextInt(5) == 0;
    long number = delete ? 0 : nextVersion++;
    var version = delete ? Version.ABSENT : new Version(number, random.nextLong(1, 3 * (1L << 20)));
    versions.put(number, version);
    may.add(number);
    Optional<ForebayException> failure =
        in(
            random.nextInt(cluster.size()),
            node -> {
              if (delete) {
                node.files().delete(BUCKET, key, WriteConditions.NONE);
              } else {
                write(node, key, version);
              }
            });
    operations++;
    world.log().add(world.nanoTime(), key + " := " + version + " " + failure);
    if (failure.isEmpty()) {
      may.clear();
      may.add(number);
    }
  }

  private static void write(Node node, String key, Version version) {
    try (var body = node.files().create(BUCKET, key, WriteOptions.DEFAULT)) {
      for (long at = 0; at < version.length(); at += SLICE) {
        body.write(new Synthetic(version.seed(), at, (int) Math.min(SLICE, version.length() - at)));
      }
      body.publish(Optional.empty());
    }
  }

  /** Reads a key that nobody changes meanwhile (or whose changes do not matter). */
  private void verify(String key, boolean mustWork) {
    TreeSet<Long> before = new TreeSet<>(possible.getOrDefault(key, new TreeSet<>()));
    long newest = nextVersion;
    var seen = new ArrayList<Version>();
    Optional<ForebayException> failure =
        in(random.nextInt(cluster.size()), node -> seen.add(read(node, key, before)));
    operations++;
    world.log().add(world.nanoTime(), key + " = " + seen + " " + failure);
    boolean changed = nextVersion != newest || !before.equals(possible.get(key));
    if (failure.isPresent()) {
      if (mustWork) {
        violations.add(key + " cannot be read: " + failure.get());
      }
    } else if (!changed && before.stream().map(versions::get).noneMatch(seen.get(0)::equals)) {
      violations.add(key + " holds " + seen + ", not one of " + before);
    }
  }

  private Version read(Node node, String key, java.util.Set<Long> candidates) {
    if (node.files().stat(BUCKET, key).isEmpty()) {
      return Version.ABSENT;
    }
    try (ObjectReader reader = node.files().open(BUCKET, key, ReadConditions.NONE)) {
      long length = reader.info().lengthBytes();
      var matching = new TreeSet<>(candidates);
      matching.removeIf(number -> length != length(number));
      for (long at = 0; at < length; ) {
        Bytes bytes = reader.read(at, (int) Math.min(SLICE, length - at));
        long from = at;
        int crc = bytes.crc32c();
        int count = bytes.length();
        matching.removeIf(number -> new Synthetic(number, from, count).crc32c() != crc);
        at += count;
        bytes.release();
      }
      return new Version(matching.isEmpty() ? -1 : matching.first(), length);
    }
  }

  private long length(long number) {
    Version version = versions.get(number);
    return version == null ? -1 : version.length();
  }

  private void fault() {
    client.sleep(random.nextLong(SECOND));
    int victim = 1 + random.nextInt(cluster.size() - 1);
    int kind = random.nextInt(5);
    faults++;
    world.log().add(world.nanoTime(), "fault " + kind + " at n" + victim);
    long lasts = random.nextLong(SECOND / 10, 20 * SECOND);
    if (kind <= 1) {
      // A disk may be lost only while every group has all its copies elsewhere.
      boolean wipe = kind == 1 && whole();
      cluster.kill(victim);
      if (wipe) {
        cluster.wipe(victim);
      }
      client.sleep(lasts);
      cluster.restart(victim);
      if (wipe) {
        await("full strength after a lost disk", 180, this::whole);
      }
    } else if (kind == 2) {
      cluster.env(victim).pause();
      client.sleep(lasts);
      cluster.env(victim).resume();
    } else {
      for (int other = 0; other < cluster.size(); other++) {
        if (other != victim) {
          cluster.cut(victim, other, true);
          cluster.cut(other, victim, kind == 3);
        }
      }
      client.sleep(lasts);
      for (int other = 0; other < cluster.size(); other++) {
        cluster.cut(victim, other, false);
        cluster.cut(other, victim, false);
      }
    }
  }

  private boolean whole() {
    return cluster.node(0).plane().image().groups().stream()
        .allMatch(group -> group.in(MemberState.IN_SYNC).size() == group.family().replicas());
  }

  private boolean await(String what, int seconds, java.util.function.BooleanSupplier condition) {
    long deadline = world.nanoTime() + seconds * SECOND;
    while (!condition.getAsBoolean()) {
      if (world.nanoTime() >= deadline) {
        violations.add(
            "not within "
                + seconds
                + " s: "
                + what
                + "; groups "
                + cluster.node(0).plane().image().groups());
        return false;
      }
      client.sleep(SECOND / 10);
    }
    return true;
  }

  /** Every member in sync holds every owed chunk of its groups. */
  private void holdsAllOwed() {
    List<Group> groups = cluster.node(0).plane().image().groups();
    var chunks = new TreeMap<ChunkId, StoredChunk>();
    for (int i = 0; i < cluster.size(); i++) {
      cluster.disk(i).all().forEach(chunk -> chunks.put(chunk.id(), chunk));
    }
    List<ChunkId> ids = List.copyOf(chunks.keySet());
    var states = new ArrayList<ChunkState>();
    Optional<ForebayException> failure =
        in(
            0,
            node -> {
              for (int at = 0; at < ids.size(); at += NamespaceQuery.MAX_CHUNKS) {
                int end = Math.min(ids.size(), at + NamespaceQuery.MAX_CHUNKS);
                var query = new NamespaceQuery.ChunkStates(ids.subList(at, end));
                states.addAll(((NamespaceAnswer.Chunks) node.plane().query(query)).states());
              }
            });
    if (failure.isPresent()) {
      violations.add("the states of chunks are not told: " + failure.get());
      return;
    }
    for (Group group : groups) {
      for (Member member : group.in(MemberState.IN_SYNC)) {
        var held = new TreeSet<ChunkId>();
        cluster
            .disk((int) member.volume().value() - 1)
            .all()
            .forEach(chunk -> held.add(chunk.id()));
        for (int i = 0; i < ids.size(); i++) {
          StoredChunk chunk = chunks.get(ids.get(i));
          if (chunk != null
              && chunk.group().equals(group.id())
              && states.get(i) == ChunkState.OWED
              && !held.contains(ids.get(i))) {
            violations.add(member.volume() + " is in sync but lacks " + ids.get(i));
          }
        }
      }
    }
  }
}
