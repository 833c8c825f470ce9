package io.forebay.backing.http;

import io.forebay.core.bytes.Bytes;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import reactor.core.publisher.Flux;

/**
 * The window through which the SDK's event loops see a caller's buffers. It is shut before the call
 * returns.
 *
 * <p>Why the bytes are copied into small arrays, not lent: a request that timed out may still be on
 * its way out of a socket's queue, with its stamp; a recycled slab under it would store somebody
 * else's bytes as ours.
 */
public final class Transfer implements AutoCloseable {
  // The HTTP client has up to 128 pieces of a request under way: 8 MiB.
  private static final int PIECE_BYTES = 64 << 10;

  private final ReentrantLock lock = new ReentrantLock();
  private boolean shut; // guarded by lock

  /** A body, read anew by each subscriber. */
  public Flux<ByteBuffer> body(List<Bytes> body) {
    return Flux.generate(
        () -> new Place(0, 0),
        (place, sink) -> {
          Place at = place;
          while (at.index() < body.size() && at.offset() == body.get(at.index()).length()) {
            at = new Place(at.index() + 1, 0);
          }
          if (at.index() == body.size()) {
            sink.complete();
            return at;
          }
          lock.lock();
          try {
            if (shut) {
              sink.error(new IllegalStateException("the request is over"));
              return at;
            }
            Bytes from = body.get(at.index());
            int length = Math.min(PIECE_BYTES, from.length() - at.offset());
            ByteBuffer piece = ByteBuffer.allocate(length);
            Bytes slice = from.slice(at.offset(), length);
            try {
              slice.copyTo(piece);
            } finally {
              slice.release();
            }
            sink.next(piece.flip());
            return new Place(at.index(), at.offset() + length);
          } finally {
            lock.unlock();
          }
        });
  }

  private record Place(int index, int offset) {}

  /** Goes back to the beginning of the caller's buffer, for another try. */
  public void restart(ByteBuffer target) {
    lock.lock();
    try {
      if (!shut) {
        target.position(0);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Puts what arrived into the caller's buffer. */
  public void receive(ByteBuffer arrived, ByteBuffer target) {
    lock.lock();
    try {
      if (shut) {
        return;
      }
      if (arrived.remaining() > target.remaining()) {
        throw new IllegalStateException("more arrived than was asked for");
      }
      target.put(arrived);
    } finally {
      lock.unlock();
    }
  }

  /** Length of a body in bytes. */
  public static long length(List<Bytes> body) {
    return body.stream().mapToLong(Bytes::length).sum();
  }

  @Override
  public void close() {
    lock.lock();
    try {
      shut = true;
    } finally {
      lock.unlock();
    }
  }
}
