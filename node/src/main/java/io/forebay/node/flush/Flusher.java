package io.forebay.node.flush;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Env;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.FlushItem;
import io.forebay.core.namespace.FlushKind;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.FlushTask;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.StoreHead;
import io.forebay.core.net.FlushMessage;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings published generations to their stores. Every node takes up work; the namespace's log gives
 * each store key to one attempt at a time, under a number that the object carries in its metadata
 * (rules F1–F3), so that a crash, a late request and somebody else's object can be told apart by a
 * HEAD.
 */
public final class Flusher {
  private static final Logger LOG = LoggerFactory.getLogger(Flusher.class);

  /** Metadata names of the stamp. */
  public static final String CLUSTER = "forebay_cluster";

  public static final String GENERATION = "forebay_generation";
  static final String ATTEMPT = "forebay_attempt";
  static final String ETAG = "forebay_etag";

  private static final int MIN_WORK = 128;
  private static final int WORK_PER_NODE = 8;
  private static final long LOOK_NANOS = 250_000_000L;
  private static final long MAX_LOOK_NANOS = 5_000_000_000L;
  private static final long OTHERS_MILLIS = 5_000;
  private static final long FIRST_BACK_OFF_MILLIS = 500;
  private static final long MAX_BACK_OFF_MILLIS = 60_000;
  private static final int MAX_DOUBLINGS = 7;
  private static final int MAX_MESSAGE = 500;

  /**
   * Names and values that a store takes (S3's bound, the least one). What the user's do not leave
   * room for stays in the namespace only.
   */
  private static final int MAX_METADATA_BYTES = 2048;

  private final Env env;
  private final NodeId self;
  private final ControlPlane plane;
  private final BucketStores stores;
  private final FlushSettings settings;
  private final PartStager stager;
  private final FlushSend.Shared shared;
  private final Permits slots;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeSet<String> running = new TreeSet<>(); // guarded by lock
  private final Map<String, StorePace> paces = new TreeMap<>(); // guarded by lock
  private final AtomicLong flushed = new AtomicLong();
  private final AtomicLong flushedBytes = new AtomicLong();
  private final AtomicLong deleted = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong throttled = new AtomicLong();
  private final AtomicLong unexpected = new AtomicLong();
  private final AtomicLong conflicts = new AtomicLong();

  public Flusher(
      Env env, Network network, ControlPlane plane, ManifestReader manifests, BucketStores stores) {
    this(env, network, plane, manifests, stores, FlushSettings.DEFAULT);
  }

  /** With bounds of its own. */
  public Flusher(
      Env env,
      Network network,
      ControlPlane plane,
      ManifestReader manifests,
      BucketStores stores,
      FlushSettings settings) {
    this.env = env;
    this.self = network.self();
    this.plane = plane;
    this.stores = stores;
    this.settings = settings;
    this.stager = new PartStager(env, network, plane, manifests, stores, settings);
    this.shared =
        new FlushSend.Shared(
            env, plane, manifests, settings, new Permits(env, settings.partsAtOnce()), stager);
    this.slots = new Permits(env, settings.keysAtOnce());
  }

  /** What was done since the start, and how many stores are left alone now. */
  public Map<String, Long> counters() {
    var counters = new TreeMap<String, Long>();
    counters.put("flushedObjects", flushed.get());
    counters.put("flushedBytes", flushedBytes.get());
    counters.put("deletedObjects", deleted.get());
    counters.put("failedAttempts", failed.get());
    counters.put("throttledAttempts", throttled.get());
    counters.put("unexpectedFailures", unexpected.get());
    counters.put("conflicts", conflicts.get());
    counters.put("partsStagedByOthers", stager.elsewhere());
    counters.put("partsStagedForOthers", stager.served());
    lock.lock();
    try {
      counters.put("pausedStores", paces.values().stream().filter(StorePace::paused).count());
      counters.put("retriesHeldBack", paces.values().stream().mapToLong(StorePace::heldBack).sum());
    } finally {
      lock.unlock();
    }
    return counters;
  }

  /** Answers a message of another node's flusher. */
  public Reply handle(FlushMessage message) {
    return switch (message) {
      case FlushMessage.StagePart part -> Reply.of(stager.serve(part));
      case FlushMessage.PartStaged _ ->
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT,
              "an answer was sent as a request: " + message.getClass().getSimpleName());
    };
  }

  /** Takes up work for ever; until interrupted. */
  public void run() {
    int failures = 0;
    while (true) {
      long pause = Math.min(MAX_LOOK_NANOS, LOOK_NANOS << Math.min(failures, MAX_DOUBLINGS));
      env.sleep(pause / 2 + env.random().nextLong(pause));
      try {
        round();
        failures = 0;
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        failures++; // no leader for now: the work is in the log, and waits
      } catch (RuntimeException bug) {
        failures++;
        report("looking for work", bug);
      }
    }
  }

  private void report(String what, RuntimeException bug) {
    unexpected.incrementAndGet();
    LOG.error("{} failed unexpectedly, and is tried again", what, bug);
  }

  /** Looks once, and begins what there is to do and room for. */
  void round() {
    var resting = new ArrayList<BucketId>();
    boolean any = false;
    for (Bucket bucket : plane.image().buckets()) {
      if (!bucket.storeUrl().isEmpty()) {
        // The page of work has room for those whose turn it can be, whatever others have waiting.
        if (pace(bucket).full()) {
          resting.add(bucket.id());
        } else {
          any = true;
        }
      }
    }
    if (!any || slots.available() == 0) {
      return;
    }
    List<NodeId> up = up();
    int work = Math.clamp((long) up.size() * WORK_PER_NODE, MIN_WORK, NamespaceQuery.MAX_PAGE);
    NamespaceAnswer answer =
        plane.query(new NamespaceQuery.FlushWork(work, env.wallMillis(), resting));
    if (answer instanceof NamespaceAnswer.Work(var items)) {
      share(items, up).forEach(this::take);
    }
  }

  private StorePace pace(Bucket bucket) {
    lock.lock();
    try {
      return paces.computeIfAbsent(
          bucket.storeUrl(), url -> new StorePace(env, settings.keysPerStore()));
    } finally {
      lock.unlock();
    }
  }

  private List<NodeId> up() {
    return plane.image().nodes().stream()
        .filter(node -> node.state() != NodeState.DOWN)
        .map(NodeRecord::id)
        .toList();
  }

  /**
   * What this node takes up. Each key belongs to one node; what that one leaves lying goes to the
   * next, and then to the one behind it, so that nodes seldom look at the same key at once. The log
   * lets only one have it anyway.
   */
  private List<FlushItem> share(List<FlushItem> items, List<NodeId> up) {
    if (up.isEmpty()) {
      return items;
    }
    int place = Math.max(0, up.indexOf(self));
    long now = env.wallMillis();
    return items.stream()
        .filter(item ->
            Math.floorMod((long) place - item.key().hashCode(), up.size()) * OTHERS_MILLIS
                <= now - readySinceMillis(item.record()))
        .toList();
  }

  private static long readySinceMillis(FlushRecord record) {
    return Math.max(
        Math.max(
            record.dueMillis(),
            record.failure().map(FlushRecord.Failure::nextTryMillis).orElse(0L)),
        record.open().map(FlushRecord.Attempt::leaseMillis).orElse(0L));
  }

  private void take(FlushItem item) {
    Optional<Bucket> bucket = stores.bucket(item.bucket());
    if (bucket.isEmpty()) {
      return; // this node's image is behind
    }
    boolean retry = item.record().failure().isPresent() || !item.record().unresolved().isEmpty();
    StorePace pace = pace(bucket.get());
    String name = item.bucket() + "/" + item.key();
    lock.lock();
    try {
      if (running.contains(name) || !slots.tryAcquire(1)) {
        return;
      }
      if (!pace.enter(retry)) {
        slots.release(1);
        return;
      }
      running.add(name);
    } finally {
      lock.unlock();
    }
    env.spawn(
        "flush",
        () -> {
          var answer = StorePace.Answer.UNASKED;
          try {
            answer = attempt(bucket.get(), item);
          } catch (ForebayException failure) {
            // The control plane did not answer: an attempt that is open turns unresolved with its
            // lease.
            failed.incrementAndGet();
          } catch (RuntimeException bug) {
            report("flushing " + name, bug);
            recordTrouble(item, ErrorCode.INTERNAL, String.valueOf(bug));
          } finally {
            pace.leave(retry, answer);
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

  private StorePace.Answer attempt(Bucket bucket, FlushItem item) {
    String storeKey = BucketStores.storeKey(bucket, item.key());
    Optional<FlushRecord.Attempt> over = item.record().open();
    if (over.isPresent()) {
      // Its lease is over, or it would not be in the queue. Once that is recorded, the queue says
      // what can be done next, and when.
      endLease(item, over.get());
      return StorePace.Answer.UNASKED;
    }
    if (item.kind() == FlushKind.RESOLVE && !resolvable(item)) {
      return StorePace.Answer.UNASKED;
    }
    ObjectStore store;
    long headStartedMillis = env.wallMillis();
    Optional<StoreHead> head;
    try {
      store = stores.storeOf(bucket);
      dropUploads(store, storeKey, item.record());
      head = item.headNeeded() ? Optional.of(look(store, storeKey)) : Optional.empty();
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      failed.incrementAndGet();
      recordTrouble(item, failure.code(), String.valueOf(failure.getMessage()));
      return answer(failure.code());
    }
    NamespaceResult begun = plane.namespace(begin(item, head, headStartedMillis));
    switch (begun) {
      case NamespaceResult.FlushStarted(var task) -> {
        FlushSend.Verdict verdict =
            new FlushSend(
                    shared,
                    store,
                    storeKey,
                    task,
                    options(task),
                    ref ->
                        stores
                            .bucket(ref.bucket())
                            .filter(from -> from.storeUrl().equals(bucket.storeUrl()))
                            .map(from -> BucketStores.storeKey(from, ref.key())))
                .run();
        return log(task, item, verdict);
      }
      case NamespaceResult.FlushDecided(var record) -> {
        if (record.flatMap(FlushRecord::conflict).isPresent()
            && item.record().conflict().isEmpty()) {
          conflicts.incrementAndGet();
        }
        return StorePace.Answer.TOOK;
      }
      case NamespaceResult _ -> {
        // Somebody else was faster, or it is not due: the next look shows what is left to do.
        return head.isPresent() ? StorePace.Answer.TOOK : StorePace.Answer.UNASKED;
      }
    }
  }

  private NamespaceCommand begin(FlushItem item, Optional<StoreHead> head, long headStartedMillis) {
    return item.kind() == FlushKind.RESOLVE
        ? new NamespaceCommand.FlushResolve(
            item.bucket(),
            item.key(),
            item.record().version(),
            head.orElseThrow(),
            headStartedMillis - settings.clockMillis())
        : new NamespaceCommand.FlushBegin(
            item.bucket(),
            item.key(),
            self,
            item.record().version(),
            head,
            settings.leaseMillis(),
            settings.landingMillis());
  }

  private void endLease(FlushItem item, FlushRecord.Attempt over) {
    if (over.leaseMillis() <= env.wallMillis()) {
      plane.namespace(
          new NamespaceCommand.FlushUnresolved(
              item.bucket(),
              item.key(),
              over.number(),
              ErrorCode.TIMEOUT,
              "node " + over.node() + " did not end attempt " + over.number(),
              env.wallMillis()));
    }
  }

  /** Whether a HEAD could resolve anything by now. */
  private boolean resolvable(FlushItem item) {
    long horizon = env.wallMillis() - settings.clockMillis();
    return item.record().unresolved().stream().anyMatch(each -> each.landsMillis() <= horizon);
  }

  /** What earlier attempts staged and can no longer use, or should not (F5). */
  private void dropUploads(ObjectStore store, String storeKey, FlushRecord record) {
    record.unresolved().stream()
        .flatMap(each -> each.upload().stream())
        .forEach(upload -> store.abort(storeKey, upload));
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

  private StorePace.Answer log(FlushTask task, FlushItem item, FlushSend.Verdict verdict) {
    switch (verdict) {
      case FlushSend.Verdict.Done(var etag) -> {
        plane.namespace(
            new NamespaceCommand.FlushEnd(task.bucket(), task.key(), task.attempt(), etag));
        if (task.kind() == FlushKind.DELETE) {
          deleted.incrementAndGet();
        } else {
          flushed.incrementAndGet();
          flushedBytes.addAndGet(task.lengthBytes());
        }
        return StorePace.Answer.TOOK;
      }
      case FlushSend.Verdict.Failed(var code, var message) -> {
        failed.incrementAndGet();
        plane.namespace(
            new NamespaceCommand.FlushFailed(
                task.bucket(), task.key(), task.attempt(), code, cut(message), nextTry(item)));
        return answer(code);
      }
      case FlushSend.Verdict.Unresolved(var code, var message) -> {
        failed.incrementAndGet();
        plane.namespace(
            new NamespaceCommand.FlushUnresolved(
                task.bucket(), task.key(), task.attempt(), code, cut(message), nextTry(item)));
        return answer(code);
      }
    }
  }

  private void recordTrouble(FlushItem item, ErrorCode code, String message) {
    try {
      plane.namespace(
          new NamespaceCommand.FlushTrouble(
              item.bucket(),
              item.key(),
              item.record().version(),
              code,
              cut(message),
              nextTry(item)));
    } catch (ForebayException unheard) {
      // Not even that can be logged now; the key is still in the queue, and the store's pace slows.
      failed.incrementAndGet();
    }
  }

  private static String cut(String message) {
    return message.length() <= MAX_MESSAGE ? message : message.substring(0, MAX_MESSAGE) + "...";
  }

  private StorePace.Answer answer(ErrorCode code) {
    return switch (code) {
      case STORE_THROTTLED -> {
        throttled.incrementAndGet();
        yield StorePace.Answer.THROTTLED;
      }
      case STORE_UNREACHABLE, STORE_DENIED, STORE_MISSING, TIMEOUT, CONFIGURATION ->
          StorePace.Answer.FAILED;
      case STORE_CONFLICT, NO_SUCH_UPLOAD -> StorePace.Answer.TOOK;
      default -> StorePace.Answer.UNASKED;
    };
  }

  private long nextTry(FlushItem item) {
    int count = item.record().failure().map(FlushRecord.Failure::count).orElse(0);
    long backOff =
        Math.min(MAX_BACK_OFF_MILLIS, FIRST_BACK_OFF_MILLIS << Math.min(count, MAX_DOUBLINGS));
    return env.wallMillis() + backOff / 2 + env.random().nextLong(backOff / 2 + 1);
  }

  /** At most; some values are written in four characters for three, with 12 around them. */
  private static int headerBytes(String name, String value) {
    boolean plain = !value.isEmpty() && value.equals(value.strip()) && !value.contains("  ");
    return name.length()
        + (plain && !value.startsWith("=?") ? value.length() : 12 + (value.length() + 2) / 3 * 4);
  }

  private PutOptions options(FlushTask task) {
    var metadata = new TreeMap<String, String>();
    metadata.put(CLUSTER, plane.image().clusterId());
    metadata.put(GENERATION, Long.toHexString(task.generation().value()));
    metadata.put(ATTEMPT, Long.toString(task.attempt()));
    metadata.put(ETAG, task.etag());
    int left = MAX_METADATA_BYTES;
    for (Map.Entry<String, String> stamp : metadata.entrySet()) {
      left -= headerBytes(stamp.getKey(), stamp.getValue());
    }
    for (Map.Entry<String, String> each : task.metadata().user().entrySet()) {
      String name = each.getKey().toLowerCase(Locale.ROOT);
      String value = each.getValue();
      int bytes = headerBytes(name, value);
      if (name.matches("[a-z_][a-z0-9_]*") && value.matches("[ -~]*") && bytes <= left) {
        left -= metadata.putIfAbsent(name, value) == null ? bytes : 0;
      }
    }
    return new PutOptions(
        FlushSend.condition(task.condition()),
        task.metadata().contentType(),
        task.metadata().headers(),
        metadata);
  }
}
