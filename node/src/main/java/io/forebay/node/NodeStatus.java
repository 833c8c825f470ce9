package io.forebay.node;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.lease.LeaseCache;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.volume.VolumeUsage;
import io.forebay.node.life.Balancer;
import io.forebay.node.life.Fenced;
import io.forebay.node.replica.Fill;
import io.forebay.node.resync.Repair;
import io.forebay.node.resync.Resync;
import io.forebay.node.resync.Scrubber;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a node is doing now.
 *
 * @param leaseHeld whether it may take writes
 * @param clusterLeader whom it takes for the leader of the cluster's log
 * @param namespaceLeader likewise of the namespace's
 * @param balance of a voter: what it had moved while it led
 * @param fenced nodes that are out because they are slow, as far as this node knows: the leader
 *     knows all, a node itself
 * @param slowVolumes that take many times longer than others, as this node's writers see it: for a
 *     MiB, in microseconds
 * @param rehomedChunks chunks that were written again elsewhere
 * @param waitingForRoom chunks of its writers that wait for room on full disks
 * @param scrub what looking through its volumes came to
 * @param writeMemoryFreeBytes of what bodies may hold
 * @param readSlicesFree of what readers may hold
 * @param memoryTierBytes held in memory of what is read often
 * @param memoryTierHits reads that were answered from there
 * @param leases what it answered from memory
 * @param leaseBook of a voter: what it gives as a leader
 * @param logLevel of a voter: the lower level of its two logs; else 0
 */
public record NodeStatus(
    NodeId node,
    boolean leaseHeld,
    NodeId clusterLeader,
    NodeId namespaceLeader,
    ClusterImage image,
    List<VolumeState> volumes,
    Resync.Counters resync,
    Balancer.Counters balance,
    List<Fenced> fenced,
    Map<VolumeId, Long> slowVolumes,
    long rehomedChunks,
    long waitingForRoom,
    long garbageBytes,
    long evictedBytes,
    Repair.Counters repair,
    Scrubber.Counters scrub,
    long writeMemoryFreeBytes,
    long readSlicesFree,
    long memoryTierBytes,
    long memoryTierHits,
    LeaseCache.Counters leases,
    Optional<LeaseTable.Counters> leaseBook,
    int logLevel) {
  public NodeStatus {
    volumes = List.copyOf(volumes);
    fenced = List.copyOf(fenced);
  }

  /**
   * One of its volumes.
   *
   * @param contents of what it held when it was last looked at
   * @param fault why it is turned out, if it is
   */
  public record VolumeState(
      VolumeId id, VolumeUsage usage, Optional<Fill.Contents> contents, Optional<String> fault) {}
}
