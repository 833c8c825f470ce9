package io.forebay.core.net;

import io.forebay.core.codec.Tag;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.VolumeId;
import java.util.List;
import java.util.Optional;

/** Messages about chunks, between nodes and from clients to nodes. */
public sealed interface DataMessage extends Message {
  /** Are you there? Answered by {@link Pong}. */
  @Tag(1)
  record Ping() implements DataMessage {}

  /** Answers {@link Ping}. */
  @Tag(2)
  record Pong() implements DataMessage {}

  /**
   * Asks for a part of a chunk, of whichever volume of the node holds it. Answered by {@link
   * ChunkData} or {@link ChunkMissing}.
   *
   * @param group where the manifest says that the chunk lives
   * @param offset in the chunk, from 0
   * @param length in bytes, at most {@link Network#MAX_PAYLOAD_BYTES}
   * @param minVersion cluster image version at or above which "absent" counts (rule R8)
   */
  @Tag(3)
  record ChunkRead(ChunkId id, GroupId group, int offset, int length, long minVersion)
      implements DataMessage {}

  /**
   * The part asked for is this reply's payload.
   *
   * @param crc32c over the payload
   */
  @Tag(4)
  record ChunkData(int crc32c) implements DataMessage {}

  /**
   * The node does not hold the chunk.
   *
   * @param authoritative whether that is the word of an in-sync member that knows the asked-for
   *     image version (rule R8): then a chunk that is owed is lost; otherwise it says nothing
   */
  @Tag(5)
  record ChunkMissing(boolean authoritative) implements DataMessage {}

  /**
   * Asks a member to acknowledge a chunk that it may hold already (rule R1). Answered by {@link
   * ChunkHaveAck}.
   */
  @Tag(6)
  record ChunkHave(
      VolumeId volume, ChunkId id, GroupId group, Epoch epoch, int lengthBytes, int crc32c)
      implements DataMessage {}

  /** Answers {@link ChunkHave}: STORED, or why not. */
  @Tag(7)
  record ChunkHaveAck(HopAck ack) implements DataMessage {}

  /**
   * Asks for the chunks of a group on a volume, in order, for re-sync (rules R4, R5). Answered by
   * {@link ChunkList}; the source adopts the join epoch first, or fails with STALE_EPOCH.
   *
   * @param after lists what is greater than this
   * @param max entries, 1 to {@link #MOST}
   */
  @Tag(8)
  record ListChunks(
      VolumeId volume, GroupId group, Epoch joinEpoch, Optional<ChunkId> after, int max)
      implements DataMessage {
    public static final int MOST = 10_000;
  }

  /**
   * A page of a list, ascending by id.
   *
   * @param more whether there may be greater ids than the last of these
   */
  @Tag(9)
  record ChunkList(List<Listed> chunks, boolean more) implements DataMessage {
    public ChunkList {
      chunks = List.copyOf(chunks);
    }

    /** One chunk that a volume holds. */
    public record Listed(ChunkId id, Epoch epoch, int lengthBytes, int crc32c) {}
  }
}
