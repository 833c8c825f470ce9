package io.forebay.node.flush;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.backing.MemoryObjectStore;
import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.backing.MemoryObjectStore.Likeness;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.RequestCounter;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.Generation;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.FlushEntry;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.ObjectHead;
import io.forebay.core.namespace.Preconditions;
import io.forebay.core.namespace.StoreSight;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.FlushMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.core.volume.Volume;
import io.forebay.node.read.ChunkReader;
import io.forebay.node.read.ManifestReader;
import io.forebay.node.read.OpenGeneration;
import io.forebay.node.replica.DoubtedChunks;
import io.forebay.node.replica.MemoryTier;
import io.forebay.node.replica.Recency;
import io.forebay.node.replica.Volumes;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Real flushers of several nodes over the namespace's real state machine, a volume and a store in
 * memory, gone through step by step; beside them a model of what was published, which says after
 * every step whether the store may look as it does.
 */
final class FlushWorld {
  static final BucketId BUCKET = new BucketId(1);
  static final String NAME = "train";
  static final FlushPolicy BACK = new FlushPolicy(FlushMode.BACK, 0, 1_000);
  static final FlushSettings SETTINGS =
      new FlushSettings(64, 64, 64, 1 << 20, 1000, 700, 60_000, 90_000, 5_000);
  private static final GroupId GROUP = new GroupId(1);

  /** What becomes of a command on its way to the log. */
  enum LogFate {
    APPLIED,
    /** Never arrives. */
    LOST,
    /** Applied, the answer is lost. */
    UNHEARD
  }

  /** A generation as it was published. */
  record Published(String key, byte[] body) {}

  final Steps steps;
  final MemoryObjectStore store;
  final List<String> story = new ArrayList<>();
  private final Likeness likeness;
  private final int count;
  private final SortedMap map = new MemorySortedMap();
  private final NamespaceMachine machine = new NamespaceMachine(0);
  private final Volume volume;
  private final SlabPool pool;
  private final BucketStores stores;
  private final ManifestReader reader;
  private final List<Flusher> nodes = new ArrayList<>();
  private final IdentityHashMap<Steps.Actor, Integer> owners = new IdentityHashMap<>();
  private final SessionId session;
  private final Map<Long, Published> model = new TreeMap<>();
  private final TreeSet<String> named = new TreeSet<>(); // "key etag" of keep and take
  private final TreeSet<String> foreignEtags = new TreeSet<>(); // "key etag"
  private final TreeSet<String> foreignGone = new TreeSet<>(); // keys they deleted, until ours
  private final List<Long> lateUntil = new ArrayList<>();
  private Map<String, StoreObject> before = Map.of();
  private boolean foreignActs;
  private MemoryObjectStore.Fates fates = (kind, key) -> Fate.ANSWERED;
  private Function<NamespaceCommand, LogFate> logFates = command -> LogFate.APPLIED;
  private Supplier<LogFate> callFates = () -> LogFate.APPLIED;
  private long stagedElsewhere;
  private long index = 1;
  private long sequence = 1;
  private long publishes = 1;

  FlushWorld(long seed, int nodes, Likeness likeness) {
    this.likeness = likeness;
    this.count = nodes;
    steps = new Steps(seed);
    store = new MemoryObjectStore(steps, likeness);
    pool = new SlabPool(steps, 4096, 512);
    volume =
        new MemoryVolume(
            steps, new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), 1 << 30));
    stores = new BucketStores(url -> store, pool);
    var plane = new Plane();
    stores.bind(plane);
    reader =
        new ManifestReader(
            new ChunkReader(
                steps,
                new Peers("reader"),
                new Volumes(List.of(volume)),
                plane,
                pool,
                new MemoryTier(steps, 0),
                new DoubtedChunks(steps),
                new Recency(steps, 1 << 30)),
            stores,
            pool);
    for (int i = 0; i < nodes; i++) {
      this.nodes.add(newNode(i));
    }
    store.fates(this::fate);
    session =
        ((NamespaceResult.SessionOpened)
                apply(new NamespaceCommand.OpenSession(new NodeId("writer"))))
            .session();
  }

  private Flusher newNode(int node) {
    return new Flusher(steps, new Peers("n" + node), new Plane(), reader, stores, SETTINGS);
  }

  /** Has a stretch of an object of no bytes taken into a node's memory. */
  void takeIntoMemory(long lengthBytes) {
    new PartStager(steps, new Peers("n0"), new Plane(), reader, stores, SETTINGS)
        .withBody(
            reader.open(new Manifest.None(lengthBytes), Optional.empty()),
            0,
            lengthBytes,
            List::size);
  }

  /** Volumes of all nodes, which are one here: whoever is asked for a part has its bytes. */
  private List<VolumeRecord> holders() {
    var volumes = new ArrayList<VolumeRecord>();
    for (int i = 0; i < count; i++) {
      volumes.add(
          new VolumeRecord(
              new VolumeId(i + 1), new NodeId("n" + i), new Incarnation(1, 1), 1 << 30, 0));
    }
    return volumes;
  }

  Flusher node(int node) {
    return nodes.get(node);
  }

  // The world's ways.

  void fates(MemoryObjectStore.Fates next) {
    fates = next;
  }

  void logFates(Function<NamespaceCommand, LogFate> next) {
    logFates = next;
  }

  void callFates(Supplier<LogFate> next) {
    callFates = next;
  }

  private Fate fate(RequestCounter.Kind kind, String key) {
    steps.pause("store " + kind + " " + key);
    Fate fate = fates.of(kind, key);
    if (fate == Fate.LATE) {
      lateUntil.add(steps.wallMillis() + SETTINGS.landingMillis() - 1);
    }
    return fate;
  }

  /** Time goes on; what may not be under way any longer has landed or left before. */
  void advance(long millis) {
    long end = steps.wallMillis() + millis;
    while (steps.wallMillis() < end) {
      long next = end;
      for (long until : lateUntil) {
        next = Math.min(next, until);
      }
      Optional<Steps.Actor> hurried = Optional.empty();
      for (Steps.Actor actor : steps.actors()) {
        long until = actor.sinceMillis() + SETTINGS.landingMillis() - 1;
        if (actor.at().startsWith("store ") && until <= next) {
          next = until;
          hurried = Optional.of(actor);
        }
      }
      steps.advance(Math.max(0, next - steps.wallMillis()));
      for (int i = lateUntil.size() - 1; i >= 0; i--) {
        if (lateUntil.get(i) <= steps.wallMillis()) {
          land(i);
        }
      }
      hurried.ifPresent(this::step);
    }
  }

  /** One of the late requests lands. */
  void land(int place) {
    lateUntil.remove(place);
    tell("a late request lands");
    store.land(place);
    check();
  }

  int late() {
    return lateUntil.size();
  }

  void step(Steps.Actor actor) {
    String from = actor.toString();
    actor.step();
    tell(from + " -> " + actor.at());
    check();
  }

  void tell(String what) {
    story.add(what);
  }

  /** A node looks for work; the attempts that it begins wait to be stepped. */
  List<Steps.Actor> look(int node) {
    var known = steps.actors();
    nodes.get(node).round();
    List<Steps.Actor> begun =
        steps.actors().stream().filter(actor -> !known.contains(actor)).toList();
    begun.forEach(actor -> owners.put(actor, node));
    return begun;
  }

  /** A node looks, and finds exactly one thing to do. */
  Steps.Actor lookForOne(int node) {
    List<Steps.Actor> found = look(node);
    assertThat(found).as("work for node %s, %s", node, records()).hasSize(1);
    return found.getFirst();
  }

  /** A node looks until it finds something to do, while time goes on. */
  Steps.Actor await(int node) {
    for (int i = 0; i < 1000; i++) {
      List<Steps.Actor> found = look(node);
      if (!found.isEmpty()) {
        return found.getFirst();
      }
      advance(1_000);
    }
    throw new AssertionError("nothing to do any more; " + records());
  }

  /** The process of a node dies and begins anew. */
  void restart(int node) {
    tell("n" + node + " dies");
    for (Steps.Actor actor : steps.actors()) {
      if (owners.getOrDefault(actor, -1) == node) {
        actor.crash();
      }
    }
    nodes.set(node, newNode(node));
  }

  /** Everything goes well from now on, until nothing is left to do but what users have to say. */
  void settle() {
    fates = (kind, key) -> Fate.ANSWERED;
    logFates = command -> LogFate.APPLIED;
    callFates = () -> LogFate.APPLIED;
    goOn();
    advance(BACK.readGraceMillis() + 1); // for superseded generations that hold sources
    apply(new NamespaceCommand.ExpireTick(1000));
    goOn();
  }

  private void goOn() {
    for (int i = 0; busy(); i++) {
      assertThat(i).as("rounds until all is settled; %s", records()).isLessThan(2_000);
      boolean worked = false;
      for (int node = 0; node < nodes.size(); node++) {
        look(node);
        for (Steps.Actor actor : steps.actors()) {
          while (!actor.ended()) {
            step(actor);
            // Else it came too early, and found nothing to do yet.
            worked |= !actor.ended();
          }
        }
      }
      advance(worked ? 10 : 1_000);
      apply(new NamespaceCommand.ExpireTick(1000));
    }
  }

  private boolean busy() {
    return !steps.actors().isEmpty()
        || !lateUntil.isEmpty()
        || keys().stream().anyMatch(key -> record(key).filter(r -> busy(key, r)).isPresent());
  }

  /** Neither settled nor waiting for a word about a conflict or a lost source. */
  private boolean busy(String key, FlushRecord record) {
    boolean told =
        record.conflict().isPresent()
            || record.failure().filter(f -> f.code() == ErrorCode.GENERATION_GONE).isPresent()
            || reason(key).startsWith("other objects");
    return !record.settled()
        && (!told || record.open().isPresent() || !record.unresolved().isEmpty());
  }

  // What users do.

  NamespaceResult apply(NamespaceCommand command) {
    var batch = new Batch();
    NamespaceResult result;
    try (SortedMap.View view = map.view()) {
      result = machine.apply(index++, steps.wallMillis(), Level.NEWEST, command, batch, view);
    }
    map.write(batch);
    return result;
  }

  NamespaceAnswer query(NamespaceQuery query) {
    try (SortedMap.View view = map.view()) {
      return machine.query(view, query);
    }
  }

  static byte[] body(String text, int length) {
    byte[] word = text.getBytes(StandardCharsets.UTF_8);
    var body = new byte[length];
    for (int i = 0; i < length; i++) {
      body[i] = word[i % word.length];
    }
    return body;
  }

  private Manifest write(byte[] body) {
    var extents = new ArrayList<Extent>();
    int chunkBytes = 400;
    for (int at = 0; at < body.length; at += chunkBytes) {
      int length = Math.min(chunkBytes, body.length - at);
      var id = new ChunkId(session, sequence++);
      Slab slab = pool.take();
      slab.buffer().put(body, at, length);
      Bytes bytes = slab.bytes(0, length);
      slab.release();
      ChunkAppender chunk = volume.append(id, GROUP, new Epoch(1), length, Durability.REPLICATED);
      chunk.write(0, bytes, bytes.crc32c()).await();
      chunk.commit(length, bytes.crc32c());
      extents.add(new Extent(at, length, id, 0, GROUP, new Epoch(1), bytes.crc32c()));
      bytes.release();
    }
    return new Manifest.Extents(extents);
  }

  Generation publish(String key, byte[] body) {
    return publish(key, body, ObjectMetadata.NONE);
  }

  Generation publish(String key, byte[] body, ObjectMetadata metadata) {
    tell("publish " + key);
    NamespaceResult result =
        apply(
            new NamespaceCommand.Publish(
                session,
                publishes++,
                BUCKET,
                key,
                body.length,
                Optional.empty(),
                7,
                metadata,
                write(body),
                Preconditions.NONE,
                BACK));
    Generation generation = ((NamespaceResult.Published) result).object().generation();
    model.put(generation.value(), new Published(key, body));
    return generation;
  }

  boolean delete(String key) {
    tell("delete " + key);
    return ((NamespaceResult.Deleted)
            apply(new NamespaceCommand.Delete(BUCKET, key, Preconditions.NONE, BACK)))
        .existed();
  }

  /** Renames an object; false when it was refused. */
  boolean rename(String from, String to) {
    Optional<byte[]> body = contents(from);
    boolean done =
        apply(new NamespaceCommand.Rename(BUCKET, from, to, BACK))
            instanceof NamespaceResult.Renamed;
    tell("rename " + from + " to " + to + ": " + done);
    if (done && !from.equals(to)) {
      model.put(stat(to).orElseThrow().generation().value(), new Published(to, body.orElseThrow()));
    }
    return done;
  }

  /** Copies an object; false when it was refused. */
  boolean copy(String from, String to) {
    Optional<byte[]> body = contents(from);
    boolean done =
        apply(
                new NamespaceCommand.Copy(
                    BUCKET,
                    from,
                    Optional.empty(),
                    BUCKET,
                    to,
                    Optional.empty(),
                    Preconditions.NONE,
                    BACK))
            instanceof NamespaceResult.Published;
    tell("copy " + from + " to " + to + ": " + done);
    if (done) {
      model.put(stat(to).orElseThrow().generation().value(), new Published(to, body.orElseThrow()));
    }
    return done;
  }

  Optional<ObjectHead> stat(String key) {
    return query(new NamespaceQuery.Stat(BUCKET, key)) instanceof NamespaceAnswer.Found found
        ? Optional.of(found.object())
        : Optional.empty();
  }

  FlushState state(String key) {
    return stat(key).orElseThrow().flush();
  }

  Optional<FlushRecord> record(String key) {
    return ((NamespaceAnswer.OfKey) query(new NamespaceQuery.FlushOf(BUCKET, key))).record();
  }

  /** Why an object is not flushed, as users are told; empty when nothing is said. */
  String reason(String key) {
    var status =
        (NamespaceAnswer.Status) query(new NamespaceQuery.FlushStatus(BUCKET, key, "", 100));
    return status.troubled().stream()
        .filter(entry -> entry.key().equals(key))
        .map(FlushEntry::reason)
        .findFirst()
        .orElse("");
  }

  List<String> records() {
    var all = new ArrayList<String>();
    var keys = new TreeSet<String>();
    model.values().forEach(published -> keys.add(published.key()));
    keys.forEach(key -> record(key).ifPresent(record -> all.add(key + ": " + record)));
    return all;
  }

  /** What the model says that an object holds. */
  Optional<byte[]> contents(String key) {
    return stat(key).map(head -> model.get(head.generation().value()).body());
  }

  /** Opens an object as a reader does. */
  ManifestReader.Source open(String key) {
    var found = (NamespaceAnswer.Found) query(new NamespaceQuery.Stat(BUCKET, key));
    return reader.open(
        OpenGeneration.place(found, BUCKET, key),
        new OpenGeneration(steps, new Plane(), BUCKET, key, found.object().generation()));
  }

  byte[] read(String key) {
    return read(open(key), contents(key).orElseThrow().length);
  }

  static byte[] read(ManifestReader.Source source, int length) {
    var out = new ByteArrayOutputStream();
    while (out.size() < length) {
      Bytes bytes = source.read(out.size(), 4096);
      ByteBuffer copy = ByteBuffer.allocate(bytes.length());
      bytes.copyTo(copy);
      bytes.release();
      out.writeBytes(copy.array());
    }
    return out.toByteArray();
  }

  /** Frees what may be freed, as the collector does for want of room. */
  void evict() {
    tell("evict");
    var ids = volume.list(GROUP, Optional.empty(), 100_000).stream().map(c -> c.id()).toList();
    if (ids.isEmpty()) {
      return;
    }
    apply(new NamespaceCommand.SessionLowWater(session, sequence, publishes));
    List<ChunkState> states = new ArrayList<>();
    for (int from = 0; from < ids.size(); from += NamespaceQuery.MAX_CHUNKS) {
      int to = Math.min(ids.size(), from + NamespaceQuery.MAX_CHUNKS);
      states.addAll(
          ((NamespaceAnswer.Chunks) query(new NamespaceQuery.ChunkStates(ids.subList(from, to))))
              .states());
    }
    var gone = new ArrayList<ChunkId>();
    for (int i = 0; i < ids.size(); i++) {
      if (states.get(i) == ChunkState.CLEAN || states.get(i) == ChunkState.GARBAGE) {
        gone.add(ids.get(i));
      }
    }
    volume.delete(gone);
  }

  // What others do in the store.

  static String storeKey(String key) {
    return NAME + "/" + key;
  }

  String foreignWrite(String key, byte[] body, Map<String, String> metadata) {
    tell("somebody writes " + key + " " + metadata);
    Slab slab = pool.take();
    slab.buffer().put(body);
    Bytes bytes = slab.bytes(0, body.length);
    slab.release();
    foreignActs = true;
    var stored =
        (ObjectStore.PutResult.Stored)
            quietly(() ->
                store.put(
                    storeKey(key),
                    List.of(bytes),
                    new PutOptions(new StoreCondition.Any(), "text/plain", Map.of(), metadata)));
    bytes.release();
    foreignEtags.add(key + " " + stored.etag());
    foreignGone.remove(key);
    check();
    foreignActs = false;
    return stored.etag();
  }

  void foreignDelete(String key) {
    tell("somebody deletes " + key);
    foreignActs = true;
    quietly(() -> store.delete(storeKey(key), new StoreCondition.Any()));
    foreignGone.add(key);
    check();
    foreignActs = false;
  }

  private <T> T quietly(Supplier<T> action) {
    MemoryObjectStore.Fates was = fates;
    fates = (kind, key) -> Fate.ANSWERED;
    try {
      return action.get();
    } finally {
      fates = was;
    }
  }

  Optional<StoreObject> stored(String key) {
    return Optional.ofNullable(store.objects().get(storeKey(key)));
  }

  Optional<byte[]> storedBody(String key) {
    return store.body(storeKey(key));
  }

  void keep(String key) {
    FlushRecord record = record(key).orElseThrow();
    StoreSight seen = record.conflict().orElseThrow().seen();
    NamespaceResult result =
        apply(new NamespaceCommand.ConflictKeep(BUCKET, key, record.generation(), seen));
    tell("keep " + key + ": " + result);
    if (result instanceof NamespaceResult.Done) {
      named.add(key + " " + (seen instanceof StoreSight.Present(var etag) ? etag : ""));
    }
  }

  /** Takes theirs as the file service does: after a HEAD that shows what was seen. */
  void take(String key) {
    FlushRecord record = record(key).orElseThrow();
    StoreSight seen = record.conflict().orElseThrow().seen();
    Optional<StoreObject> theirs = stored(key);
    StoreSight now =
        theirs
            .<StoreSight>map(object -> new StoreSight.Present(object.etag()))
            .orElseGet(StoreSight.Absent::new);
    if (!now.equals(seen)) {
      return;
    }
    byte[] body = storedBody(key).orElse(new byte[0]);
    NamespaceResult result =
        apply(
            new NamespaceCommand.ConflictTake(
                BUCKET,
                key,
                record.generation(),
                seen,
                body.length,
                ObjectMetadata.NONE,
                steps.wallMillis(),
                BACK));
    tell("take " + key + ": " + result);
    if (result instanceof NamespaceResult.Done) {
      theirs.ifPresent(object -> named.add(key + " " + object.etag()));
      stat(key).ifPresent(head -> model.put(head.generation().value(), new Published(key, body)));
    }
  }

  // What must hold.

  private Optional<Long> ourGeneration(StoreObject object) {
    String generation = object.metadata().get(Flusher.GENERATION);
    return generation == null || !"c1".equals(object.metadata().get(Flusher.CLUSTER))
        ? Optional.empty()
        : Optional.of(Long.parseUnsignedLong(generation, 16));
  }

  private boolean foreign(String key, StoreObject object) {
    return foreignEtags.contains(key + " " + object.etag());
  }

  private void check() {
    Map<String, StoreObject> now = store.objects();
    var keys = new TreeSet<>(now.keySet());
    keys.addAll(before.keySet());
    for (String at : keys) {
      String key = at.substring(NAME.length() + 1);
      Optional<StoreObject> old = Optional.ofNullable(before.get(at));
      Optional<StoreObject> next = Optional.ofNullable(now.get(at));
      if (!old.equals(next) && !foreignActs) {
        checkChange(key, old, next);
      }
    }
    before = now;
    model.values().stream().map(Published::key).distinct().forEach(this::checkReport);
  }

  private void checkChange(String key, Optional<StoreObject> old, Optional<StoreObject> next) {
    if (old.isPresent() && foreign(key, old.get())) {
      assertThat(named.contains(key + " " + old.get().etag()))
          .as("somebody's object '%s' was overwritten, and nobody said keep", key)
          .isTrue();
    }
    if (next.isPresent()) {
      foreignGone.remove(key);
      long generation = ourGeneration(next.get()).orElseThrow();
      assertThat(storedBody(key))
          .as("'%s' in the store is what was published as generation %s", key, generation)
          .hasValueSatisfying(body -> assertThat(body).isEqualTo(model.get(generation).body()));
      if (old.isPresent() && !foreign(key, old.get()) && likeness != Likeness.ETAGS_RECUR) {
        assertThat(generation)
            .as("no older generation over a newer one of '%s'", key)
            .isGreaterThanOrEqualTo(ourGeneration(old.get()).orElseThrow());
      }
    }
  }

  /** What is reported as flushed is in the store, unless others changed it since. */
  private void checkReport(String key) {
    Optional<ObjectHead> head = stat(key);
    if (head.isEmpty() || head.get().flush() != FlushState.FLUSHED || foreignGone.contains(key)) {
      return;
    }
    if (likeness == Likeness.ETAGS_RECUR && !record(key).orElseThrow().settled()) {
      return;
    }
    Optional<StoreObject> object = stored(key);
    if (object.isPresent() && foreign(key, object.get())) {
      return;
    }
    assertThat(storedBody(key))
        .as("'%s' is reported as flushed, %s", key, record(key))
        .hasValueSatisfying(
            body -> assertThat(body).isEqualTo(model.get(head.get().generation().value()).body()));
    assertThat(ourGeneration(object.orElseThrow())).hasValue(head.get().generation().value());
  }

  /** After {@link #settle}: everything that was published is in the store, and nothing else. */
  void checkFlushed() {
    for (String key : keys()) {
      Optional<ObjectHead> head = stat(key);
      if (head.isEmpty()) {
        assertThat(stored(key)).as("'%s' was deleted", key).isEmpty();
        assertThat(record(key)).as("nothing is left to know of '%s'", key).isEmpty();
      } else {
        assertThat(head.get().flush()).as("%s", record(key)).isEqualTo(FlushState.FLUSHED);
        assertThat(record(key).orElseThrow().settled()).isTrue();
      }
    }
    checkReadable();
    assertThat(likeness == Likeness.BLOCK_POOL ? List.of() : store.staged()).isEmpty();
  }

  void checkReadable() {
    for (String key : keys()) {
      if (stat(key).isPresent()) {
        assertThat(read(key)).as("what readers get of '%s'", key).isEqualTo(contents(key).get());
      }
    }
  }

  Set<String> keys() {
    var keys = new TreeSet<String>();
    model.values().forEach(published -> keys.add(published.key()));
    return keys;
  }

  /** How many parts were staged by another node than the upload's. */
  long stagedElsewhere() {
    return stagedElsewhere;
  }

  /** The flushers as one another's peers: a call may be lost, or its answer. */
  private final class Peers implements Network {
    private final NodeId self;

    Peers(String self) {
      this.self = new NodeId(self);
    }

    @Override
    public NodeId self() {
      return self;
    }

    @Override
    public Outcome<Reply> call(
        NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
      var outcome = new Outcome<Reply>(steps);
      LogFate fate = callFates.get();
      if (fate == LogFate.LOST || !(message instanceof FlushMessage.StagePart part)) {
        // No node has a chunk that this one lacks: their volume is one.
        outcome.fail(new ForebayException(ErrorCode.PEER_UNREACHABLE, "the call was lost"));
        return outcome;
      }
      try {
        Reply reply = nodes.get(Integer.parseInt(to.name().substring(1))).handle(part);
        stagedElsewhere++;
        if (fate == LogFate.UNHEARD) {
          outcome.fail(new ForebayException(ErrorCode.TIMEOUT, "the answer was lost"));
        } else {
          outcome.complete(reply);
        }
      } catch (ForebayException failure) {
        outcome.fail(failure);
      }
      return outcome;
    }

    @Override
    public void serve(CallHandler calls, ChunkReceiver chunks) {}

    @Override
    public ChunkUpload upload(ChunkPut put, long deadlineNanos) {
      throw new IllegalStateException("there are no other nodes");
    }

    @Override
    public void addresses(Map<NodeId, String> hostPorts) {}
  }

  /** The log as a flusher reaches it: each command may be overtaken, lost, or unheard. */
  private final class Plane implements ControlPlane {
    private final ClusterImage image =
        new ClusterImage(
            1,
            "c1",
            List.of(),
            holders(),
            List.of(
                new Group(
                    GROUP,
                    new Family(3, 1, Durability.REPLICATED),
                    new Epoch(1),
                    holders().stream()
                        .map(each ->
                            new Member(
                                each.id(), each.incarnation(), MemberState.IN_SYNC, new Epoch(1)))
                        .toList(),
                    List.of(),
                    false)),
            List.of(
                new Bucket(
                    BUCKET,
                    NAME,
                    new Family(1, 1, Durability.REPLICATED),
                    "memory:",
                    FlushMode.BACK,
                    List.of(),
                    1 << 20,
                    0,
                    1_000,
                    0)),
            List.of(),
            List.of());

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      throw new IllegalStateException("the cluster does not change here");
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      steps.pause("log " + command.getClass().getSimpleName());
      LogFate fate = logFates.apply(command);
      if (fate == LogFate.LOST) {
        throw new ForebayException(ErrorCode.UNAVAILABLE, "the command was lost");
      }
      NamespaceResult result = apply(command);
      if (fate == LogFate.UNHEARD) {
        throw new ForebayException(ErrorCode.UNAVAILABLE, "the answer was lost");
      }
      steps.pause("logged " + command.getClass().getSimpleName());
      return result;
    }

    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      return FlushWorld.this.query(query);
    }

    @Override
    public ClusterImage image() {
      return image;
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      return true;
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {
      listener.accept(image);
    }
  }
}
