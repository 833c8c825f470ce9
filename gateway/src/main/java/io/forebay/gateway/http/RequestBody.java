package io.forebay.gateway.http;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** The body of a request, pulled piece by piece by the thread that handles the request. */
public interface RequestBody {
  /**
   * The next piece, blocking until the client has sent it; null after the last. The piece is the
   * network's buffer: read only, valid until the next call. The first call lets a client that waits
   * for {@code 100 Continue} go on.
   *
   * @throws io.forebay.core.error.ForebayException INCOMPLETE_BODY when the client went away;
   *     TIMEOUT when it sends nothing, or too slowly
   */
  @Nullable ByteBuffer next();
}
