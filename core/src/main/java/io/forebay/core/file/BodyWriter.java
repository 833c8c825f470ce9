package io.forebay.core.file;

import io.forebay.core.bytes.Bytes;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;

/**
 * A body on its way in: of an object or of a part. Used by one thread at a time. Closing it without
 * having published discards everything.
 *
 * @param <T> what publishing answers: {@link ObjectInfo} or {@link PartInfo}
 */
public interface BodyWriter<T> extends AutoCloseable {
  /**
   * Waits until there is memory for more bytes. To be called before memory is taken for them: who
   * holds some while it waits for more keeps those waiting that would give some back. Calling it is
   * a courtesy, not a duty; not calling it before {@link #write} costs nothing where few write.
   *
   * @param lengthBytes how many bytes will follow at least, from 1
   */
  void awaitRoom(int lengthBytes);

  /**
   * Appends, blocking while the writer's window is full. The callee retains what it keeps; the
   * caller releases its own reference after the return and must not change the memory until then.
   *
   * @throws io.forebay.core.error.ForebayException NO_SPACE; ENTITY_TOO_LARGE; UNAVAILABLE (no
   *     group takes it in time); the writer is then useless
   */
  void write(Bytes bytes);

  /**
   * Waits until all bytes are on as many volumes as promised, then makes them visible as one new
   * generation (or part).
   *
   * @param md5Hex MD5 of the whole body in lower-case hex, when the caller has computed it over the
   *     bytes that it wrote; it becomes the ETag. See {@link WriteOptions#md5FromCaller}.
   * @param headers what the door keeps with the object or part and knows only now that the body has
   *     come, such as its checksums; added to {@link ObjectMetadata#headers}
   * @throws io.forebay.core.error.ForebayException PRECONDITION_FAILED; NOT_FOUND (If-Match on an
   *     absent key); INCOMPLETE_BODY (fewer or more bytes than expected); SESSION_ENDED;
   *     UNAVAILABLE or TIMEOUT (outcome unknown)
   */
  T publish(Optional<String> md5Hex, Map<String, String> headers);

  /** Publishes without further headers. */
  default T publish(Optional<String> md5Hex) {
    return publish(md5Hex, Collections.emptyMap());
  }

  /** Discards what was not published; idempotent. */
  @Override
  void close();
}
