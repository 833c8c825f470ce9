package io.forebay.core.net;

import io.forebay.core.rule.Rule;
import java.util.List;

/** What became of a chunk on each volume of its chain, in the chain's order. */
public record ChunkAck(List<HopAck> hops) {
  public ChunkAck {
    hops = List.copyOf(hops);
  }

  /** Whether every hop holds the chunk (rule R2). */
  public boolean allStored() {
    return Rule.R2.holds()
        ? hops.stream().allMatch(hop -> hop.status() == HopAck.Status.STORED)
        : hops.stream().anyMatch(hop -> hop.status() == HopAck.Status.STORED);
  }
}
