package io.forebay.core.backing;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import java.util.List;
import java.util.Optional;

/**
 * The object store behind a bucket, rooted at its container and prefix. Blocking; for all threads.
 * ETags are without quotes. Expected outcomes are values; faults are ForebayExceptions:
 * STORE_UNREACHABLE and TIMEOUT (the request may have been carried out), STORE_DENIED,
 * STORE_MISSING (no such container) and STORE_THROTTLED (it was not), each naming the store, the
 * key, the operation and what to do.
 *
 * <p>No request that changes something is sent twice for one call (rule F1).
 *
 * <p>Not guaranteed: that a failed change did not happen, or will not happen yet.
 */
public interface ObjectStore extends AutoCloseable {
  /** For messages: kind, place, no secrets. */
  String description();

  /** What a staged upload may consist of. */
  StoreLimits limits();

  /** What is stored under a key. */
  Optional<StoreObject> head(String key);

  /**
   * Reads a part of an object of one ETag.
   *
   * @param length 1 byte to the pool's slab size
   * @param ifMatchEtag empty: whichever is there
   */
  ReadResult read(String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool);

  /** Stores a whole object. The body stays the caller's. */
  PutResult put(String key, List<Bytes> body, PutOptions options);

  /**
   * Begins an upload in parts.
   *
   * @param stamp names the attempt, at most 40 characters of a-z 0-9 -; parts of two attempts never
   *     mix (F10)
   * @return names the upload to later calls, of this node or another
   */
  String begin(String key, String stamp, PutOptions options);

  /**
   * Sends a part; parts may come in any order, at once, from several nodes.
   *
   * @param part from 1
   * @return a tag that the commit names
   */
  String stage(String key, String upload, int part, List<Bytes> body);

  /**
   * Makes the object of its parts, in the order of their tags.
   *
   * @throws io.forebay.core.error.ForebayException NO_SUCH_UPLOAD when a part is not there; nothing
   *     was changed
   */
  PutResult commit(String key, String upload, List<String> tags, PutOptions options);

  /** Drops an upload. Idempotent; what a store drops by itself needs nothing. */
  void abort(String key, String upload);

  /**
   * Copies an object inside the store; refused when the source has another ETag or the condition
   * fails.
   */
  PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options);

  /** Deletes an object. */
  DeleteResult delete(String key, StoreCondition condition);

  /** Requests sent since the store was opened. */
  StoreRequests requests();

  @Override
  void close();

  /** What a read gave. */
  sealed interface ReadResult {
    /** Exactly the part asked for; the caller releases it. */
    record Data(Bytes bytes) implements ReadResult {}

    /** There is no such object. */
    record Missing() implements ReadResult {}

    /** It has another ETag. */
    record Changed() implements ReadResult {}
  }

  /** What a change gave. */
  sealed interface PutResult {
    /** Done; the new ETag. */
    record Stored(String etag) implements PutResult {}

    /** The condition did not hold; nothing was changed. */
    record Refused() implements PutResult {}
  }

  /** What a deletion gave. */
  sealed interface DeleteResult {
    /** It is gone. */
    record Deleted() implements DeleteResult {}

    /** There was none. */
    record Missing() implements DeleteResult {}

    /** The condition did not hold. */
    record Refused() implements DeleteResult {}
  }
}
