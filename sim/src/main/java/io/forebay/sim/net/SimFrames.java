package io.forebay.sim.net;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.transport.frame.FrameDecoder;
import io.forebay.transport.frame.FrameHeader;
import io.forebay.transport.frame.FrameType;
import io.forebay.transport.frame.WireVersions;
import java.nio.ByteBuffer;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Takes frames apart as a connection does. Payloads go beside them: they are mostly computed, and
 * would take memory.
 */
final class SimFrames {
  /** Keeps the last frame. */
  private static final class Last implements FrameDecoder.Receiver {
    byte[] body = new byte[0];

    @Override
    public Optional<SlabPool> payloadPool(FrameHeader header) {
      return Optional.empty();
    }

    @Override
    public void frame(FrameHeader header, byte[] taken, @Nullable Bytes payload) {
      body = taken;
    }

    @Override
    public boolean ready() {
      return true;
    }
  }

  private static final int UNTRUSTED_BYTES = 4 << 10;

  private final Last last = new Last();
  private final FrameDecoder decoder = new FrameDecoder(last, UNTRUSTED_BYTES);

  SimFrames() {
    decoder.trust(WireVersions.OURS.newest());
  }

  /** A frame of that type. */
  static byte[] frame(FrameType type, byte[] body) {
    return FrameHeader.encode(WireVersions.OURS.newest(), type, 0, 1, body, 0, 0);
  }

  /** The body of a whole frame. */
  byte[] body(byte[] frame) {
    for (int at = 0; at < frame.length; ) {
      ByteBuffer into = decoder.destination();
      int count = Math.min(into.remaining(), frame.length - at);
      into.put(frame, at, count);
      decoder.advance(count);
      at += count;
    }
    return last.body;
  }
}
