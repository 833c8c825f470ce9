package io.forebay.node.resync;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.cluster.Group;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Network;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.Volume;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Brings one chunk from other nodes onto a volume. What arrives is kept only if it is, as a whole,
 * what the list said.
 */
final class ChunkPull {
  /** Where its bytes come from. */
  @FunctionalInterface
  interface Source {
    /** Exactly that part; whoever takes it releases it. */
    Bytes part(int offset, int length);
  }

  private final Volume volume;
  private final Group group;
  private final DataMessage.ChunkList.Listed chunk;
  private final AtomicLong movedBytes;

  /**
   * @param movedBytes counts what was fetched
   */
  ChunkPull(Volume volume, Group group, DataMessage.ChunkList.Listed chunk, AtomicLong movedBytes) {
    this.volume = volume;
    this.group = group;
    this.chunk = chunk;
    this.movedBytes = movedBytes;
  }

  /** Stores the chunk, unless it is held by now. */
  void store(Source source) {
    bring(source, false);
  }

  /** Stores the chunk in the place of a damaged copy. */
  void replace(Source source) {
    bring(source, true);
  }

  private void bring(Source source, boolean replaces) {
    ChunkAppender appender =
        volume.append(
            chunk.id(),
            group.id(),
            chunk.epoch(),
            chunk.lengthBytes(),
            group.family().durability());
    try {
      int offset = 0;
      int crc = 0;
      Optional<Outcome<Void>> writing = Optional.empty();
      while (offset < chunk.lengthBytes()) {
        int length = Math.min(Network.MAX_PAYLOAD_BYTES, chunk.lengthBytes() - offset);
        Bytes part = source.part(offset, length);
        try {
          // One part is written while the next is fetched: two buffers for a chunk, not sixteen.
          writing.ifPresent(Outcome::await);
          int partCrc = part.crc32c();
          writing = Optional.of(appender.write(offset, part, partCrc));
          crc = Crc32cCombiner.combine(crc, partCrc, length);
          movedBytes.addAndGet(length);
        } finally {
          part.release();
        }
        offset += length;
      }
      if (crc != chunk.crc32c()) {
        throw new ForebayException(
            ErrorCode.CORRUPT, chunk.id() + " of " + group.id() + " arrived with another CRC32C");
      }
      if (replaces) {
        appender.replace(chunk.lengthBytes(), chunk.crc32c());
      } else {
        appender.commit(chunk.lengthBytes(), chunk.crc32c());
      }
    } finally {
      appender.abort();
    }
  }
}
