package io.forebay.node.flush;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.backing.StoreLimits;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.Generation;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.FlushItem;
import io.forebay.core.namespace.FlushKind;
import io.forebay.core.namespace.FlushTask;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.StoreHead;
import io.forebay.core.namespace.StoreRef;
import io.forebay.core.namespace.StoreSight;
import io.forebay.node.read.ManifestReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Brings published generations to their stores. Every node takes up work; the namespace's log gives
 * each store key to one attempt at a time, under a number that the object carries in its metadata
 * (rules F1–F3), so that a crash, a late request and somebody else's object can be told apart by a
 * HEAD.
 */
public final class Flusher {
  /** Metadata names of the stamp. */
  static final String CLUSTER = "forebay_cluster";

  static final String GENERATION = "forebay_generation";
  static final String ATTEMPT = "forebay_attempt";
  static final String ETAG = "forebay_etag";

  private static final int AT_ONCE = 4;
  private static final int PARTS_AT_ONCE = 3;
  private static final int WORK = 32;
  private static final long LOOK_NANOS = 250_000_000L;
  private static final long LEASE_MILLIS = 60_000;
  // The SDKs' requests time out after a minute; whatever was sent has landed or never will by then.
  private static final long LANDING_MILLIS = 90_000;
  // What the clocks of two nodes may differ by.
  private static final long CLOCK_MILLIS = 5_000;
  private static final int PUT_BYTES = 8 << 20;
  private static final int PART_BYTES = 16 << 20;
  private static final long FIRST_BACK_OFF_MILLIS = 500;
  private static final long MAX_BACK_OFF_MILLIS = 30_000;

  private final Env env;
  private final NodeId self;
  private final ControlPlane plane;
  private final ManifestReader manifests;
  private final BucketStores stores;
  private final Permits slots;
  private final Permits partSlots;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeSet<String> running = new TreeSet<>(); // guarded by lock
  private final AtomicLong flushed = new AtomicLong();
  private final AtomicLong flushedBytes = new AtomicLong();
  private final AtomicLong deleted = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong conflicts = new AtomicLong();

  public Flusher(
      Env env, NodeId self, ControlPlane plane, ManifestReader manifests, BucketStores stores) {
    this.env = env;
    this.self = self;
    this.plane = plane;
    this.manifests = manifests;
    this.stores = stores;
    this.slots = new Permits(env, AT_ONCE);
    this.partSlots = new Permits(env, PARTS_AT_ONCE);
  }

  /** What was done since the start. */
  public Map<String, Long> counters() {
    var counters = new TreeMap<String, Long>();
    counters.put("flushedObjects", flushed.get());
    counters.put("flushedBytes", flushedBytes.get());
    counters.put("deletedObjects", deleted.get());
    counters.put("failedAttempts", failed.get());
    counters.put("conflicts", conflicts.get());
    return counters;
  }

  /** Takes up work for ever; until interrupted. */
  public void run() {
    while (true) {
      env.sleep(LOOK_NANOS / 2 + env.random().nextLong(LOOK_NANOS));
      if (plane.image().buckets().stream().allMatch(bucket -> bucket.storeUrl().isEmpty())) {
        continue;
      }
      try {
        NamespaceAnswer answer = plane.query(new NamespaceQuery.FlushWork(WORK, env.wallMillis()));
        if (answer instanceof NamespaceAnswer.Work(var items)) {
          share(items).forEach(this::take);
        }
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // No leader for now: the work is in the log, and waits.
      }
    }
  }

  /**
   * Each node begins at another place of the list, so that nodes seldom reach for the same key; the
   * log lets only one have it anyway.
   */
  private List<FlushItem> share(List<FlushItem> items) {
    List<NodeId> up =
        plane.image().nodes().stream()
            .filter(node -> node.state() != NodeState.DOWN)
            .map(NodeRecord::id)
            .toList();
    int place = Math.max(0, up.indexOf(self));
    var mine = new ArrayList<FlushItem>();
    for (int i = 0; i < items.size(); i++) {
      FlushItem item = items.get(i);
      boolean own = up.isEmpty() || Math.floorMod(item.key().hashCode(), up.size()) == place;
      // What its own node has not taken up for a while, anybody may.
      if (own || env.wallMillis() - item.record().dueMillis() > 5_000) {
        mine.add(item);
      }
    }
    return mine;
  }

  private void take(FlushItem item) {
    String name = item.bucket() + "/" + item.key();
    lock.lock();
    try {
      if (running.contains(name) || !slots.tryAcquire(1)) {
        return;
      }
      running.add(name);
    } finally {
      lock.unlock();
    }
    env.spawn(
        "flush",
        () -> {
          try {
            attempt(item);
          } catch (ForebayException failure) {
            // Recorded where it could be; an attempt that is still open turns unresolved with its
            // lease.
            failed.incrementAndGet();
          } finally {
            slots.release(1);
            lock.lock();
            try {
              running.remove(name);
            } finally {
              lock.unlock();
            }
          }
        });
  }

  private void attempt(FlushItem item) {
    Optional<Bucket> bucket = stores.bucket(item.bucket());
    if (bucket.isEmpty()) {
      return;
    }
    ObjectStore store = stores.storeOf(bucket.get());
    String storeKey = BucketStores.storeKey(bucket.get(), item.key());
    if (item.kind() == FlushKind.RESOLVE) {
      long headStarted = env.wallMillis() - CLOCK_MILLIS;
      plane.namespace(
          new NamespaceCommand.FlushResolve(
              item.bucket(),
              item.key(),
              item.record().version(),
              look(store, storeKey),
              headStarted));
      return;
    }
    Optional<StoreHead> head =
        item.headNeeded() ? Optional.of(look(store, storeKey)) : Optional.empty();
    NamespaceResult begun =
        plane.namespace(
            new NamespaceCommand.FlushBegin(
                item.bucket(),
                item.key(),
                self,
                item.record().version(),
                head,
                LEASE_MILLIS,
                LANDING_MILLIS));
    if (begun instanceof NamespaceResult.FlushStarted(var task)) {
      send(bucket.get(), store, storeKey, task, item);
    } else if (begun instanceof NamespaceResult.Refused(var code, var message)
        && code == ErrorCode.STORE_CONFLICT) {
      conflicts.incrementAndGet();
    }
  }

  /** A HEAD as the log understands it. */
  private StoreHead look(ObjectStore store, String storeKey) {
    Optional<StoreObject> found = store.head(storeKey);
    if (found.isEmpty()) {
      return new StoreHead.Missing();
    }
    StoreObject object = found.get();
    Optional<StoreHead.Stamp> stamp = Optional.empty();
    if (plane.image().clusterId().equals(object.metadata().get(CLUSTER))) {
      try {
        stamp =
            Optional.of(
                new StoreHead.Stamp(
                    new Generation(
                        Long.parseUnsignedLong(object.metadata().getOrDefault(GENERATION, ""), 16)),
                    Long.parseLong(object.metadata().getOrDefault(ATTEMPT, ""))));
      } catch (NumberFormatException damaged) {
        // Metadata that we did not write so: no stamp of ours.
        stamp = Optional.empty();
      }
    }
    return new StoreHead.Found(object.etag(), object.lengthBytes(), stamp);
  }

  private void send(
      Bucket bucket, ObjectStore store, String storeKey, FlushTask task, FlushItem item) {
    try {
      switch (task.kind()) {
        case PUT -> put(store, storeKey, task, item);
        case COPY -> copy(bucket, store, storeKey, task, item);
        case DELETE -> delete(store, storeKey, task, item);
        case RESOLVE -> throw new IllegalStateException("a RESOLVE is not sent");
      }
    } catch (ForebayException failure) {
      failed.incrementAndGet();
      switch (failure.code()) {
        case STORE_DENIED,
            STORE_MISSING,
            STORE_THROTTLED,
            NO_SUCH_UPLOAD,
            CHUNK_ABSENT,
            CORRUPT,
            GENERATION_GONE ->
            refuse(task, item, failure.code(), String.valueOf(failure.getMessage()));
        default ->
            plane.namespace(
                new NamespaceCommand.FlushUnresolved(task.bucket(), task.key(), task.attempt()));
      }
    }
  }

  /** The attempt failed and can no longer land. */
  private void refuse(FlushTask task, FlushItem item, ErrorCode code, String message) {
    int count = item.record().failure().map(before -> before.count()).orElse(0);
    long backOff = Math.min(MAX_BACK_OFF_MILLIS, FIRST_BACK_OFF_MILLIS << Math.min(count, 10));
    long next = env.wallMillis() + backOff / 2 + env.random().nextLong(backOff);
    plane.namespace(
        new NamespaceCommand.FlushFailed(
            task.bucket(), task.key(), task.attempt(), code, message, next));
  }

  private PutOptions options(FlushTask task) {
    var metadata = new TreeMap<String, String>();
    task.metadata()
        .user()
        .forEach((name, value) -> {
          if (name.matches("[A-Za-z_][A-Za-z0-9_]*") && value.matches("[ -~]*")) {
            metadata.put(name.toLowerCase(Locale.ROOT), value);
          }
        });
    metadata.put(CLUSTER, plane.image().clusterId());
    metadata.put(GENERATION, Long.toHexString(task.generation().value()));
    metadata.put(ATTEMPT, Long.toString(task.attempt()));
    metadata.put(ETAG, task.etag());
    return new PutOptions(
        condition(task.condition()),
        task.metadata().contentType(),
        task.metadata().headers(),
        metadata);
  }

  private static StoreCondition condition(StoreSight sight) {
    return switch (sight) {
      case StoreSight.Absent _ -> new StoreCondition.IfAbsent();
      case StoreSight.Present(var etag) -> new StoreCondition.IfMatch(etag);
    };
  }

  private void settle(FlushTask task, FlushItem item, ObjectStore.PutResult result) {
    switch (result) {
      case ObjectStore.PutResult.Stored(var etag) -> {
        plane.namespace(
            new NamespaceCommand.FlushEnd(task.bucket(), task.key(), task.attempt(), etag));
        flushed.incrementAndGet();
        flushedBytes.addAndGet(task.lengthBytes());
      }
      case ObjectStore.PutResult.Refused _ ->
          refuse(
              task,
              item,
              ErrorCode.STORE_CONFLICT,
              "the store object is not what it was when last seen");
    }
  }

  private void put(ObjectStore store, String storeKey, FlushTask task, FlushItem item) {
    ManifestReader.Source source = manifests.open(task.manifest(), Optional.empty());
    PutOptions options = options(task);
    if (task.lengthBytes() <= PUT_BYTES) {
      var body = new ArrayList<Bytes>();
      try {
        read(source, 0, task.lengthBytes(), body);
        settle(task, item, store.put(storeKey, body, options));
      } finally {
        body.forEach(Bytes::release);
      }
      return;
    }
    String upload =
        store.begin(
            storeKey, Long.toHexString(task.generation().value()) + "-" + task.attempt(), options);
    List<String> tags;
    try {
      tags = stageAll(store, storeKey, upload, source, task);
    } catch (RuntimeException failure) {
      dropQuietly(store, storeKey, upload);
      // Nothing was committed: the attempt cannot land.
      throw new ForebayException(
          failure instanceof ForebayException known
                  && known.code() != ErrorCode.TIMEOUT
                  && known.code() != ErrorCode.STORE_UNREACHABLE
              ? known.code()
              : ErrorCode.STORE_THROTTLED,
          String.valueOf(failure.getMessage()),
          failure);
    }
    settle(task, item, store.commit(storeKey, upload, tags, options));
  }

  private void dropQuietly(ObjectStore store, String storeKey, String upload) {
    try {
      store.abort(storeKey, upload);
    } catch (ForebayException left) {
      // What is left of an upload costs room in the store until the store's own rules remove it.
      failed.incrementAndGet();
    }
  }

  private List<String> stageAll(
      ObjectStore store,
      String storeKey,
      String upload,
      ManifestReader.Source source,
      FlushTask task) {
    StoreLimits limits = store.limits();
    long partBytes = PART_BYTES;
    while (task.lengthBytes() / partBytes >= limits.maxParts()) {
      partBytes *= 2;
    }
    var outcomes = new ArrayList<Outcome<String>>();
    long leaseMillis = task.leaseMillis();
    for (long offset = 0; offset < task.lengthBytes(); offset += partBytes) {
      long from = offset;
      long length = Math.min(partBytes, task.lengthBytes() - offset);
      int part = outcomes.size() + 1;
      partSlots.acquire(1);
      leaseMillis = extended(task, leaseMillis);
      var outcome = new Outcome<String>(env);
      outcomes.add(outcome);
      env.spawn(
          "flush-part",
          () -> {
            var body = new ArrayList<Bytes>();
            try {
              read(source, from, length, body);
              outcome.complete(store.stage(storeKey, upload, part, body));
            } catch (Throwable failure) {
              outcome.fail(failure);
            } finally {
              body.forEach(Bytes::release);
              partSlots.release(1);
            }
          });
    }
    var tags = new ArrayList<String>();
    ForebayException first = null;
    for (Outcome<String> outcome : outcomes) {
      try {
        tags.add(outcome.await());
        leaseMillis = extended(task, leaseMillis);
      } catch (ForebayException failure) {
        first = first == null ? failure : first;
      }
    }
    if (first != null) {
      throw first;
    }
    return tags;
  }

  /** Prolongs the attempt's lease when half of it is over. */
  private long extended(FlushTask task, long leaseMillis) {
    if (leaseMillis - env.wallMillis() > LEASE_MILLIS / 2) {
      return leaseMillis;
    }
    NamespaceResult result =
        plane.namespace(
            new NamespaceCommand.FlushExtend(
                task.bucket(), task.key(), task.attempt(), LEASE_MILLIS, LANDING_MILLIS));
    return switch (result) {
      case NamespaceResult.FlushExtended(long until) -> until;
      case NamespaceResult.Refused refused -> throw refused.exception();
      case NamespaceResult other ->
          throw new ForebayException(ErrorCode.INTERNAL, "a lease was answered with " + other);
    };
  }

  private static void read(ManifestReader.Source source, long from, long length, List<Bytes> into) {
    for (long offset = from; offset < from + length; ) {
      Bytes bytes = source.read(offset, (int) Math.min(1 << 20, from + length - offset));
      into.add(bytes);
      offset += bytes.length();
    }
  }

  private void copy(
      Bucket bucket, ObjectStore store, String storeKey, FlushTask task, FlushItem item) {
    if (!(task.manifest() instanceof Manifest.Stored(StoreRef ref, Manifest hint))
        || ref.offset() != 0) {
      put(store, storeKey, task, item);
      return;
    }
    Bucket from = stores.bucket(ref.bucket()).orElse(bucket);
    settle(
        task,
        item,
        store.copy(BucketStores.storeKey(from, ref.key()), ref.etag(), storeKey, options(task)));
  }

  private void delete(ObjectStore store, String storeKey, FlushTask task, FlushItem item) {
    switch (store.delete(storeKey, condition(task.condition()))) {
      case ObjectStore.DeleteResult.Deleted _, ObjectStore.DeleteResult.Missing _ -> {
        plane.namespace(
            new NamespaceCommand.FlushEnd(task.bucket(), task.key(), task.attempt(), ""));
        deleted.incrementAndGet();
      }
      case ObjectStore.DeleteResult.Refused _ ->
          refuse(
              task,
              item,
              ErrorCode.STORE_CONFLICT,
              "the store object is not what it was when last seen");
    }
  }
}
