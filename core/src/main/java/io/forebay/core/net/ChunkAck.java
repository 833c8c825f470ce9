package io.forebay.core.net;

import java.util.List;

/** What became of a chunk on each volume of its chain, in the chain's order. */
public record ChunkAck(List<HopAck> hops) {
  public ChunkAck {
    hops = List.copyOf(hops);
  }

  /** Whether every hop holds the chunk. */
  public boolean allStored() {
    return hops.stream().allMatch(hop -> hop.status() == HopAck.Status.STORED);
  }
}
