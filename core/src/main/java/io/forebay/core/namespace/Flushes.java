package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.namespace.FlushRecord.Attempt;
import io.forebay.core.namespace.FlushRecord.Conflict;
import io.forebay.core.namespace.FlushRecord.Failure;
import io.forebay.core.namespace.FlushRecord.Target;
import io.forebay.core.namespace.Rows.Entry;
import io.forebay.core.namespace.Rows.FlushRow;
import io.forebay.core.namespace.Rows.GenerationRow;
import io.forebay.core.rule.Level;
import io.forebay.core.rule.Rule;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;

/**
 * The flush of store keys (F1–F8, F11): every change of a record goes through {@link #put}, which
 * keeps the queue, settles what is recorded, and lets wait what others refer to.
 */
final class Flushes {
  private static final StoreSight ABSENT = new StoreSight.Absent();

  private final Change change;

  Flushes(Change change) {
    this.change = change;
  }

  static Optional<FlushRecord> record(SortedMap.View view, BucketId bucket, String key) {
    return Rows.get(view, Keys.flush(bucket, key), FlushRow.class).map(FlushRow::record);
  }

  private Optional<FlushRecord> record(BucketId bucket, String key) {
    return record(change.out, bucket, key);
  }

  /** A record that is changed step by step; the version always grows. */
  private final class Draft {
    final BucketId bucket;
    final String key;
    long version;
    Target target;
    long due;
    long since;
    StoreSight seen = ABSENT;
    boolean headNeeded;
    Optional<Attempt> open = Optional.empty();
    List<Attempt> unresolved = new ArrayList<>();
    Optional<Conflict> conflict = Optional.empty();
    Optional<Failure> failure = Optional.empty();

    Draft(BucketId bucket, String key, Target target) {
      this.bucket = bucket;
      this.key = key;
      this.target = target;
      this.due = change.now;
      this.since = change.now;
      this.version = change.nextId();
    }

    Draft(BucketId bucket, String key, FlushRecord old) {
      this.bucket = bucket;
      this.key = key;
      version = old.version();
      target = old.target();
      due = old.dueMillis();
      since = old.sinceMillis();
      seen = old.seen();
      headNeeded = old.headNeeded();
      open = old.open();
      unresolved.addAll(old.unresolved());
      conflict = old.conflict();
      failure = old.failure();
    }

    FlushRecord record() {
      return new FlushRecord(
          version, target, due, since, seen, headNeeded, open, unresolved, conflict, failure);
    }

    /** The open attempt may have landed or may still land (F2). */
    void openIsUnresolved() {
      if (Rule.F2.holds()) {
        open.ifPresent(unresolved::add);
      }
      open = Optional.empty();
    }

    void failed(ErrorCode code, String message, long nextTryMillis) {
      int count = failure.map(Failure::count).orElse(0) + 1;
      failure = Optional.of(new Failure(code, message, count, nextTryMillis));
    }

    void target(Target next, long dueMillis) {
      if (target instanceof Target.Flushed || target instanceof Target.Gone) {
        since = change.now;
      }
      target = next;
      due = dueMillis;
      failure = Optional.empty();
    }

    Optional<FlushRecord> save() {
      version = change.versionAfter(version);
      return put(bucket, key, Optional.of(record()));
    }
  }

  /** Stores a record, settles it when it can be, and moves it in the queue. */
  private Optional<FlushRecord> put(BucketId bucket, String key, Optional<FlushRecord> next) {
    byte[] row = Keys.flush(bucket, key);
    Optional<FlushRow> old = Rows.get(change.out, row, FlushRow.class);
    Optional<FlushRecord> kept =
        next.filter(r -> !(r.target() instanceof Target.Gone && r.settled()));
    Optional<Long> oldOpen = old.flatMap(r -> r.record().open()).map(Attempt::number);
    Optional<Long> newOpen = kept.flatMap(FlushRecord::open).map(Attempt::number);
    if (!oldOpen.equals(newOpen)) {
      oldOpen.ifPresent(number -> change.out.remove(Keys.of(Keys.ATTEMPT, number)));
      newOpen.ifPresent(number ->
          change.out.put(
              Keys.of(Keys.ATTEMPT, number),
              ByteBuffer.allocate(8 + Keys.utf8(key).length)
                  .putLong(bucket.value())
                  .put(Keys.utf8(key))
                  .array()));
    }
    if (kept.isEmpty()) {
      old.ifPresent(r -> unqueue(bucket, key, r));
      change.out.remove(row);
      return kept;
    }
    change.out.put(
        row,
        Rows.bytes(
            FlushRow.class, new FlushRow(kept.get(), old.map(FlushRow::queuedMillis).orElse(-1L))));
    if (kept.get().target() instanceof Target.Flushed flushed) {
      repoint(bucket, key, flushed.generation(), kept.get().seen());
      if (kept.get().settled() || !Rule.F5.holds()) {
        settle(bucket, key, flushed.generation(), kept.get().seen());
      }
    }
    requeue(bucket, key);
    return kept;
  }

  private void unqueue(BucketId bucket, String key, FlushRow row) {
    if (row.queuedMillis() >= 0) {
      change.out.remove(Keys.queue(row.queuedMillis(), bucket, key));
    }
  }

  /** Puts a key to its place in the queue, or takes it out while nothing can be done. */
  void requeue(BucketId bucket, String key) {
    byte[] at = Keys.flush(bucket, key);
    Optional<FlushRow> row = Rows.get(change.out, at, FlushRow.class);
    if (row.isEmpty()) {
      return;
    }
    FlushRecord record = row.get().record();
    long wanted = blocked(change.out, bucket, key, record) ? blockedQueue(record) : queue(record);
    if (wanted != row.get().queuedMillis()) {
      unqueue(bucket, key, row.get());
      if (wanted >= 0) {
        change.out.put(Keys.queue(wanted, bucket, key), Keys.NOTHING);
      }
      change.out.put(at, Rows.bytes(FlushRow.class, new FlushRow(record, wanted)));
    }
  }

  private static long queue(FlushRecord record) {
    if (record.open().isPresent()) {
      return paused(record, record.open().get().leaseMillis());
    }
    boolean sends =
        record.target() instanceof Target.Put || record.target() instanceof Target.Delete;
    if (sends && record.conflict().isEmpty() && resolvedEnough(record)) {
      return paused(record, record.dueMillis());
    }
    return resolvable(record);
  }

  /**
   * A re-creation waits for deletions that may still land: they might find an ETag that recurs
   * (F5).
   */
  private static boolean resolvedEnough(FlushRecord record) {
    return record.unresolved().size() < FlushRecord.MAX_UNRESOLVED
        && !(record.target() instanceof Target.Put
            && record.unresolved().stream()
                .anyMatch(attempt -> attempt.kind() == FlushKind.DELETE));
  }

  private static long blockedQueue(FlushRecord record) {
    return record.open().isPresent()
        ? paused(record, record.open().get().leaseMillis())
        : resolvable(record);
  }

  private static long resolvable(FlushRecord record) {
    return record.unresolved().isEmpty()
        ? -1
        : paused(
            record, record.unresolved().stream().mapToLong(Attempt::landsMillis).min().getAsLong());
  }

  private static long paused(FlushRecord record, long millis) {
    return Math.max(millis, record.failure().map(Failure::nextTryMillis).orElse(0L));
  }

  /** What may be done about a record now, by its queue place. */
  static FlushKind kind(SortedMap.View view, BucketId bucket, String key, FlushRecord record) {
    boolean sends =
        record.conflict().isEmpty()
            && resolvedEnough(record)
            && !blocked(view, bucket, key, record);
    return switch (record.target()) {
      case Target.Put put when sends ->
          Rows.get(view, Keys.of(Keys.MANIFEST, put.generation().value()), Manifest.class)
                  .filter(Manifest.Stored.class::isInstance)
                  .isPresent()
              ? FlushKind.COPY
              : FlushKind.PUT;
      case Target.Delete delete when sends -> FlushKind.DELETE;
      case Target.Put put -> FlushKind.RESOLVE;
      case Target.Delete delete -> FlushKind.RESOLVE;
      case Target.Flushed flushed -> FlushKind.RESOLVE;
      case Target.Gone gone -> FlushKind.RESOLVE;
    };
  }

  /** Whether others still have their only bytes in this store object (F6). */
  static boolean blocked(SortedMap.View view, BucketId bucket, String key, FlushRecord record) {
    long own = record.generation().map(Generation::value).orElse(0L);
    byte[] prefix = Keys.sources(bucket, key);
    var found = new boolean[1];
    view.scan(
        prefix,
        Keys.behind(prefix),
        (row, value) -> {
          found[0] = Keys.longAt(row, row.length - 8) != own;
          return !found[0];
        });
    return found[0] && Rule.F6.holds();
  }

  /** Registers what an owner refers to, so that it is not destroyed. */
  void addSources(long owner, Manifest manifest) {
    for (StoreRef ref : distinct(manifest)) {
      change.out.put(Keys.source(ref.bucket(), ref.key(), owner), Keys.NOTHING);
      requeue(ref.bucket(), ref.key());
    }
  }

  void removeSources(long owner, Manifest manifest) {
    for (StoreRef ref : distinct(manifest)) {
      change.out.remove(Keys.source(ref.bucket(), ref.key(), owner));
      requeue(ref.bucket(), ref.key());
    }
  }

  private static List<StoreRef> distinct(Manifest manifest) {
    var seen = new TreeSet<String>();
    return Stores.refs(manifest).stream()
        .filter(ref -> seen.add(ref.bucket().value() + "/" + ref.key()))
        .toList();
  }

  /**
   * A generation that took bytes over from its own key (an append, a copy onto itself) has
   * overwritten its source: what it referred to lies in its own object from now on (F6).
   */
  private void repoint(BucketId bucket, String key, Generation generation, StoreSight seen) {
    if (!(seen instanceof StoreSight.Present present)) {
      return;
    }
    Manifest manifest = change.manifest(generation.value());
    Manifest here = Stores.repointed(manifest, bucket, key, present.etag());
    if (!here.equals(manifest)) {
      change.putManifest(generation.value(), here);
    }
  }

  /** Recorded, and nothing can disturb it any more: clean, for good (F2, F5, R13). */
  private void settle(BucketId bucket, String key, Generation generation, StoreSight seen) {
    GenerationRow row = change.generation(generation);
    if (row.clean() || !(seen instanceof StoreSight.Present present)) {
      return;
    }
    Manifest manifest = change.manifest(generation.value());
    change.uses.add(row.bucket(), generation.value(), -row.heldBytes());
    change.putGeneration(generation, row.cleanUnder(Optional.of(present.etag())));
    Claims.clean(change.out, generation.value(), manifest);
    Manifest here = Stores.settled(manifest, bucket, key, present.etag());
    if (!here.equals(manifest)) {
      change.putManifest(generation.value(), here);
    }
    removeSources(generation.value(), manifest);
  }

  /** A generation was published under a key. */
  void published(BucketId bucket, String key, Generation generation, FlushPolicy policy) {
    Optional<FlushRecord> old = record(bucket, key);
    if (!policy.flushes()) {
      deleted(bucket, key, policy);
      return;
    }
    long due = change.now + (policy.mode() == FlushMode.THROUGH ? 0 : policy.delayMillis());
    var target = new Target.Put(generation);
    Draft draft =
        old.map(record -> new Draft(bucket, key, record))
            .orElseGet(() -> new Draft(bucket, key, target));
    draft.target(target, due);
    draft.save();
  }

  /** Nothing of ours is to be under a key in the store any more. */
  void deleted(BucketId bucket, String key, FlushPolicy policy) {
    Optional<FlushRecord> old = record(bucket, key);
    if (old.isEmpty()) {
      return;
    }
    FlushRecord record = old.get();
    if (record.seen().equals(ABSENT) && record.open().isEmpty() && record.unresolved().isEmpty()) {
      put(bucket, key, Optional.empty()); // nothing of ours was ever sent, or it is gone
      return;
    }
    if (record.target() instanceof Target.Delete || record.target() instanceof Target.Gone) {
      return;
    }
    var draft = new Draft(bucket, key, record);
    draft.target(
        new Target.Delete(new Generation(change.nextId())), change.now + policy.delayMillis());
    draft.save();
  }

  NamespaceResult begin(NamespaceCommand.FlushBegin c) {
    FlushRecord record = known(c.bucket(), c.key(), c.version());
    var draft = new Draft(c.bucket(), c.key(), record);
    endLease(draft);
    if (record.conflict().isPresent()) {
      throw refuse(ErrorCode.STORE_CONFLICT, record.conflict().get().reason());
    }
    if (draft.target instanceof Target.Flushed || draft.target instanceof Target.Gone) {
      throw refuse(ErrorCode.NOT_FOUND, "there is nothing to send for this key");
    }
    if (blocked(change.out, c.bucket(), c.key(), record)) {
      throw refuse(
          ErrorCode.UNAVAILABLE,
          "the store object is still the only source of other objects; it waits for their flush");
    }
    if (!resolvedEnough(draft.record())) {
      throw refuse(
          ErrorCode.BUSY, "a deletion, or too many attempts, are unresolved; resolve some first");
    }
    long due = paused(record, draft.due);
    if (due > change.now) {
      throw refuse(ErrorCode.BUSY, "the flush is due in " + (due - change.now) + " ms");
    }
    if (c.head().isPresent()) {
      switch (FlushDecision.decide(draft.record(), c.head().get())) {
        case FlushDecision.Done done -> {
          recorded(draft, done.seen());
          return new NamespaceResult.FlushDecided(draft.save());
        }
        case FlushDecision.Foreign foreign -> {
          conflict(draft, foreign.seen(), foreign.lengthBytes(), foreign.reason());
          return new NamespaceResult.FlushDecided(draft.save());
        }
        case FlushDecision.Retry retry -> draft.seen = retry.condition();
      }
    } else if (draft.headNeeded || !draft.unresolved.isEmpty()) {
      throw refuse(ErrorCode.CONCURRENT_CHANGE, "a HEAD must be brought before the next attempt");
    }
    FlushKind kind = kind(change.out, c.bucket(), c.key(), draft.record());
    Generation generation =
        switch (draft.target) {
          case Target.Put put -> put.generation();
          case Target.Delete delete -> delete.generation();
          case Target.Flushed flushed -> flushed.generation();
          case Target.Gone gone -> throw new IllegalStateException("nothing to send");
        };
    long lease = change.now + c.leaseMillis();
    var attempt =
        new Attempt(
            change.nextId(),
            kind,
            generation,
            c.node(),
            change.now,
            lease,
            lease + c.landingMillis(),
            Optional.empty());
    draft.open = Optional.of(attempt);
    draft.headNeeded = false;
    StoreSight condition = draft.seen;
    draft.save();
    if (kind == FlushKind.DELETE) {
      return new NamespaceResult.FlushStarted(
          new FlushTask(
              c.bucket(),
              c.key(),
              attempt.number(),
              kind,
              generation,
              lease,
              condition,
              0,
              "",
              ObjectMetadata.NONE,
              change.now,
              new Manifest.Inline(new byte[0])));
    }
    GenerationRow row = change.generation(generation);
    return new NamespaceResult.FlushStarted(
        new FlushTask(
            c.bucket(),
            c.key(),
            attempt.number(),
            kind,
            generation,
            lease,
            condition,
            row.lengthBytes(),
            row.etag(),
            row.metadata(),
            row.modifiedMillis(),
            change.manifest(generation.value())));
  }

  /** The store holds what it is to hold. */
  private static void recorded(Draft draft, StoreSight seen) {
    draft.seen = seen;
    draft.headNeeded = false;
    draft.failure = Optional.empty();
    draft.target =
        switch (draft.target) {
          case Target.Put put -> new Target.Flushed(put.generation());
          case Target.Delete delete -> new Target.Gone();
          case Target.Flushed flushed -> flushed;
          case Target.Gone gone -> gone;
        };
  }

  private void conflict(Draft draft, StoreSight seen, long lengthBytes, String reason) {
    if (draft.target instanceof Target.Flushed flushed) {
      draft.target(new Target.Put(flushed.generation()), change.now);
    }
    draft.headNeeded = false;
    draft.conflict = Optional.of(new Conflict(seen, lengthBytes, change.now, reason));
  }

  private void endLease(Draft draft) {
    if (draft.open.isPresent()) {
      if (draft.open.get().leaseMillis() > change.now) {
        throw refuse(
            ErrorCode.BUSY, "attempt " + draft.open.get().number() + " of this key is open");
      }
      draft.openIsUnresolved();
    }
  }

  NamespaceResult extend(NamespaceCommand.FlushExtend c) {
    Draft draft = open(c.bucket(), c.key(), c.attempt());
    Attempt old = draft.open.orElseThrow();
    if (old.leaseMillis() <= change.now) {
      throw refuse(ErrorCode.CONCURRENT_CHANGE, "the lease of the attempt is over");
    }
    long lease = Math.max(old.leaseMillis(), change.now + c.leaseMillis());
    draft.open =
        Optional.of(
            new Attempt(
                old.number(),
                old.kind(),
                old.generation(),
                old.node(),
                old.startedMillis(),
                lease,
                lease + c.landingMillis(),
                old.upload()));
    draft.save();
    return new NamespaceResult.FlushExtended(lease);
  }

  NamespaceResult staging(NamespaceCommand.FlushUpload c) {
    Draft draft = open(c.bucket(), c.key(), c.attempt());
    Attempt old = draft.open.orElseThrow();
    draft.open =
        Optional.of(
            new Attempt(
                old.number(),
                old.kind(),
                old.generation(),
                old.node(),
                old.startedMillis(),
                old.leaseMillis(),
                old.landsMillis(),
                Optional.of(c.upload())));
    draft.save();
    return new NamespaceResult.Done();
  }

  NamespaceResult end(NamespaceCommand.FlushEnd c) {
    Draft draft = open(c.bucket(), c.key(), c.attempt());
    Attempt attempt = draft.open.orElseThrow();
    draft.open = Optional.empty();
    boolean delete = attempt.kind() == FlushKind.DELETE;
    StoreSight seen = delete ? ABSENT : new StoreSight.Present(c.etag());
    boolean wanted =
        delete
            ? draft.target instanceof Target.Delete
            : draft.target instanceof Target.Put put
                && (put.generation().equals(attempt.generation()) || !Rule.F7.holds());
    if (wanted) {
      recorded(draft, seen);
    } else {
      draft.seen = seen; // something newer waits (F11)
      draft.failure = Optional.empty();
    }
    draft.save();
    return new NamespaceResult.Done();
  }

  NamespaceResult unresolved(NamespaceCommand.FlushUnresolved c) {
    Draft draft = open(c.bucket(), c.key(), c.attempt());
    draft.openIsUnresolved();
    draft.failed(c.code(), c.message(), c.nextTryMillis());
    draft.save();
    return new NamespaceResult.Done();
  }

  NamespaceResult trouble(NamespaceCommand.FlushTrouble c) {
    FlushRecord record = known(c.bucket(), c.key(), c.version());
    var draft = new Draft(c.bucket(), c.key(), record);
    draft.failed(c.code(), c.message(), c.nextTryMillis());
    put(c.bucket(), c.key(), Optional.of(draft.record())); // nothing about the store moved
    return new NamespaceResult.Done();
  }

  NamespaceResult failed(NamespaceCommand.FlushFailed c) {
    Draft draft = open(c.bucket(), c.key(), c.attempt());
    draft.open = Optional.empty();
    draft.failed(c.code(), c.message(), c.nextTryMillis());
    draft.headNeeded =
        c.code() == ErrorCode.STORE_CONFLICT || c.code() == ErrorCode.PRECONDITION_FAILED;
    draft.save();
    return new NamespaceResult.Done();
  }

  NamespaceResult foreign(NamespaceCommand.FlushConflict c) {
    Draft draft = open(c.bucket(), c.key(), c.attempt());
    draft.open = Optional.empty();
    long length = c.observed() instanceof StoreHead.Found found ? found.lengthBytes() : 0;
    conflict(draft, c.observed().sight(), length, c.reason());
    draft.save();
    return new NamespaceResult.Done();
  }

  NamespaceResult resolve(NamespaceCommand.FlushResolve c) {
    FlushRecord record = known(c.bucket(), c.key(), c.version());
    var draft = new Draft(c.bucket(), c.key(), record);
    endLease(draft);
    long headMillis = Math.min(c.headStartedMillis(), change.now);
    if (draft.unresolved.stream().noneMatch(attempt -> attempt.landsMillis() <= headMillis)) {
      throw refuse(ErrorCode.BUSY, "no attempt of this key can be resolved yet");
    }
    if (draft.conflict.isEmpty()) {
      switch (FlushDecision.decide(draft.record(), c.observed())) {
        case FlushDecision.Done done -> recorded(draft, done.seen());
        case FlushDecision.Retry retry -> {
          draft.seen = retry.condition();
          if (draft.target instanceof Target.Flushed flushed) {
            draft.target(new Target.Put(flushed.generation()), change.now);
          } else if (draft.target instanceof Target.Gone) {
            draft.target(new Target.Delete(new Generation(change.nextId())), change.now);
          }
        }
        case FlushDecision.Foreign foreign -> {
          if (!(draft.target instanceof Target.Gone)) {
            conflict(draft, foreign.seen(), foreign.lengthBytes(), foreign.reason());
          } // else it is theirs: nothing of ours is there, nor is to be
        }
      }
    } else {
      // What is seen now is what keep or take must name (F8).
      long length = c.observed() instanceof StoreHead.Found found ? found.lengthBytes() : 0;
      conflict(draft, c.observed().sight(), length, draft.conflict.get().reason());
    }
    draft.unresolved.removeIf(attempt -> attempt.landsMillis() <= headMillis);
    return new NamespaceResult.FlushDecided(draft.save());
  }

  NamespaceResult abandon(NamespaceCommand.FlushAbandon c) {
    byte[] kind = Keys.kind(Keys.ATTEMPT);
    var keys = new ArrayList<byte[]>();
    change.out.scan(
        kind,
        Keys.behind(kind),
        (key, value) -> {
          keys.add(value);
          return true;
        });
    for (byte[] at : keys) {
      var bucket = new BucketId(Keys.longAt(at, 0));
      String key = Keys.text(at, 8);
      FlushRecord record = record(bucket, key).orElseThrow();
      if (record.open().filter(attempt -> attempt.node().equals(c.node())).isPresent()) {
        var draft = new Draft(bucket, key, record);
        draft.openIsUnresolved();
        draft.save();
      }
    }
    return new NamespaceResult.Done();
  }

  NamespaceResult now(NamespaceCommand.FlushNow c) {
    Queries.checkPage(c.max(), NamespaceQuery.MAX_FLUSH_RECORDS);
    if (change.isAt(Level.SEEN)) {
      Change.requireOpen(change.out, c.bucket());
    }
    List<Queries.KeyedRecord> page =
        Queries.records(change.out, c.bucket(), c.prefix(), c.startAfter(), c.max() + 1);
    boolean more = page.size() > c.max();
    List<Queries.KeyedRecord> some = more ? page.subList(0, c.max()) : page;
    for (Queries.KeyedRecord keyed : some) {
      FlushRecord record = keyed.record();
      if (record.target() instanceof Target.Put || record.target() instanceof Target.Delete) {
        var draft = new Draft(c.bucket(), keyed.key(), record);
        draft.due = Math.min(draft.due, change.now);
        draft.failure =
            draft.failure.map(f -> new Failure(f.code(), f.message(), f.count(), change.now));
        put(c.bucket(), keyed.key(), Optional.of(draft.record())); // nothing about the store moved
      }
    }
    return new NamespaceResult.Hastened(
        some.size(), more ? Optional.of(some.getLast().key()) : Optional.empty());
  }

  NamespaceResult keep(NamespaceCommand.ConflictKeep c) {
    Draft draft = conflicting(c.bucket(), c.key(), c.generation(), c.seen());
    draft.seen = c.seen();
    draft.conflict = Optional.empty();
    draft.failure = Optional.empty();
    draft.due = change.now;
    if (draft.target instanceof Target.Delete && draft.seen.equals(ABSENT)) {
      draft.target = new Target.Gone();
    }
    draft.save();
    return new NamespaceResult.Done();
  }

  NamespaceResult take(NamespaceCommand.ConflictTake c) {
    Draft draft = conflicting(c.bucket(), c.key(), c.generation(), c.seen());
    if (draft.open.isPresent() || !draft.unresolved.isEmpty()) {
      throw refuse(ErrorCode.CONCURRENT_CHANGE, "an attempt of ours may still land");
    }
    if (blocked(change.out, c.bucket(), c.key(), draft.record())) {
      throw refuse(ErrorCode.UNAVAILABLE, "other objects still refer to this store object");
    }
    Optional<Entry.File> ours = change.tree.file(c.bucket(), c.key());
    ours.ifPresent(file -> change.supersede(file.generation(), c.policy()));
    if (!(c.seen() instanceof StoreSight.Present theirs)) {
      if (ours.isPresent()) {
        change.removeEntry(c.bucket(), c.key());
      }
      put(c.bucket(), c.key(), Optional.empty());
      return new NamespaceResult.Done();
    }
    var generation = new Generation(change.nextId());
    var inode =
        ours.map(Entry.File::inode)
            .orElseGet(() -> new io.forebay.core.id.InodeId(change.nextId()));
    change.putEntry(c.bucket(), c.key(), new Entry.File(inode, generation));
    change.putGeneration(
        generation,
        new GenerationRow(
            c.bucket(),
            inode,
            c.lengthBytes(),
            theirs.etag(),
            c.metadata(),
            c.modifiedMillis(),
            true,
            Optional.of(theirs.etag()),
            0));
    change.putManifest(
        generation.value(),
        new Manifest.Stored(
            new StoreRef(c.bucket(), c.key(), theirs.etag(), 0, c.lengthBytes()),
            new Manifest.None(c.lengthBytes())));
    draft.target = new Target.Flushed(generation);
    draft.seen = theirs;
    draft.conflict = Optional.empty();
    draft.failure = Optional.empty();
    draft.save();
    return new NamespaceResult.Done();
  }

  private Draft conflicting(
      BucketId bucket, String key, Optional<Generation> generation, StoreSight seen) {
    FlushRecord record =
        record(bucket, key)
            .filter(r -> r.conflict().isPresent())
            .orElseThrow(() -> refuse(ErrorCode.NOT_FOUND, "there is no conflict on this key"));
    if (Rule.F8.holds()
        && (!record.generation().equals(generation)
            || !record.conflict().orElseThrow().seen().equals(seen))) {
      throw refuse(
          ErrorCode.STORE_CONFLICT, "the conflict is no longer the one that was seen; look again");
    }
    return new Draft(bucket, key, record);
  }

  private FlushRecord known(BucketId bucket, String key, long version) {
    FlushRecord record =
        record(bucket, key)
            .orElseThrow(
                () -> refuse(ErrorCode.NOT_FOUND, "there is nothing to flush under this key"));
    if (record.version() != version && Rule.F4.holds()) {
      throw refuse(
          ErrorCode.CONCURRENT_CHANGE,
          "the flush record is at version " + record.version() + ", not " + version);
    }
    return record;
  }

  private Draft open(BucketId bucket, String key, long attempt) {
    return record(bucket, key)
        .filter(
            r -> r.open().filter(open -> open.number() == attempt || !Rule.F1.holds()).isPresent())
        .map(r -> new Draft(bucket, key, r))
        .orElseThrow(() ->
            refuse(
                ErrorCode.CONCURRENT_CHANGE,
                "attempt " + attempt + " is not the open one of this key"));
  }
}
