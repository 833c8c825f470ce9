package io.forebay.transport.frame;

import io.forebay.core.bytes.BlockCrcs;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Passes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.error.ForebayException;
import java.nio.ByteBuffer;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Turns what arrives on one connection into frames. It names the memory that the next bytes are to
 * be read into: a small scratch buffer for headers and bodies, the payload's own slab for payloads.
 * So payloads are not copied, except for the few hundred bytes that were read together with their
 * header; their CRC is computed as they arrive, while they are in the cache.
 *
 * <p>After a large payload the next read is short (a header and a small body), because another
 * large payload is likely to follow it; otherwise one read takes many small frames.
 *
 * <p>The owner's loop: read into {@link #destination}, then {@link #advance}; when {@link
 * #waitingFor} names a pool, stop reading, get a slab, {@link #provide} it, go on.
 */
public final class FrameDecoder {
  private static final int SCRATCH_BYTES = 16 << 10;
  private static final int SHORT_READ_BYTES = 256;
  private static final int LARGE_PAYLOAD_BYTES = 64 << 10;
  private static final byte[] EMPTY = new byte[0];

  /** Who gets the frames. */
  public interface Receiver {
    /**
     * Whether and where a frame's payload is wanted; called when header and body are verified.
     *
     * @return the pool for its slab, or empty to skip the payload (the frame is then dropped)
     * @throws ForebayException to end the connection
     */
    Optional<SlabPool> payloadPool(FrameHeader header);

    /**
     * A whole frame.
     *
     * @param payload verified against the header's CRC; its reference passes to the receiver
     * @throws ForebayException to end the connection
     */
    void frame(FrameHeader header, byte[] body, @Nullable Bytes payload);

    /** Whether frames may be delivered now; otherwise they wait until {@link #resume}. */
    boolean ready();
  }

  private enum State {
    HEADER,
    BODY,
    SLAB,
    PAYLOAD,
    SKIP
  }

  private final Receiver receiver;
  private final int maxBodyBytesBeforeTrust;
  private final ByteBuffer scratch = ByteBuffer.allocateDirect(SCRATCH_BYTES).limit(0);
  private final byte[] headerBytes = new byte[FrameHeader.BYTES];
  private BlockCrcs crcs = new BlockCrcs(0); // of the payload at hand
  private boolean trusted;
  private int version = FrameHeader.FIRST_VERSION;
  private State state = State.HEADER;
  private int filled; // of the header, body or payload at hand
  private @Nullable FrameHeader header;
  private byte[] body = EMPTY;
  private @Nullable Slab slab;
  private @Nullable SlabPool waitingFor;
  private boolean shortRead;

  /**
   * @param maxBodyBytesBeforeTrust bound of a body until {@link #trust}
   */
  public FrameDecoder(Receiver receiver, int maxBodyBytesBeforeTrust) {
    this.receiver = receiver;
    this.maxBodyBytesBeforeTrust = maxBodyBytesBeforeTrust;
  }

  /**
   * The peer has authenticated itself: from now on the types' own bounds hold.
   *
   * @param agreed the version that the peer speaks from now on
   */
  public void trust(int agreed) {
    trusted = true;
    version = agreed;
  }

  /**
   * Where the next bytes are to be read into; never empty, and not to be asked for while {@link
   * #waitingFor} is present or the receiver is not ready.
   */
  public ByteBuffer destination() {
    if (state == State.PAYLOAD && slab != null && header != null) {
      return slab.buffer().slice(filled, header.payloadLength() - filled);
    }
    if (scratch.hasRemaining()) {
      throw new IllegalStateException("there are bytes that were not parsed yet");
    }
    scratch.clear();
    ByteBuffer window = scratch.slice(0, shortRead ? SHORT_READ_BYTES : SCRATCH_BYTES);
    scratch.limit(0);
    return window;
  }

  /**
   * So many bytes were read into the destination.
   *
   * @throws ForebayException CORRUPT or WRONG_VERSION: the connection is of no further use
   */
  public void advance(int count) {
    if (state == State.PAYLOAD) {
      payloadArrived(count);
    } else {
      scratch.position(0).limit(count);
    }
    parse();
  }

  /** The pool whose slab is needed before anything more can be read. */
  public Optional<SlabPool> waitingFor() {
    return Optional.ofNullable(waitingFor);
  }

  /** Hands over the slab that was waited for, with its reference. */
  public void provide(Slab taken) {
    if (state != State.SLAB) {
      taken.release();
      return;
    }
    waitingFor = null;
    beginPayload(taken);
    parse();
  }

  /** Goes on after the receiver was not ready. */
  public void resume() {
    parse();
  }

  /** Gives the slab at hand back; nothing may be called afterwards. */
  public void close() {
    if (slab != null) {
      slab.release();
      slab = null;
    }
    waitingFor = null;
    state = State.SKIP;
  }

  private void parse() {
    while (waitingFor == null && receiver.ready()) {
      switch (state) {
        case HEADER -> {
          if (!fill(headerBytes)) {
            return;
          }
          beginBody(FrameHeader.parse(headerBytes, version));
        }
        case BODY -> {
          if (!fill(body)) {
            return;
          }
          FrameHeader.verify(headerBytes, body);
          endBody(current());
        }
        case SLAB -> throw new IllegalStateException("a slab is waited for");
        case PAYLOAD -> {
          int count = Math.min(scratch.remaining(), current().payloadLength() - filled);
          if (count > 0) {
            Passes.copied(count);
            requireSlab().buffer().put(filled, scratch, scratch.position(), count);
            scratch.position(scratch.position() + count);
            payloadArrived(count);
          }
          if (filled < current().payloadLength()) {
            return;
          }
          endPayload(current());
        }
        case SKIP -> {
          int count = Math.min(scratch.remaining(), current().payloadLength() - filled);
          scratch.position(scratch.position() + count);
          filled += count;
          if (filled < current().payloadLength()) {
            return;
          }
          begin();
        }
      }
    }
  }

  private boolean fill(byte[] target) {
    int count = Math.min(scratch.remaining(), target.length - filled);
    scratch.get(target, filled, count);
    filled += count;
    return filled == target.length;
  }

  private void begin() {
    state = State.HEADER;
    filled = 0;
    header = null;
    body = EMPTY;
  }

  private void beginBody(FrameHeader next) {
    if (!trusted && next.bodyLength() > maxBodyBytesBeforeTrust) {
      throw FrameHeader.corrupt(
          "oversize body: "
              + next.bodyLength()
              + " bytes from a peer that has not authenticated itself");
    }
    if (!trusted && next.type() != FrameType.HELLO && next.type() != FrameType.ERROR) {
      throw FrameHeader.corrupt(
          next.type() + " frame from a peer that has not authenticated itself");
    }
    header = next;
    shortRead = next.payloadLength() >= LARGE_PAYLOAD_BYTES;
    body = next.bodyLength() == 0 ? EMPTY : new byte[next.bodyLength()];
    filled = 0;
    state = State.BODY;
  }

  private void endBody(FrameHeader at) {
    if (at.payloadLength() == 0) {
      byte[] complete = body;
      begin();
      receiver.frame(at, complete, null);
      return;
    }
    Optional<SlabPool> pool = receiver.payloadPool(at);
    filled = 0;
    if (pool.isEmpty()) {
      state = State.SKIP;
      return;
    }
    if (pool.get().slabBytes() < at.payloadLength()) {
      throw FrameHeader.corrupt(
          "payload of "
              + at.payloadLength()
              + " bytes does not fit into a buffer of "
              + pool.get().slabBytes());
    }
    state = State.SLAB;
    Optional<Slab> free = pool.get().tryTake();
    if (free.isPresent()) {
      beginPayload(free.get());
    } else {
      waitingFor = pool.get();
    }
  }

  private void beginPayload(Slab taken) {
    slab = taken;
    crcs = new BlockCrcs(current().payloadLength());
    filled = 0;
    state = State.PAYLOAD;
  }

  private void payloadArrived(int count) {
    crcs.update(requireSlab().buffer().slice(filled, count));
    filled += count;
  }

  private void endPayload(FrameHeader at) {
    int[] blocks = crcs.end();
    if (BlockCrcs.whole(blocks, at.payloadLength()) != at.payloadCrc32c()) {
      throw FrameHeader.corrupt(
          "checksum of a payload of " + at.payloadLength() + " bytes differs");
    }
    Slab full = requireSlab();
    Bytes payload = full.bytes(0, at.payloadLength(), blocks);
    full.release();
    slab = null;
    byte[] complete = body;
    begin();
    receiver.frame(at, complete, payload);
  }

  private FrameHeader current() {
    if (header == null) {
      throw new IllegalStateException("no frame is being read");
    }
    return header;
  }

  private Slab requireSlab() {
    if (slab == null) {
      throw new IllegalStateException("no payload is being read");
    }
    return slab;
  }
}
