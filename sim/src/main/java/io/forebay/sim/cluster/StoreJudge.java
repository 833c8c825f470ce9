package io.forebay.sim.cluster;

import io.forebay.core.backing.MemoryObjectStore;
import io.forebay.core.backing.MemoryObjectStore.Likeness;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.file.FlushState;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.StoreSight;
import io.forebay.node.flush.BucketStores;
import io.forebay.node.flush.Flusher;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.zip.CRC32C;

/**
 * Says when the store does not hold what the rules of the flush promise: at each change of an
 * object, and at each word of the namespace that a generation is flushed.
 *
 * <p>Somebody else's objects are told apart by what is known here and nobody else can know: who
 * wrote them.
 */
final class StoreJudge {
  private final Judge judge;
  private final MemoryObjectStore store;
  private final Likeness likeness;
  private Map<String, StoreObject> present = new TreeMap<>(); // by store key
  private final Map<String, History.Version> theirs = new TreeMap<>(); // by "key etag"
  private final TreeSet<String> decided = new TreeSet<>(); // "key etag", of keep and take
  private final TreeSet<String> disturbed = new TreeSet<>(); // keys that others ever touched
  private final TreeSet<String> gone = new TreeSet<>(); // keys that others emptied last
  private final TreeSet<String> landed = new TreeSet<>(); // "key generation" that it ever had

  StoreJudge(Judge judge, MemoryObjectStore store, Likeness likeness) {
    this.judge = judge;
    this.store = store;
    this.likeness = likeness;
  }

  // What happens in the store.

  /** Somebody else has written an object. */
  void theyWrote(String key, String etag, History.Version version) {
    theirs.put(name(key, etag), version);
    gone.remove(key);
    disturbed.add(key);
    present = store.objects();
  }

  /** Somebody else has deleted an object. */
  void theyDeleted(String key) {
    gone.add(key);
    disturbed.add(key);
    present = store.objects();
  }

  /** A request of ours was carried out, or may have been. */
  void changed() {
    Map<String, StoreObject> before = present;
    present = store.objects();
    var keys = new TreeSet<>(present.keySet());
    keys.addAll(before.keySet());
    for (String key : keys) {
      Optional<StoreObject> old = Optional.ofNullable(before.get(key));
      Optional<StoreObject> next = object(key);
      if (!old.equals(next)) {
        check(key, old, next);
      }
    }
  }

  private void check(String key, Optional<StoreObject> old, Optional<StoreObject> next) {
    judge.looked();
    if (old.isPresent()
        && theirs(old.get()).isPresent()
        && !decided.contains(name(key, old.get().etag()))) {
      judge.violation(
          "F3: somebody's " + old.get() + " became " + next + ", and nobody said keep or take");
    }
    long older = old.filter(object -> theirs(object).isEmpty()).map(StoreJudge::stamp).orElse(0L);
    if (next.isEmpty()) {
      if (older != 0 && older == generation(key)) {
        judge.violation("F2: the present generation of " + key + " was deleted in the store");
      }
      return;
    }
    gone.remove(key);
    int slash = key.indexOf('/');
    judge
        .image()
        .bucket(key.substring(0, slash))
        .ifPresent(bucket -> judge.policies().stored(bucket.id(), key.substring(slash + 1)));
    long newer = stamp(next.get());
    landed.add(name(key, newer));
    Optional<History.Version> content = content(key);
    if (content.isEmpty() || !content.equals(judge.history().of(newer))) {
      judge.violation(
          "F: the store got "
              + next.get()
              + " of "
              + content
              + ", published was "
              + judge.history().of(newer));
    }
    // Where ETags recur, an older attempt may find its condition fulfilled by equal bytes, and a
    // HEAD mends it before anything is clean (F5).
    if (newer < older && likeness != Likeness.ETAGS_RECUR) {
      judge.violation("F1: the store got " + next.get() + " in the place of generation " + older);
    }
  }

  private static String name(String key, long generation) {
    return key + " " + generation;
  }

  private static String name(String key, String etag) {
    return key + " " + etag;
  }

  private Optional<StoreObject> object(String key) {
    return Optional.ofNullable(present.get(key));
  }

  /** What somebody else wrote, if it was somebody else. */
  private Optional<History.Version> theirs(StoreObject object) {
    return Optional.ofNullable(theirs.get(name(object.key(), object.etag())));
  }

  /** The generation that the object says it is; 0 for somebody else's. */
  private static long stamp(StoreObject object) {
    return Long.parseUnsignedLong(object.metadata().getOrDefault(Flusher.GENERATION, "0"), 16);
  }

  private Optional<History.Version> content(String key) {
    return store
        .body(key)
        .flatMap(body -> {
          var crc = new CRC32C();
          crc.update(body);
          return judge.history().written(body.length, (int) crc.getValue());
        });
  }

  /** The generation that the namespace has for a store key now; 0 for none. */
  private long generation(String storeKey) {
    int slash = storeKey.indexOf('/');
    return judge
        .image()
        .bucket(storeKey.substring(0, slash))
        .map(bucket -> judge.history().generation(bucket.id(), storeKey.substring(slash + 1)))
        .orElse(0L);
  }

  // What the namespace says.

  /** The namespace has answered a command. */
  void happened(NamespaceCommand command, NamespaceResult result) {
    switch (command) {
      case NamespaceCommand.FlushBegin begin -> report(begin.bucket(), begin.key());
      case NamespaceCommand.FlushEnd end -> report(end.bucket(), end.key());
      case NamespaceCommand.FlushResolve resolve -> report(resolve.bucket(), resolve.key());
      case NamespaceCommand.ConflictKeep keep -> {
        if (result instanceof NamespaceResult.Done
            && keep.seen() instanceof StoreSight.Present(var etag)) {
          decided.add(name(storeKey(keep.bucket(), keep.key()), etag));
        }
      }
      case NamespaceCommand.ConflictTake take -> {
        if (result instanceof NamespaceResult.Done) {
          took(take);
        }
      }
      default -> throw new IllegalArgumentException("nothing of the flush: " + command);
    }
  }

  private void took(NamespaceCommand.ConflictTake take) {
    String key = storeKey(take.bucket(), take.key());
    long now = judge.nanoTime();
    if (!(take.seen() instanceof StoreSight.Present(var etag))) {
      judge.history().deleted(now, take.bucket(), take.key());
      return;
    }
    History.Version version = theirs.get(name(key, etag));
    if (version == null) {
      judge.violation("F8: " + take + " takes what nobody else wrote");
      return;
    }
    decided.add(name(key, etag));
    Generation generation = judge.generation(take.bucket(), take.key());
    landed.add(name(key, generation.value()));
    judge.history().taken(now, take.bucket(), take.key(), generation, version);
  }

  private String storeKey(BucketId id, String key) {
    return judge.image().buckets().stream()
        .filter(bucket -> bucket.id().equals(id))
        .map(bucket -> BucketStores.storeKey(bucket, key))
        .findFirst()
        .orElseThrow();
  }

  private Optional<FlushRecord> record(BucketId bucket, String key) {
    return judge.query(new NamespaceQuery.FlushOf(bucket, key))
            instanceof NamespaceAnswer.OfKey(var record)
        ? record
        : Optional.empty();
  }

  /** What is called flushed is in the store, and a conflict has somebody who made it. */
  private void report(BucketId bucket, String key) {
    judge.looked();
    String at = storeKey(bucket, key);
    Optional<FlushRecord> record = record(bucket, key);
    if (record.flatMap(FlushRecord::conflict).isPresent() && !disturbed.contains(at)) {
      judge.violation("F3: nobody else touched " + at + ", and it is in conflict: " + record);
    }
    if (!(judge.query(new NamespaceQuery.Stat(bucket, key))
            instanceof NamespaceAnswer.Found(var head, var _))
        || head.flush() != FlushState.FLUSHED) {
      return;
    }
    boolean settled = record.filter(FlushRecord::settled).isPresent();
    // Whatever others did since: it was there. Of one entry's commands the history knows one after
    // the other, and the namespace all.
    if (head.generation().value() == judge.history().generation(bucket, key)
        && (settled || likeness != Likeness.ETAGS_RECUR)
        && !landed.contains(name(at, head.generation().value()))) {
      judge.violation("F: " + head + " is called flushed, and the store never had it");
    }
    if (gone.contains(at)) {
      return;
    }
    Optional<StoreObject> object = object(at);
    if (object.flatMap(this::theirs).isPresent()
        || (likeness == Likeness.ETAGS_RECUR && !settled)) {
      return;
    }
    if (object.map(StoreJudge::stamp).orElse(0L) != head.generation().value()) {
      judge.violation("F: " + head + " is called flushed, and the store has " + object);
    }
  }

  /** A writer of mode THROUGH was told that it is done. */
  void through(BucketId bucket, String key, Generation generation) {
    judge.looked();
    Optional<StoreObject> object = object(storeKey(bucket, key));
    if (judge.history().generation(bucket, key) == generation.value()
        && object.map(StoreJudge::stamp).orElse(0L) != generation.value()) {
      judge.violation("C3: " + key + " went through as " + generation + " to " + object);
    }
  }

  /** Whether the store has anything of a key, is to get or to lose it. */
  boolean concerns(BucketId bucket, String key) {
    return record(bucket, key).isPresent() || object(storeKey(bucket, key)).isPresent();
  }

  // Everything.

  /** Looks at what is said of every key. */
  void audit() {
    for (Bucket bucket : backed()) {
      judge.history().keys(bucket.id()).forEach(key -> report(bucket.id(), key));
    }
  }

  private List<Bucket> backed() {
    return judge.image().buckets().stream().filter(bucket -> !bucket.storeUrl().isEmpty()).toList();
  }

  /** Keys of a bucket that hold something which the store has no more, by the doing of others. */
  List<String> disturbed(BucketId bucket) {
    return judge.history().keys(bucket).stream()
        .filter(key -> {
          String at = storeKey(bucket, key);
          return disturbed.contains(at)
              && judge.history().current(bucket, key).isPresent()
              && record(bucket, key).filter(FlushRecord::settled).isPresent()
              && landed.contains(name(at, judge.history().generation(bucket, key)))
              && !holdsCurrent(bucket, key);
        })
        .toList();
  }

  /** Whether the store has what the key holds, or nothing, as the key. */
  boolean holdsCurrent(BucketId bucket, String key) {
    Optional<StoreObject> object = object(storeKey(bucket, key));
    Optional<History.Version> current = judge.history().current(bucket, key);
    Optional<History.Version> foreign = object.flatMap(this::theirs);
    return foreign.isPresent()
        ? current.isEmpty() || foreign.equals(current)
        : object.map(StoreJudge::stamp).orElse(0L) == judge.history().generation(bucket, key);
  }

  /** Whether a key is in the cache only, and is to be. */
  private boolean isHeld(Bucket bucket, String key) {
    return bucket.modeOf(key) == FlushMode.CACHE_ONLY && !concerns(bucket.id(), key);
  }

  /** What the store lacks, has too much, or has under way; empty when all is done. */
  List<String> unsettled() {
    var found = new ArrayList<String>();
    for (Bucket bucket : backed()) {
      for (String key : judge.history().keys(bucket.id())) {
        judge.looked();
        Optional<FlushRecord> record = record(bucket.id(), key);
        if (record.filter(each -> !each.settled()).isPresent()) {
          found.add(key + " is " + record.get());
        } else if (!holdsCurrent(bucket.id(), key) && !isHeld(bucket, key)) {
          found.add(
              key
                  + " holds "
                  + judge.history().current(bucket.id(), key)
                  + ", the store "
                  + object(BucketStores.storeKey(bucket, key)));
        }
      }
    }
    if (likeness != Likeness.BLOCK_POOL) { // which empties its pool in its own time
      store.staged().forEach(upload -> found.add("parts are left of " + upload));
    }
    return found;
  }
}
