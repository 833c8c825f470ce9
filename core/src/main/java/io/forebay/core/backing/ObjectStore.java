package io.forebay.core.backing;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import java.util.List;
import java.util.Optional;

/**
 * The object store behind a bucket, rooted at its container and prefix. Blocking; for all threads.
 * ETags are without quotes. Expected outcomes are values; faults are ForebayExceptions, each naming
 * the store, the key, the operation, why it failed and what to do:
 *
 * <ul>
 *   <li><b>Not carried out, and it will not be.</b> Of the store: STORE_DENIED, STORE_MISSING (no
 *       such container), STORE_THROTTLED (busy or full). Of this one object: INVALID_ARGUMENT (the
 *       store cannot hold such a key, header or size), STORE_CONFLICT (it keeps what it has: a
 *       lease, a policy), NO_SUCH_UPLOAD, RANGE_NOT_SATISFIABLE.
 *   <li><b>Unclear: it may have been carried out, or may still be</b> for at most {@link
 *       #MAX_CHANGE_MILLIS} from the call: STORE_UNREACHABLE, TIMEOUT, CANCELLED (the caller was
 *       interrupted), and whatever is not named above.
 * </ul>
 *
 * <p>No request that changes something is sent twice for one call (rule F1).
 *
 * <p>Buffers: what a caller lends is not touched after the call has returned, however it returned.
 *
 * <p>Not guaranteed: that an unclear change did not happen, or will not happen yet.
 */
public interface ObjectStore extends AutoCloseable {
  /**
   * From the beginning of a call, the longest time in milliseconds until its change has landed or
   * never will (rule F2).
   */
  long MAX_CHANGE_MILLIS = 85_000;

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
   * @throws io.forebay.core.error.ForebayException RANGE_NOT_SATISFIABLE when the object ends
   *     before
   */
  ReadResult read(String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool);

  /** Stores a whole object. The body stays the caller's. */
  PutResult put(String key, List<Bytes> body, PutOptions options);

  /**
   * Begins an upload in parts.
   *
   * @param stamp names the attempt, at most 40 characters of a-z 0-9 -; parts of two attempts never
   *     mix (F10)
   * @param options the same as those of the commit: some stores take headers and metadata now
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
   * Makes the object of its parts, in the order of their tags, which is that of their numbers. The
   * upload ends when it is stored; else it is the caller's to abort.
   *
   * @throws io.forebay.core.error.ForebayException NO_SUCH_UPLOAD when a part is not there; nothing
   *     was changed
   */
  PutResult commit(String key, String upload, List<String> tags, PutOptions options);

  /** Drops an upload. Idempotent; what a store drops by itself needs nothing. */
  void abort(String key, String upload);

  /**
   * Copies an object of at most {@link StoreLimits#maxCopyBytes} inside the store; refused when the
   * source has another ETag or the condition fails.
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
