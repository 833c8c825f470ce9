package io.forebay.gateway.http;

import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.netty.buffer.ByteBuf;
import java.util.ArrayDeque;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Pieces of one request's body between the event loop that receives them and the thread that
 * handles the request. The event loop never waits: it stops reading the socket instead.
 */
final class BodyQueue {
  /**
   * Bytes waiting here at which the socket is not read on. Four socket reads of 64 KiB keep a fast
   * link busy across a thread hand-off; 1,024 requests hold at most 256 MiB together.
   */
  static final int HIGH_WATER_BYTES = 256 << 10;

  /** Least mean speed, while we wait for the client, once it has been waited for a minute. */
  private static final long LEAST_BYTES_PER_SECOND = 1024;

  private static final long SECOND = 1_000_000_000L;

  private final Env env;
  private final long stallNanos;
  private final Runnable wantMore;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final ArrayDeque<ByteBuf> pieces = new ArrayDeque<>();
  private long waitingBytes;
  private long receivedBytes;
  private long waitedNanos;
  private boolean ended;
  private boolean discarding;
  private @Nullable ForebayException failure;
  private @Nullable Outcome<@Nullable Void> arrival;

  /**
   * @param wantMore called, on the handling thread, when the socket should be read on
   */
  BodyQueue(Env env, long stallNanos, Runnable wantMore) {
    this.env = env;
    this.stallNanos = stallNanos;
    this.wantMore = wantMore;
  }

  /** Adds a piece; takes over its reference. Event loop. */
  void add(ByteBuf piece) {
    lock.lock();
    try {
      int length = piece.readableBytes();
      receivedBytes += length;
      if (discarding || length == 0) {
        piece.release();
      } else {
        pieces.add(piece);
        waitingBytes += length;
        wake();
      }
    } finally {
      lock.unlock();
    }
  }

  /** The last piece has been added. Event loop. */
  void end() {
    lock.lock();
    try {
      ended = true;
      wake();
    } finally {
      lock.unlock();
    }
  }

  /** No more will come although it did not end. Event loop. */
  void fail(ForebayException why) {
    lock.lock();
    try {
      if (!ended && failure == null) {
        failure = why;
      }
      wake();
    } finally {
      lock.unlock();
    }
  }

  /** Whether the last piece has been added. */
  boolean ended() {
    lock.lock();
    try {
      return ended;
    } finally {
      lock.unlock();
    }
  }

  /** Whether the socket should be read on. */
  boolean wantsMore() {
    lock.lock();
    try {
      return !ended && (discarding || waitingBytes < HIGH_WATER_BYTES);
    } finally {
      lock.unlock();
    }
  }

  /** Bytes received in all. */
  long receivedBytes() {
    lock.lock();
    try {
      return receivedBytes;
    } finally {
      lock.unlock();
    }
  }

  /** Drops what waits and whatever still comes. Idempotent. */
  void discard() {
    lock.lock();
    try {
      discarding = true;
      waitingBytes = 0;
      for (ByteBuf piece : pieces) {
        piece.release();
      }
      pieces.clear();
    } finally {
      lock.unlock();
    }
  }

  /** The next piece, which the caller releases; null after the last. Handling thread; blocks. */
  @Nullable ByteBuf take() {
    while (true) {
      Outcome<@Nullable Void> waiting;
      lock.lock();
      try {
        ByteBuf piece = pieces.poll();
        if (piece != null) {
          boolean full = waitingBytes >= HIGH_WATER_BYTES;
          waitingBytes -= piece.readableBytes();
          if (full && waitingBytes < HIGH_WATER_BYTES) {
            wantMore.run();
          }
          return piece;
        }
        if (failure != null) {
          throw failure;
        }
        if (ended) {
          return null;
        }
        if (waitedNanos > 60 * SECOND
            && receivedBytes < waitedNanos / SECOND * LEAST_BYTES_PER_SECOND) {
          throw new ForebayException(
              ErrorCode.TIMEOUT,
              "the client sends less than " + LEAST_BYTES_PER_SECOND + " bytes a second");
        }
        waiting = new Outcome<>(env);
        arrival = waiting;
      } finally {
        lock.unlock();
      }
      long begin = env.nanoTime();
      if (!waiting.awaitUntil(begin + stallNanos)) {
        throw new ForebayException(
            ErrorCode.TIMEOUT,
            "the client has sent nothing of the body for " + stallNanos / SECOND + " s");
      }
      lock.lock();
      try {
        waitedNanos += env.nanoTime() - begin;
      } finally {
        lock.unlock();
      }
    }
  }

  private void wake() {
    if (arrival != null) {
      arrival.complete(null);
      arrival = null;
    }
  }
}
