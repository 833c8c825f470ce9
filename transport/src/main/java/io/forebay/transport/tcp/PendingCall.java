package io.forebay.transport.tcp;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.net.DataMessage.ChunkData;
import io.forebay.core.net.Message;
import io.forebay.core.net.Reply;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A call whose answer is awaited. Its payload's reference is given back once it was sent. */
final class PendingCall {
  final byte[] message;
  final Optional<Bytes> payload;
  final int payloadCrc32c;
  private final Outcome<Reply> outcome;
  private volatile Env.@Nullable Timer timer;

  PendingCall(byte[] message, Optional<Bytes> payload, int payloadCrc32c, Outcome<Reply> outcome) {
    this.message = message;
    this.payload = payload;
    this.payloadCrc32c = payloadCrc32c;
    this.outcome = outcome;
  }

  void expireWith(Env.Timer armed) {
    timer = armed;
    if (outcome.isDone()) {
      armed.cancel();
    }
  }

  boolean isDone() {
    return outcome.isDone();
  }

  /** Calls back when there is an answer or a failure. */
  void onSettled(Runnable action) {
    outcome.whenDone(done -> action.run());
  }

  void complete(Reply reply) {
    cancelTimer();
    if (!outcome.complete(reply)) {
      reply.release();
    }
  }

  void fail(Throwable failure) {
    cancelTimer();
    outcome.fail(failure);
  }

  private void cancelTimer() {
    Env.Timer armed = timer;
    if (armed != null) {
      armed.cancel();
    }
  }

  /** The payload was sent, or never will be. Called once. */
  void releasePayload() {
    payload.ifPresent(Bytes::release);
  }

  /** CRC of a payload, known already where the message carries it. */
  static int crcOf(Message message, Optional<Bytes> payload) {
    if (payload.isEmpty()) {
      return 0;
    }
    return message instanceof ChunkData data ? data.crc32c() : payload.get().crc32c();
  }
}
