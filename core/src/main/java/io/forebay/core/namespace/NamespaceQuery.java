package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.UploadId;
import java.util.List;
import java.util.Optional;

/**
 * What may be asked of a namespace without changing it. Each is answered with the {@link
 * NamespaceAnswer} that it names, or {@code Refused}.
 */
public sealed interface NamespaceQuery {
  /** Most keys, parts or uploads of a page. */
  int MAX_PAGE = 1000;

  /**
   * Most characters of keys, ETags and metadata of a page of objects, but for its last one, after
   * which it ends: each is 3 bytes at most, and an answer has to fit into a message of 4 MiB.
   */
  int MAX_PAGE_CHARS = 1_200_000;

  /** Most chunks of one question. */
  int MAX_CHUNKS = 4096;

  /** Most records of the flush looked at for one question. */
  int MAX_FLUSH_RECORDS = 10_000;

  /** The object under a key. Answer: {@code Found} or {@code Absent}. */
  @Tag(1)
  record Stat(BucketId bucket, String key) implements NamespaceQuery {}

  /**
   * A generation, superseded ones included while they last (G8). Answer: {@code Found} (of which
   * the key is empty, the inode and flush state unknown) or {@code Absent}.
   */
  @Tag(2)
  record OfGeneration(Generation generation) implements NamespaceQuery {}

  /** Most begun checkpoints that a page passes over: it then ends, though it is not full. */
  int MAX_HIDDEN = 10_000;

  /**
   * A page of keys; as {@link io.forebay.core.file.ListQuery}. Checkpoints without their marker are
   * passed over (decision 0024) but those that it names or begins inside of, so a page with a next
   * one may be empty. Answer: {@code Listing}.
   */
  @Tag(3)
  record ListObjects(BucketId bucket, String prefix, String delimiter, String startAfter, int max)
      implements NamespaceQuery {}

  /** Open uploads by (key, id). Answer: {@code Uploads}. */
  @Tag(4)
  record ListUploads(
      BucketId bucket, String prefix, String afterKey, Optional<UploadId> afterUpload, int max)
      implements NamespaceQuery {}

  /** Parts by number. Answer: {@code Parts}; NO_SUCH_UPLOAD. */
  @Tag(5)
  record ListParts(BucketId bucket, String key, UploadId upload, int afterPartNumber, int max)
      implements NamespaceQuery {}

  /**
   * Whether copies must be kept. Sorted ids are cheapest. Answer: {@code Chunks}.
   *
   * @param chunks at most {@link #MAX_CHUNKS}
   */
  @Tag(6)
  record ChunkStates(List<ChunkId> chunks) implements NamespaceQuery {
    public ChunkStates {
      chunks = List.copyOf(chunks);
    }
  }

  /**
   * Store keys that may be taken up now, most overdue first. Answer: {@code Work}.
   *
   * @param nowMillis wall time
   * @param without buckets whose store is not to be asked at the moment
   */
  @Tag(7)
  record FlushWork(int max, long nowMillis, List<BucketId> without) implements NamespaceQuery {
    public FlushWork {
      without = List.copyOf(without);
    }
  }

  /** What is known about one store key. Answer: {@code OfKey}. */
  @Tag(8)
  record FlushOf(BucketId bucket, String key) implements NamespaceQuery {}

  /**
   * How far everything below a prefix is.
   *
   * @param startAfter key to go on after; empty begins
   * @param max records to look at, 1–{@link #MAX_FLUSH_RECORDS}. Answer: {@code Status}
   */
  @Tag(9)
  record FlushStatus(BucketId bucket, String prefix, String startAfter, int max)
      implements NamespaceQuery {}

  /** Conflicts of a bucket by key, at most {@link #MAX_PAGE}. Answer: {@code Conflicting}. */
  @Tag(10)
  record Conflicts(BucketId bucket, String startAfter, int max) implements NamespaceQuery {}

  /** All open sessions. Answer: {@code OpenSessions}. */
  @Tag(11)
  record Sessions() implements NamespaceQuery {}

  /** The parts that an upload made a generation of, by number. Answer: {@code MadeParts}. */
  @Tag(12)
  record PartsOf(Generation generation, int afterPartNumber, int max) implements NamespaceQuery {}

  /** What a bucket holds, and how much it may. Answer: {@code Use}. */
  @Tag(13)
  record UseOf(BucketId bucket) implements NamespaceQuery {}

  /** The policies of all buckets that have any. Answer: {@code Policies}. */
  @Tag(16)
  record AllPolicies() implements NamespaceQuery {}

  /** As {@link ListObjects}, begun checkpoints included. Answer: {@code Listing}. */
  @Tag(17)
  record ListAll(BucketId bucket, String prefix, String delimiter, String startAfter, int max)
      implements NamespaceQuery {}
}
