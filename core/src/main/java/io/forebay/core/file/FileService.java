package io.forebay.core.file;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.id.Generation;
import io.forebay.core.id.UploadId;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Objects in buckets, as every door sees them. Blocking; one instance serves all threads of a node.
 *
 * <p>What was published is visible to every later call on every node (C1), and never in part. A key
 * is checked with {@link ObjectKey#check}: KEY_TOO_LONG or INVALID_KEY. Every method that names a
 * bucket fails with NO_SUCH_BUCKET when there is none.
 *
 * <p>Not guaranteed: a snapshot across two calls; that a listing shows what is published while it
 * pages; that an interrupted write or publish did not happen (its outcome is unknown; ask {@link
 * #stat}).
 */
public interface FileService {
  /** All buckets, by name. */
  List<Bucket> listBuckets();

  /**
   * Creates a bucket.
   *
   * @throws io.forebay.core.error.ForebayException BUCKET_EXISTS; INVALID_BUCKET_NAME
   */
  Bucket createBucket(BucketSpec spec);

  /**
   * Removes an empty bucket; open uploads are aborted. Waits up to 20 s for the deletions of its
   * last objects, until none can reach its store any more.
   *
   * @throws io.forebay.core.error.ForebayException BUCKET_NOT_EMPTY (naming the first key in the
   *     way, also where no listing shows it); NO_SUCH_BUCKET; CONCURRENT_CHANGE (they are still on
   *     their way)
   */
  void deleteBucket(String name);

  /** What a bucket holds, and how much it may. */
  BucketUse use(String bucket);

  /**
   * Bounds what a bucket may hold that is in no store, from now on. What it holds already stays.
   *
   * @param quotaBytes 0: no quota
   * @throws io.forebay.core.error.ForebayException INVALID_ARGUMENT (negative)
   */
  void setQuota(String bucket, long quotaBytes);

  /** What is kept of a bucket below its prefixes, by prefix. */
  List<PrefixPolicy> policies(String bucket);

  /**
   * Replaces what is kept of a bucket below its prefixes. It is carried out from some seconds later
   * on; once it was taken away, nothing more is deleted by it.
   *
   * @param seen what {@link #policies} said
   * @throws io.forebay.core.error.ForebayException CONCURRENT_CHANGE (there are others by now);
   *     INVALID_ARGUMENT ({@link PrefixPolicy#check})
   */
  void setPolicies(String bucket, List<PrefixPolicy> seen, List<PrefixPolicy> policies);

  /** The bucket of that name, if there is one. */
  Optional<Bucket> bucket(String name);

  /** What is published under a key. Cheap; absence is an answer. */
  Optional<ObjectInfo> stat(String bucket, String key);

  /**
   * Opens the generation that is published now; the reader stays with it.
   *
   * @throws io.forebay.core.error.ForebayException NOT_FOUND; PRECONDITION_FAILED; NOT_MODIFIED
   */
  ObjectReader open(String bucket, String key, ReadConditions conditions);

  /**
   * Begins a new generation. Nothing is visible before {@link BodyWriter#publish}. Preconditions
   * that fail already now are refused now, and are evaluated again when publishing. Where the
   * announced length is short, an implementation may put all of this off until publishing.
   *
   * @throws io.forebay.core.error.ForebayException PRECONDITION_FAILED; NOT_FOUND (If-Match on an
   *     absent key); NO_SPACE; ENTITY_TOO_LARGE; QUOTA_EXCEEDED (of the bucket; waited for first
   *     where flushing makes room)
   */
  BodyWriter<ObjectInfo> create(String bucket, String key, WriteOptions options);

  /**
   * Deletes an object; deleting what is absent succeeds.
   *
   * @return whether there was one
   * @throws io.forebay.core.error.ForebayException PRECONDITION_FAILED; NOT_FOUND (If-Match on an
   *     absent key)
   */
  boolean delete(String bucket, String key, WriteConditions conditions);

  /**
   * Deletes up to 1,000 keys, each for itself.
   *
   * @return one result for each key, in their order
   */
  List<DeleteResult> deleteMany(String bucket, List<String> keys);

  /**
   * Publishes a copy of an object, by reference where possible. A copy onto itself with new
   * metadata is legal.
   *
   * @throws io.forebay.core.error.ForebayException NOT_FOUND (the source); PRECONDITION_FAILED
   */
  ObjectInfo copy(
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      String bucket,
      String key,
      CopyOptions options);

  /**
   * Changes headers that a door keeps with an object. It stays the same generation, with its ETag
   * and its time, and is not flushed again: only names that begin with {@code x-amz-} are taken,
   * for no store is told of them.
   *
   * @param headers by lower-case name; an empty value takes a header away
   * @throws io.forebay.core.error.ForebayException NOT_FOUND; INVALID_ARGUMENT (another name)
   */
  ObjectInfo changeHeaders(String bucket, String key, Map<String, String> headers);

  /**
   * The parts that a multipart upload made a generation of, by number. Empty for a generation that
   * came otherwise (renamed and copied ones too), or that is superseded.
   *
   * @param afterPartNumber 0 begins
   * @param max 1–1,000
   */
  ObjectParts partsOf(
      String bucket, String key, Generation generation, int afterPartNumber, int max);

  /**
   * Renames an object (replacing the target), or, when {@code from} and {@code to} end with {@code
   * /}, everything below a prefix (the target must be empty), in one step.
   *
   * @throws io.forebay.core.error.ForebayException NOT_FOUND; PRECONDITION_FAILED (the target
   *     prefix is not empty); INVALID_ARGUMENT (only one is a prefix, or one lies in the other)
   */
  void rename(String bucket, String from, String to);

  /**
   * One page of keys in {@link ObjectKey#ORDER}. Checkpoints whose marker is not published are left
   * out ({@link PrefixPolicy}, decision 0024), but for whoever names their directory in the prefix,
   * or goes on behind a key in it. A page that has a next one may be empty.
   */
  ListPage list(String bucket, ListQuery query);

  /**
   * As {@link #list}, begun checkpoints included: for whoever clears up, not for readers.
   *
   * @throws io.forebay.core.error.ForebayException UNAVAILABLE, also while a voter leads that runs
   *     an older version and does not know the question
   */
  ListPage listAll(String bucket, ListQuery query);

  /** Begins a multipart upload, which outlives this process. */
  UploadId createUpload(String bucket, String key, ObjectMetadata metadata);

  /**
   * Begins a part; publishing it makes it part of the upload, replacing an older one of the same
   * number.
   *
   * @param partNumber 1–10,000
   * @param options as for {@link #create}; metadata and conditions are ignored
   * @throws io.forebay.core.error.ForebayException NO_SUCH_UPLOAD; INVALID_ARGUMENT
   */
  BodyWriter<PartInfo> createPart(
      String bucket, String key, UploadId upload, int partNumber, WriteOptions options);

  /**
   * Makes a part of (a range of) an object, by reference where possible.
   *
   * @param range of the source; empty: all of it
   * @throws io.forebay.core.error.ForebayException NO_SUCH_UPLOAD; NOT_FOUND (the source);
   *     PRECONDITION_FAILED; RANGE_NOT_SATISFIABLE; INVALID_ARGUMENT
   */
  PartInfo copyPart(
      String bucket,
      String key,
      UploadId upload,
      int partNumber,
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      Optional<ByteRange> range);

  /**
   * The parts of an upload, by number.
   *
   * @param afterPartNumber 0 begins
   * @param max 1–1,000
   * @throws io.forebay.core.error.ForebayException NO_SUCH_UPLOAD
   */
  PartPage listParts(String bucket, String key, UploadId upload, int afterPartNumber, int max);

  /**
   * Open uploads by (key, id).
   *
   * @param afterKey only uploads of later keys, and of this key those with an id above {@code
   *     afterUpload}; empty begins
   * @param afterUpload empty: none of {@code afterKey}
   * @param max 1–1,000
   */
  UploadPage listUploads(
      String bucket, String prefix, String afterKey, Optional<UploadId> afterUpload, int max);

  /**
   * Publishes the concatenation of parts; moves no byte. Repeating a completion that succeeded
   * returns the same answer while the object is the one it made.
   *
   * @param parts ascending by number; every part but the last has at least 5 MiB
   * @param expectedLengthBytes refused with INVALID_ARGUMENT when the parts' sum differs
   * @param headers added to those that the upload was begun with
   * @throws io.forebay.core.error.ForebayException NO_SUCH_UPLOAD; INVALID_PART (absent, or its
   *     ETag differs); INVALID_PART_ORDER; PART_TOO_SMALL; PRECONDITION_FAILED; NOT_FOUND (If-Match
   *     on an absent key); ENTITY_TOO_LARGE
   */
  ObjectInfo completeUpload(
      String bucket,
      String key,
      UploadId upload,
      List<CompletedPart> parts,
      WriteConditions conditions,
      OptionalLong expectedLengthBytes,
      Map<String, String> headers);

  /** Completes without further headers. */
  default ObjectInfo completeUpload(
      String bucket,
      String key,
      UploadId upload,
      List<CompletedPart> parts,
      WriteConditions conditions,
      OptionalLong expectedLengthBytes) {
    return completeUpload(
        bucket, key, upload, parts, conditions, expectedLengthBytes, Collections.emptyMap());
  }

  /**
   * Drops an upload and its parts.
   *
   * @throws io.forebay.core.error.ForebayException NO_SUCH_UPLOAD
   */
  void abortUpload(String bucket, String key, UploadId upload);

  /**
   * Asks for everything below a prefix to be flushed now.
   *
   * @param waitNanos how long to wait until all is in the store; 0 only asks and reports
   */
  FlushReport flush(String bucket, String prefix, long waitNanos);

  /**
   * How far everything below a prefix is on its way to the store; hastens nothing. Costs one query
   * of the log for each 1,000 store keys, so it is for people, not for loops.
   */
  FlushReport flushStatus(String bucket, String prefix);

  /** Objects whose store object someone else has written meanwhile; at most 1,000. */
  List<StoreConflict> conflicts(String bucket);

  /**
   * Resolves a conflict as it was seen.
   *
   * @throws io.forebay.core.error.ForebayException NOT_FOUND (no conflict there); STORE_CONFLICT
   *     (generation or ETag moved: look again; rule F8)
   */
  void resolveConflict(
      String bucket,
      String key,
      StoreConflict.Resolution resolution,
      Generation generation,
      String storeEtag);

  /**
   * Where an object's bytes are, and what each node's loss would cost.
   *
   * @throws io.forebay.core.error.ForebayException NOT_FOUND
   */
  PathStatus pathStatus(String bucket, String key);

  /**
   * What of everything below a prefix is in no store, and in how many copies. Costs a query of the
   * log for each 1,000 objects, and one for each of up to 10,000 that are in no store, so it is for
   * people, not for loops.
   *
   * @param prefix empty: the whole bucket
   */
  PrefixStatus prefixStatus(String bucket, String prefix);
}
