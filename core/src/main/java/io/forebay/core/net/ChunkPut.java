package io.forebay.core.net;

import io.forebay.core.cluster.Durability;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import java.util.List;

/**
 * The head of an upload: which chunk, under which epoch, to whom.
 *
 * @param maxLengthBytes room to reserve; the chunk may turn out shorter
 * @param chain who stores it, in the order of passing on; the first is the receiver of this head
 */
public record ChunkPut(
    ChunkId id,
    GroupId group,
    Epoch epoch,
    Durability durability,
    int maxLengthBytes,
    List<Hop> chain) {
  /** The longest chain: seven members that leave, seven that come, and some that are back. */
  public static final int MAX_HOPS = 16;

  public ChunkPut {
    chain = List.copyOf(chain);
    if (chain.isEmpty() || chain.size() > MAX_HOPS) {
      throw new IllegalArgumentException(
          "a chain has 1 to " + MAX_HOPS + " hops, not " + chain.size());
    }
    if (maxLengthBytes < 1) {
      throw new IllegalArgumentException("a chunk has at least 1 byte: " + maxLengthBytes);
    }
  }

  /** The same for the rest of the chain, which is not empty. */
  public ChunkPut afterFirst() {
    return new ChunkPut(
        id, group, epoch, durability, maxLengthBytes, chain.subList(1, chain.size()));
  }
}
