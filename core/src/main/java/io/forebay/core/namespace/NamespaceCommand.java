package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.UploadId;
import io.forebay.core.rule.Level;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What may be asked of a namespace's log. Each is answered with the {@link NamespaceResult} that it
 * names, or with {@code Refused}, which changed nothing.
 */
public sealed interface NamespaceCommand {
  /** From which level on a log may hold it. */
  default int level() {
    return Level.FIRST;
  }

  /** Opens a session (rule G2). Answer: {@code SessionOpened}. */
  @Tag(1)
  record OpenSession(NodeId node) implements NamespaceCommand {}

  /** Ends a session for good; idempotent. What it has not published is garbage. Answer: Done. */
  @Tag(2)
  record CloseSession(SessionId session) implements NamespaceCommand {}

  /**
   * Passes chunks: those below the mark that nothing names are garbage (rule G4: only after the
   * publishes that name them were answered). Marks never go back. Answer: Done; SESSION_ENDED.
   *
   * @param answeredBelow publish sequences below it were answered, and are refused from now on
   */
  @Tag(3)
  record SessionLowWater(SessionId session, long mark, long answeredBelow)
      implements NamespaceCommand {}

  /**
   * Refuses everything new in an empty bucket and aborts its uploads, before the bucket goes;
   * idempotent. Answer: Done; BUCKET_NOT_EMPTY; CONCURRENT_CHANGE while deletions are still on
   * their way to the store ({@link FlushNow}, wait, ask again).
   */
  @Tag(4)
  record SealBucket(BucketId bucket) implements NamespaceCommand {}

  /**
   * Makes a generation visible. Idempotent by (session, publishSequence).
   *
   * <p>The manifest is Inline, Extents or InChunk, and names chunks of this session at or above its
   * low-water mark, or chunks that are owed (rule G3). Answer: {@code Published}; SESSION_ENDED;
   * PRECONDITION_FAILED; NOT_FOUND (If-Match on an absent key); {@code NotOwed} with the ranges
   * that must be written anew; NO_SUCH_BUCKET (sealed); INVALID_ARGUMENT; QUOTA_EXCEEDED (as all
   * that adds to what a bucket holds: {@link SetQuota}).
   *
   * @param publishSequence from 1, one numbering for Publish and PutPart
   * @param etag empty: made from (generation, length, CRC)
   * @param crc32c of the whole body; used when {@code etag} is empty
   */
  @Tag(5)
  record Publish(
      SessionId session,
      long publishSequence,
      BucketId bucket,
      String key,
      long lengthBytes,
      Optional<String> etag,
      int crc32c,
      ObjectMetadata metadata,
      Manifest manifest,
      Preconditions conditions,
      FlushPolicy policy)
      implements NamespaceCommand {}

  /** Deletes an object; absence is success. Answer: {@code Deleted}; PRECONDITION_FAILED. */
  @Tag(6)
  record Delete(BucketId bucket, String key, Preconditions conditions, FlushPolicy policy)
      implements NamespaceCommand {}

  /**
   * Deletes up to 1,000 objects, each for itself. Answer: {@code DeletedMany}. The policy is that
   * of the bucket; its mode is not used.
   */
  @Tag(7)
  record DeleteMany(BucketId bucket, List<String> keys, FlushPolicy policy)
      implements NamespaceCommand {}

  /**
   * Renames an object (replacing the target), or everything below a prefix when both end with '/'.
   * Answer: {@code Renamed}; NOT_FOUND; PRECONDITION_FAILED (a target prefix that is not empty);
   * CONCURRENT_CHANGE (a store object is undecided); INVALID_ARGUMENT; NOT_IMPLEMENTED (a prefix
   * with more than 10,000 objects of which some are known to the flush; or flushed objects into a
   * place that is not flushed).
   *
   * @param policy of the target, one for everything below a prefix
   */
  @Tag(8)
  record Rename(BucketId bucket, String from, String to, FlushPolicy policy)
      implements NamespaceCommand {}

  /**
   * Publishes a copy by reference (rule R13). Answer: {@code Published}; NOT_FOUND;
   * CONCURRENT_CHANGE (another generation is there, or its store object is undecided);
   * NOT_IMPLEMENTED (a flushed source into a place that is not flushed: copy the bytes).
   *
   * @param sourceGeneration the generation on which the caller has evaluated read conditions
   * @param metadata empty: the source's
   */
  @Tag(9)
  record Copy(
      BucketId sourceBucket,
      String sourceKey,
      Optional<Generation> sourceGeneration,
      BucketId bucket,
      String key,
      Optional<ObjectMetadata> metadata,
      Preconditions conditions,
      FlushPolicy policy)
      implements NamespaceCommand {}

  /**
   * Begins a multipart upload. Answer: {@code UploadCreated}.
   *
   * @param lifetimeMillis after which it is aborted (rule G7)
   */
  @Tag(10)
  record CreateUpload(BucketId bucket, String key, ObjectMetadata metadata, long lifetimeMillis)
      implements NamespaceCommand {}

  /**
   * Logs a part, replacing an older one of that number. Otherwise like {@link Publish}. Answer:
   * {@code PartLogged}; NO_SUCH_UPLOAD.
   *
   * @param headers what the door keeps with the part
   */
  @Tag(11)
  record PutPart(
      SessionId session,
      long publishSequence,
      BucketId bucket,
      String key,
      UploadId upload,
      int partNumber,
      long lengthBytes,
      Optional<String> etag,
      int crc32c,
      Manifest manifest,
      Map<String, String> headers)
      implements NamespaceCommand {}

  /**
   * Makes a part of a window of an object, by reference. Answer: {@code PartLogged}; as {@link
   * Copy}; RANGE_NOT_SATISFIABLE.
   *
   * @param lengthBytes -1: to the end
   */
  @Tag(12)
  record PutPartCopy(
      BucketId bucket,
      String key,
      UploadId upload,
      int partNumber,
      BucketId sourceBucket,
      String sourceKey,
      Optional<Generation> sourceGeneration,
      long offset,
      long lengthBytes)
      implements NamespaceCommand {}

  /**
   * Publishes the concatenation of parts. Repeated within a day, it gives the same answer while the
   * object is the one it made. Answer: {@code Published}; NO_SUCH_UPLOAD; INVALID_PART;
   * INVALID_PART_ORDER; PART_TOO_SMALL; PRECONDITION_FAILED; NOT_FOUND; INVALID_ARGUMENT.
   *
   * @param parts ETags with or without quotes
   * @param expectedLengthBytes -1: not given
   * @param headers added to those that the upload was begun with
   */
  @Tag(13)
  record CompleteUpload(
      BucketId bucket,
      String key,
      UploadId upload,
      List<CompletedPart> parts,
      Preconditions conditions,
      long expectedLengthBytes,
      FlushPolicy policy,
      Map<String, String> headers)
      implements NamespaceCommand {}

  /** Drops an upload and its parts. Answer: Done; NO_SUCH_UPLOAD. */
  @Tag(14)
  record AbortUpload(BucketId bucket, String key, UploadId upload) implements NamespaceCommand {}

  /**
   * Takes up the next attempt on a store key (F1). An open attempt whose lease is over becomes
   * unresolved first (F2). When something is unresolved, or the last attempt was refused by the
   * store, the command brings a HEAD, which decides (F3, F11).
   *
   * <p>Answer: {@code FlushStarted}; {@code FlushDecided} when the HEAD left nothing to send;
   * NOT_FOUND (nothing to do); BUSY (another attempt is open, or it is not due); CONCURRENT_CHANGE
   * (the version moved, or a HEAD is needed: read the record, look, try again); STORE_CONFLICT;
   * UNAVAILABLE (other objects still have their only bytes there, F6).
   *
   * @param version of the record that was read, before the HEAD
   * @param leaseMillis how long the node may send, counted by the log's wall time
   * @param landingMillis how long a request of this store can be under way (signature life or
   *     request time-out)
   */
  @Tag(15)
  record FlushBegin(
      BucketId bucket,
      String key,
      NodeId node,
      long version,
      Optional<StoreHead> head,
      long leaseMillis,
      long landingMillis)
      implements NamespaceCommand {}

  /** Prolongs the open attempt's lease. Answer: {@code FlushExtended}; CONCURRENT_CHANGE. */
  @Tag(16)
  record FlushExtend(
      BucketId bucket, String key, long attempt, long leaseMillis, long landingMillis)
      implements NamespaceCommand {}

  /**
   * The open attempt succeeded. Answer: Done; CONCURRENT_CHANGE when it is not the open one (F1).
   *
   * @param etag the store's, without quotes; ignored for a deletion
   */
  @Tag(17)
  record FlushEnd(BucketId bucket, String key, long attempt, String etag)
      implements NamespaceCommand {}

  /**
   * The outcome of the open attempt is unknown. Answer: Done; CONCURRENT_CHANGE.
   *
   * @param nextTryMillis wall time
   */
  @Tag(18)
  record FlushUnresolved(
      BucketId bucket, String key, long attempt, ErrorCode code, String message, long nextTryMillis)
      implements NamespaceCommand {}

  /**
   * A HEAD after unresolved attempts could no longer land (F2): those whose {@code landsMillis} has
   * passed when the HEAD began are resolved, and the HEAD decides about the key. Answer: {@code
   * FlushDecided}; CONCURRENT_CHANGE (the version moved, or an attempt is open).
   *
   * @param version of the record that was read, before the HEAD
   * @param headStartedMillis wall time when the HEAD began, less what clocks may differ by
   */
  @Tag(19)
  record FlushResolve(
      BucketId bucket, String key, long version, StoreHead observed, long headStartedMillis)
      implements NamespaceCommand {}

  /**
   * The open attempt failed and can no longer land: it was never sent, or the store refused it by a
   * definite answer. STORE_CONFLICT (a condition did not hold) makes the next begin bring a HEAD.
   * Answer: Done; CONCURRENT_CHANGE.
   *
   * @param nextTryMillis wall time
   */
  @Tag(20)
  record FlushFailed(
      BucketId bucket, String key, long attempt, ErrorCode code, String message, long nextTryMillis)
      implements NamespaceCommand {}

  /**
   * The flusher saw a foreign change which the decision does not cover (for example of the source
   * of a copy); the open attempt can no longer land. Answer: Done; CONCURRENT_CHANGE.
   */
  @Tag(21)
  record FlushConflict(BucketId bucket, String key, long attempt, StoreHead observed, String reason)
      implements NamespaceCommand {}

  /** All open attempts of a node that is known to be dead become unresolved (F2). Answer: Done. */
  @Tag(22)
  record FlushAbandon(NodeId node) implements NamespaceCommand {}

  /**
   * Makes everything below a prefix due now and forgets pauses after failures. Answer: {@code
   * Hastened}.
   *
   * @param startAfter key to go on after; empty begins
   * @param max records looked at, 1–10,000
   */
  @Tag(23)
  record FlushNow(BucketId bucket, String prefix, String startAfter, int max)
      implements NamespaceCommand {}

  /**
   * Ours overwrites theirs (F8). Answer: Done; NOT_FOUND (no conflict); STORE_CONFLICT (generation
   * or ETag moved).
   *
   * @param generation ours as seen; empty: we want it deleted
   * @param seen theirs as seen
   */
  @Tag(24)
  record ConflictKeep(BucketId bucket, String key, Optional<Generation> generation, StoreSight seen)
      implements NamespaceCommand {}

  /**
   * Theirs becomes visible (or the object vanishes, when they deleted it), ours is dropped (F8).
   * Answer: Done; NOT_FOUND; STORE_CONFLICT; CONCURRENT_CHANGE while attempts of ours may still
   * land; UNAVAILABLE while other objects have their only bytes there.
   *
   * @param metadata theirs, from a HEAD with If-Match on the ETag
   */
  @Tag(25)
  record ConflictTake(
      BucketId bucket,
      String key,
      Optional<Generation> generation,
      StoreSight seen,
      long lengthBytes,
      ObjectMetadata metadata,
      long modifiedMillis,
      FlushPolicy policy)
      implements NamespaceCommand {}

  /**
   * Lets go of what has run out by the log's wall time: superseded generations, uploads, remembered
   * completions. Answer: {@code Expired}.
   *
   * @param max things to let go, 1–10,000
   */
  @Tag(26)
  record ExpireTick(int max) implements NamespaceCommand {}

  /**
   * A key could not be taken up: a HEAD failed, or its store could not be opened. Nothing was sent.
   * Answer: Done; NOT_FOUND; CONCURRENT_CHANGE (the version moved).
   *
   * @param version of the record that was read
   * @param nextTryMillis wall time
   */
  @Tag(27)
  record FlushTrouble(
      BucketId bucket, String key, long version, ErrorCode code, String message, long nextTryMillis)
      implements NamespaceCommand {}

  /**
   * The open attempt stages under this name, so that whoever comes after it can drop what it leaves
   * (F5). Logged before the first part. Answer: Done; CONCURRENT_CHANGE.
   */
  @Tag(28)
  record FlushUpload(BucketId bucket, String key, long attempt, String upload)
      implements NamespaceCommand {}

  /**
   * Changes headers of the present generation in place: those of a door's own, which no store is
   * told of. Answer: {@code Published}; NOT_FOUND; INVALID_ARGUMENT (another header).
   *
   * @param headers an empty value takes a header away
   */
  @Tag(29)
  record ChangeHeaders(BucketId bucket, String key, Map<String, String> headers)
      implements NamespaceCommand {}

  /**
   * Bounds what a bucket may hold that is in no store. What it holds already stays: beyond the
   * quota only what would add to it is refused, with QUOTA_EXCEEDED. Answer: Done; NO_SUCH_BUCKET
   * (sealed); INVALID_ARGUMENT.
   *
   * @param quotaBytes 0: none
   */
  @Tag(30)
  record SetQuota(BucketId bucket, long quotaBytes) implements NamespaceCommand {
    @Override
    public int level() {
      return Level.QUOTAS;
    }
  }

  /** As {@link ReplacePolicies}, whatever there were. Logs of before that hold it. */
  @Tag(33)
  record SetPolicies(BucketId bucket, List<PrefixPolicy> policies) implements NamespaceCommand {
    public SetPolicies {
      policies = List.copyOf(policies);
    }

    @Override
    public int level() {
      return Level.POLICIES;
    }
  }

  /**
   * Deletes what is in the cache only, by a policy that is in force: one object, or, when the path
   * ends with '/', everything below it, in one step. All of it or nothing: refused when the policy
   * was changed, when any of it is newer than was seen, or when the store has any of it, is to get
   * it, or may still hold it. Answer: {@code Expired}, with how many objects; CONCURRENT_CHANGE;
   * NOT_IMPLEMENTED (more than 10,000 objects).
   *
   * @param by one of the bucket's, whose prefix the path begins with
   * @param upTo the newest generation that was seen there
   * @param policy for its read grace
   */
  @Tag(34)
  record LetGo(BucketId bucket, PrefixPolicy by, String path, Generation upTo, FlushPolicy policy)
      implements NamespaceCommand {
    @Override
    public int level() {
      return Level.POLICIES;
    }
  }

  /**
   * Sends to the store what was published as cache-only, as if it had been published under this
   * policy now; the generations stay. Keys that are absent, or have a newer generation than was
   * seen, or that the store has or is to get, are passed over. Answer: Done; INVALID_ARGUMENT (more
   * than 1,000 keys, or a policy that does not flush).
   *
   * @param upTo the newest generation that was seen among them
   */
  @Tag(35)
  record FlushHeld(BucketId bucket, List<String> keys, Generation upTo, FlushPolicy policy)
      implements NamespaceCommand {
    public FlushHeld {
      keys = List.copyOf(keys);
    }

    @Override
    public int level() {
      return Level.POLICIES;
    }
  }

  /**
   * Replaces the policies of a bucket's prefixes. They change nothing by themselves: who carries
   * them out says so with {@link LetGo} and {@link FlushHeld}. Answer: Done; CONCURRENT_CHANGE
   * (there were others than were seen); NO_SUCH_BUCKET (sealed); INVALID_ARGUMENT (one prefix lies
   * in another's, or they are too many).
   */
  @Tag(36)
  record ReplacePolicies(BucketId bucket, List<PrefixPolicy> seen, List<PrefixPolicy> policies)
      implements NamespaceCommand {
    public ReplacePolicies {
      seen = List.copyOf(seen);
      policies = List.copyOf(policies);
    }

    @Override
    public int level() {
      return Level.SEEN;
    }
  }
}
