package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.SessionId;
import io.forebay.core.namespace.Rows.BucketRow;
import io.forebay.core.namespace.Rows.GenerationRow;
import io.forebay.core.namespace.Rows.PoliciesRow;
import io.forebay.core.namespace.Rows.SessionRow;
import io.forebay.core.namespace.Rows.UploadRow;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.Overlay;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The state machine of one namespace shard. It keeps nothing itself that an answer depends on: the
 * same commands on the same map give the same map and the same answers, and a restart is opening
 * the map again.
 */
public final class NamespaceMachine {
  /**
   * More than a flush record ever had changes while its versions ran ahead of the ids; a 65,536th
   * of all ids.
   */
  private static final long VERSIONS_SKIPPED = 1L << 32;

  private final int shard;
  private final Tree.Seen seen = new Tree.Seen();

  /**
   * @param shard upper 16 bits of all ids that it gives out
   */
  public NamespaceMachine(int shard) {
    if (shard < 0 || shard > 0x7fff) {
      throw new IllegalArgumentException("shards are 0 to 32767: " + shard);
    }
    this.shard = shard;
  }

  /**
   * Applies one command of a log entry. Commands of one entry are applied one after the other on
   * views that show the ones before: the caller keeps an {@link Overlay} per entry, or uses {@link
   * #apply(long, long, int, NamespaceCommand, Overlay)}.
   *
   * @param index of the entry in the log, growing
   * @param wallMillis the leader's wall time in the entry
   * @param level of the log ({@link Level})
   * @param out receives the changes; none when refused
   * @param in the map as it is before
   */
  public NamespaceResult apply(
      long index,
      long wallMillis,
      int level,
      NamespaceCommand command,
      Batch out,
      SortedMap.View in) {
    var entry = new Overlay(in);
    NamespaceResult result = apply(index, wallMillis, level, command, entry);
    entry.writeTo(out);
    return result;
  }

  /** Applies one command on top of an entry's earlier ones, and leaves its changes there. */
  public NamespaceResult apply(
      long index, long wallMillis, int level, NamespaceCommand command, Overlay entry) {
    var work = new Overlay(entry);
    NamespaceResult result;
    try {
      var change = new Change(shard, index, wallMillis, level, seen, work);
      result = apply(command, change);
      change.uses.settle();
    } catch (Rows.Refusal refusal) {
      return refusal.result();
    }
    work.writeTo(entry);
    return result;
  }

  /**
   * The log's level has risen ({@link Level}). Costs a row of each bucket that holds something.
   *
   * @param out receives the changes
   * @param in the map as it is before
   */
  public void raise(int before, int level, Batch out, SortedMap.View in) {
    var entry = new Overlay(in);
    if (before < Level.QUOTAS && level >= Level.QUOTAS) {
      Uses.countBeyond(Change.lastId(entry, shard), entry);
    }
    if (before < Level.VERSIONS && level >= Level.VERSIONS) {
      Change.skipIds(VERSIONS_SKIPPED, entry, shard);
    }
    entry.writeTo(out);
  }

  /** Answers a query from a view. */
  public NamespaceAnswer query(SortedMap.View view, NamespaceQuery query) {
    try {
      return new Queries(shard, view).answer(query);
    } catch (Rows.Refusal refusal) {
      var refused = (NamespaceResult.Refused) refusal.result();
      return new NamespaceAnswer.Refused(refused.code(), refused.message());
    }
  }

  private static NamespaceResult apply(NamespaceCommand command, Change change) {
    var flushes = new Flushes(change);
    var objects = new Objects(change, flushes);
    var uploads = new Uploads(change, flushes, objects);
    return switch (command) {
      case NamespaceCommand.OpenSession c -> open(c, change);
      case NamespaceCommand.CloseSession c -> close(c, change);
      case NamespaceCommand.SessionLowWater c -> lowWater(c, change);
      case NamespaceCommand.SealBucket c -> seal(c, change, uploads);
      case NamespaceCommand.SetQuota c -> setQuota(c, change);
      case NamespaceCommand.SetPolicies c -> setPolicies(c.bucket(), c.policies(), change);
      case NamespaceCommand.ReplacePolicies c -> replacePolicies(c, change);
      case NamespaceCommand.LetGo c -> objects.letGo(c);
      case NamespaceCommand.FlushHeld c -> objects.flushHeld(c);
      case NamespaceCommand.Publish c -> objects.publish(c);
      case NamespaceCommand.Delete c -> objects.delete(c);
      case NamespaceCommand.DeleteMany c -> objects.deleteMany(c);
      case NamespaceCommand.Rename c -> objects.rename(c);
      case NamespaceCommand.Copy c -> objects.copy(c);
      case NamespaceCommand.ChangeHeaders c -> objects.changeHeaders(c);
      case NamespaceCommand.CreateUpload c -> uploads.create(c);
      case NamespaceCommand.PutPart c -> uploads.put(c);
      case NamespaceCommand.PutPartCopy c -> uploads.copy(c);
      case NamespaceCommand.CompleteUpload c -> uploads.complete(c);
      case NamespaceCommand.AbortUpload c -> uploads.abort(c);
      case NamespaceCommand.FlushBegin c -> flushes.begin(c);
      case NamespaceCommand.FlushExtend c -> flushes.extend(c);
      case NamespaceCommand.FlushTrouble c -> flushes.trouble(c);
      case NamespaceCommand.FlushUpload c -> flushes.staging(c);
      case NamespaceCommand.FlushEnd c -> flushes.end(c);
      case NamespaceCommand.FlushUnresolved c -> flushes.unresolved(c);
      case NamespaceCommand.FlushResolve c -> flushes.resolve(c);
      case NamespaceCommand.FlushFailed c -> flushes.failed(c);
      case NamespaceCommand.FlushConflict c -> flushes.foreign(c);
      case NamespaceCommand.FlushAbandon c -> flushes.abandon(c);
      case NamespaceCommand.FlushNow c -> flushes.now(c);
      case NamespaceCommand.ConflictKeep c -> flushes.keep(c);
      case NamespaceCommand.ConflictTake c -> flushes.take(c);
      case NamespaceCommand.ExpireTick c -> expire(c, change, flushes, uploads);
    };
  }

  private static NamespaceResult open(NamespaceCommand.OpenSession c, Change change) {
    var session = new SessionId(change.nextId());
    putSession(change, session, new SessionRow(c.node(), change.now, 1, 1));
    return new NamespaceResult.SessionOpened(session);
  }

  private static void putSession(Change change, SessionId session, SessionRow row) {
    change.out.put(Keys.of(Keys.SESSION, session.value()), Rows.bytes(SessionRow.class, row));
  }

  private static NamespaceResult close(NamespaceCommand.CloseSession c, Change change) {
    byte[] key = Keys.of(Keys.SESSION, c.session().value());
    Rows.get(change.out, key, SessionRow.class)
        .ifPresent(row -> {
          change.out.remove(key);
          forget(change, c.session(), row.answeredBelow(), Long.MAX_VALUE);
        });
    return new NamespaceResult.Done();
  }

  /** Begins where the last one ended: to pass over what was removed costs as much as rows do. */
  private static void forget(Change change, SessionId session, long from, long below) {
    var keys = new ArrayList<byte[]>();
    change.out.scan(
        Keys.answer(session, from),
        Keys.answer(session, below),
        (key, value) -> {
          keys.add(key);
          return true;
        });
    keys.forEach(change.out::remove);
  }

  private static NamespaceResult lowWater(NamespaceCommand.SessionLowWater c, Change change) {
    SessionRow row = change.session(c.session());
    long answered = Math.max(row.answeredBelow(), c.answeredBelow());
    putSession(
        change,
        c.session(),
        new SessionRow(
            row.node(), row.openedMillis(), Math.max(row.lowWater(), c.mark()), answered));
    forget(change, c.session(), row.answeredBelow(), answered);
    return new NamespaceResult.Done();
  }

  private static NamespaceResult seal(
      NamespaceCommand.SealBucket c, Change change, Uploads uploads) {
    byte[] key = Keys.of(Keys.BUCKET, c.bucket().value());
    Optional<BucketRow> row = Rows.get(change.out, key, BucketRow.class);
    if (row.isPresent() && !change.tree.isEmpty(row.get().root())) {
      throw refuse(ErrorCode.BUCKET_NOT_EMPTY, "the bucket holds objects");
    }
    if (!Queries.records(change.out, c.bucket(), "", "", 1).isEmpty()) {
      throw refuse(
          ErrorCode.CONCURRENT_CHANGE, "deletions of the bucket are on their way to the store");
    }
    uploads.abortAll(c.bucket());
    change.uses.setQuota(c.bucket(), 0);
    change.out.remove(Keys.of(Keys.POLICIES, c.bucket().value()));
    var root = row.map(BucketRow::root).orElseGet(() -> change.bucketForWriting(c.bucket()).root());
    change.out.put(key, Rows.bytes(BucketRow.class, new BucketRow(root, true)));
    return new NamespaceResult.Done();
  }

  private static NamespaceResult setQuota(NamespaceCommand.SetQuota c, Change change) {
    if (c.quotaBytes() < 0) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, "a quota is not negative: " + c.quotaBytes());
    }
    BucketRow _ = change.bucketForWriting(c.bucket());
    change.uses.setQuota(c.bucket(), c.quotaBytes());
    return new NamespaceResult.Done();
  }

  private static NamespaceResult replacePolicies(
      NamespaceCommand.ReplacePolicies c, Change change) {
    if (!Queries.policies(change.out, c.bucket()).equals(c.seen())) {
      throw refuse(
          ErrorCode.CONCURRENT_CHANGE,
          "somebody else has changed the policies of the bucket; look again");
    }
    return setPolicies(c.bucket(), c.policies(), change);
  }

  private static NamespaceResult setPolicies(
      BucketId bucket, List<PrefixPolicy> policies, Change change) {
    try {
      PrefixPolicy.check(policies);
    } catch (IllegalArgumentException wrong) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, String.valueOf(wrong.getMessage()));
    }
    BucketRow _ = change.bucketForWriting(bucket);
    byte[] key = Keys.of(Keys.POLICIES, bucket.value());
    if (policies.isEmpty()) {
      change.out.remove(key);
    } else {
      change.out.put(key, Rows.bytes(PoliciesRow.class, new PoliciesRow(policies)));
    }
    return new NamespaceResult.Done();
  }

  private static NamespaceResult expire(
      NamespaceCommand.ExpireTick c, Change change, Flushes flushes, Uploads uploads) {
    Queries.checkPage(c.max(), NamespaceQuery.MAX_FLUSH_RECORDS);
    List<byte[]> due = new ArrayList<>();
    change.out.scan(
        Keys.kind(Keys.EXPIRY),
        Keys.of(Keys.EXPIRY, Math.max(0, change.now) + 1),
        (key, value) -> {
          due.add(key);
          return due.size() <= c.max();
        });
    int count = Math.min(due.size(), c.max());
    for (byte[] key : due.subList(0, count)) {
      change.out.remove(key);
      long id = Keys.longAt(key, 10);
      switch (key[9]) {
        case Change.EXPIRES_GENERATION -> drop(new Generation(id), change, flushes);
        case Change.EXPIRES_UPLOAD ->
            Rows.get(change.out, Keys.of(Keys.UPLOAD, id), UploadRow.class)
                .ifPresent(row -> uploads.remove(id, row));
        case Change.EXPIRES_COMPLETED -> change.out.remove(Keys.of(Keys.COMPLETED, id));
        default -> throw new IllegalStateException("an expiry of kind " + key[9]);
      }
    }
    return new NamespaceResult.Expired(count, due.size() > count);
  }

  /** A superseded generation whose readers had their time. */
  private static void drop(Generation generation, Change change, Flushes flushes) {
    byte[] key = Keys.of(Keys.GENERATION, generation.value());
    Optional<GenerationRow> row = Rows.get(change.out, key, GenerationRow.class);
    if (row.isEmpty()) {
      return;
    }
    if (row.get().etag().contains("-")) { // else no upload made it
      dropParts(generation, change);
    }
    Manifest manifest = change.manifest(generation.value());
    Claims.remove(change.out, generation.value(), manifest);
    flushes.removeSources(generation.value(), manifest);
    change.uses.add(row.get().bucket(), generation.value(), -row.get().heldBytes());
    change.out.remove(key);
    change.out.remove(Keys.of(Keys.MANIFEST, generation.value()));
  }

  private static void dropParts(Generation generation, Change change) {
    byte[] prefix = Keys.of(Keys.MADE_PART, generation.value());
    var keys = new ArrayList<byte[]>();
    change.out.scan(
        prefix,
        Keys.behind(prefix),
        (key, value) -> {
          keys.add(key);
          return true;
        });
    keys.forEach(change.out::remove);
  }
}
