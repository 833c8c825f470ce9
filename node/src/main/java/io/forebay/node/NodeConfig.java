package io.forebay.node;

import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.resync.Scrubber;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a node is told.
 *
 * @param address HOST:PORT at which others reach it
 * @param domain failure domain
 * @param voters the control plane's nodes and their addresses
 * @param writeMemoryBytes what bodies on their way may hold; at least one chunk of every bucket
 * @param readSlices slices of 1 MiB that readers may hold, at least 1
 * @param memoryTierBytes what is kept in memory of what is read often; 0: nothing
 * @param graceMillis how long a lost volume is waited for before it is replaced
 * @param collectMillis between two rounds of collecting garbage
 * @param capacity when room is made on full disks, and how long writers wait for it
 * @param scrub how volumes are looked through for damage that no read meets
 * @param leases whether keys are answered from memory, and, at a voter, whether others may
 * @param balances whether this node, when it leads, has groups move from full volumes to empty ones
 */
public record NodeConfig(
    String address,
    String domain,
    Map<NodeId, String> voters,
    long writeMemoryBytes,
    int readSlices,
    long memoryTierBytes,
    long graceMillis,
    long collectMillis,
    CapacitySettings capacity,
    Scrubber.Settings scrub,
    LeaseSettings leases,
    boolean balances) {
  public NodeConfig {
    voters = Collections.unmodifiableMap(new TreeMap<>(voters));
    if (voters.isEmpty()) {
      throw new IllegalArgumentException("there must be a voter");
    }
  }
}
