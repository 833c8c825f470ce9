package io.forebay.transport.tcp;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelConfig;
import io.netty.channel.RecvByteBufAllocator;
import io.netty.util.UncheckedBooleanSupplier;
import java.nio.ByteBuffer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Lets the socket read into memory that the frame decoder names, instead of buffers of Netty's: the
 * way by which a payload lands in its slab without a copy. One for each channel.
 */
final class DirectReceive implements RecvByteBufAllocator {
  // Lets other connections of the loop have their turn.
  private static final int MAX_READS_PER_TURN = 16;
  private static final int STRAY_BYTES = 64;

  private final Supplier<@Nullable ByteBuffer> destination;

  /**
   * @param destination where to read next; null when nothing should be read: what comes all the
   *     same (at a shutdown by the peer) lands in a buffer that {@link #isStray} recognises
   */
  DirectReceive(Supplier<@Nullable ByteBuffer> destination) {
    this.destination = destination;
  }

  /** Whether the buffer is none of the decoder's. */
  static boolean isStray(ByteBuf buffer) {
    return buffer.maxCapacity() == STRAY_BYTES;
  }

  @Override
  public ExtendedHandle newHandle() {
    return new Reads();
  }

  private final class Reads implements ExtendedHandle {
    private @Nullable ChannelConfig config;
    private int reads;
    private int attempted;
    private int last;

    @Override
    public ByteBuf allocate(ByteBufAllocator allocator) {
      ByteBuffer target = destination.get();
      return target == null
          ? allocator.directBuffer(STRAY_BYTES, STRAY_BYTES)
          : Unpooled.wrappedBuffer(target).clear();
    }

    @Override
    public int guess() {
      return 4096;
    }

    @Override
    public void reset(ChannelConfig channelConfig) {
      config = channelConfig;
      reads = 0;
      last = 0;
    }

    @Override
    public void incMessagesRead(int count) {
      reads += count;
    }

    @Override
    public void lastBytesRead(int bytes) {
      last = bytes;
    }

    @Override
    public int lastBytesRead() {
      return last;
    }

    @Override
    public void attemptedBytesRead(int bytes) {
      attempted = bytes;
    }

    @Override
    public int attemptedBytesRead() {
      return attempted;
    }

    @Override
    public boolean continueReading() {
      return continueReading(() -> last == attempted);
    }

    @Override
    public boolean continueReading(UncheckedBooleanSupplier maybeMore) {
      return last > 0
          && reads < MAX_READS_PER_TURN
          && config != null
          && config.isAutoRead()
          && maybeMore.get();
    }

    @Override
    public void readComplete() {}
  }
}
