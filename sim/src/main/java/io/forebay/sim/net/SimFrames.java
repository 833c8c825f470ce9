package io.forebay.sim.net;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.sim.preempt.Preemption;
import io.forebay.transport.frame.FrameDecoder;
import io.forebay.transport.frame.FrameHeader;
import io.forebay.transport.frame.FrameType;
import io.forebay.transport.frame.WireVersions;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Takes frames apart as a connection does. Most payloads go beside them: they are mostly computed,
 * and would take memory. A few go through, in pieces of any length, to a receiver that is short of
 * buffers and not always ready.
 */
final class SimFrames {
  /** Keeps the last frame's body. */
  private final class Last implements FrameDecoder.Receiver {
    byte[] body = new byte[0];
    boolean ready = true;

    @Override
    public Optional<SlabPool> payloadPool(FrameHeader header) {
      return Optional.of(pool);
    }

    @Override
    public void frame(FrameHeader header, byte[] taken, @Nullable Bytes payload) {
      body = taken;
      if (payload != null) {
        payload.release();
      }
    }

    @Override
    public boolean ready() {
      return ready;
    }
  }

  private static final int UNTRUSTED_BYTES = 4 << 10;
  private static final int PAYLOADS_ONE_OF = 16;
  private static final int MOST_BYTES = 64 << 10; // of a payload that goes through
  private static final WireVersions SPOKEN = WireVersions.OURS;

  private final RandomGenerator random;
  private final SlabPool pool;
  private final ReentrantLock connection = new ReentrantLock();
  private final Last last = new Last();
  private final FrameDecoder decoder = new FrameDecoder(last, UNTRUSTED_BYTES);

  SimFrames(Env env, RandomGenerator random) {
    this.random = random;
    pool = new SlabPool(env, MOST_BYTES, 1);
    decoder.trust(SPOKEN.newest());
  }

  /** A frame of that type. */
  static byte[] frame(FrameType type, byte[] body) {
    return FrameHeader.encode(SPOKEN.newest(), type, 0, 1, body, 0, 0);
  }

  /** The same with its payload, sometimes; else that has to go beside it. */
  byte[] frame(FrameType type, byte[] body, Optional<Bytes> payload) {
    int length = payload.map(Bytes::length).orElse(0);
    if (length == 0 || length > MOST_BYTES || random.nextInt(PAYLOADS_ONE_OF) != 0) {
      return frame(type, body);
    }
    byte[] head =
        FrameHeader.encode(SPOKEN.newest(), type, 0, 1, body, length, payload.get().crc32c());
    ByteBuffer whole = ByteBuffer.allocate(head.length + length).put(head);
    payload.get().copyTo(whole);
    return whole.array();
  }

  /** The body of a whole frame. */
  byte[] body(byte[] frame) {
    Preemption.hold(connection); // it is the world's
    try {
      return taken(frame);
    } finally {
      Preemption.unlock(connection);
    }
  }

  private byte[] taken(byte[] frame) {
    Optional<Slab> held = random.nextBoolean() ? pool.tryTake() : Optional.empty();
    for (int at = 0; at < frame.length; ) {
      ByteBuffer into = decoder.destination();
      int count = Math.min(into.remaining(), frame.length - at);
      if (frame.length > UNTRUSTED_BYTES) {
        count = random.nextInt(1, count + 1);
      }
      into.put(frame, at, count);
      at += count;
      last.ready = random.nextInt(4) > 0;
      decoder.advance(count);
      last.ready = true;
      decoder.resume();
      if (decoder.waitingFor().isPresent()) {
        held.orElseThrow().release();
        held = Optional.empty();
        decoder.provide(pool.tryTake().orElseThrow());
      }
    }
    held.ifPresent(Slab::release);
    return last.body;
  }
}
