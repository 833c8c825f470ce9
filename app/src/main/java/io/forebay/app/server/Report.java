package io.forebay.app.server;

import io.forebay.core.cluster.Balance;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.Outage;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.node.NodeStatus;
import io.forebay.node.replica.Fill;
import io.forebay.node.resync.Resync;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a node says of itself and of the cluster, as facts for {@code status --json} and the admin
 * door.
 *
 * @param version of the cluster image
 * @param leader whom the node takes for the leader of the cluster's log
 * @param namespaceLeader likewise of the namespace's log
 * @param ready whether the node holds its lease: it may take writes
 * @param door what the S3 door has under way and free; empty without one
 */
public record Report(
    String node,
    String clusterId,
    long version,
    String leader,
    String namespaceLeader,
    boolean ready,
    List<NodeFacts> nodes,
    GroupFacts groups,
    List<MoveFacts> moves,
    List<VolumeFacts> volumes,
    Resync.Counters resync,
    Map<String, Long> flush,
    Map<String, Long> storeRequests,
    Map<String, Long> counters,
    Map<String, Long> door,
    Defaults defaults) {
  /**
   * A node of the cluster.
   *
   * @param groups that count on one of its volumes, in whatever state: 0 says that it may go,
   *     unless it is a voter
   * @param usedBytes of its volumes; null of all but the node that was asked, which knows its own
   * @param slow since when and why it is out for being slow, as far as the node that was asked
   *     knows: the leader does, and the slow one; empty otherwise
   */
  public record NodeFacts(
      String name,
      String address,
      String domain,
      String state,
      int volumes,
      int groups,
      long capacityBytes,
      @Nullable Long usedBytes,
      String slow) {}

  /**
   * How the groups are.
   *
   * @param full all replicas in sync
   * @param degraded fewer, and taking writes
   * @param unwritable below minInSync
   * @param syncing members that are catching up
   * @param awaitedNodes nodes that are away, and whose volumes are not replaced because too many
   *     are away at once; 0 otherwise
   */
  public record GroupFacts(
      int total, int full, int degraded, int unwritable, int syncing, int awaitedNodes) {}

  /** A group that moves from a node with a full disk to one with an empty disk. */
  public record MoveFacts(int group, String from, String to) {}

  /**
   * A volume of the node that was asked.
   *
   * @param owedBytes of chunks that are in no store, when it was last looked at
   * @param openBytes likewise of writers under way
   * @param cleanBytes likewise of what may be evicted
   * @param fault why it is turned out; empty while it is well
   */
  public record VolumeFacts(
      String id,
      long capacityBytes,
      long usedBytes,
      long chunks,
      long queuedBytes,
      long owedBytes,
      long openBytes,
      long cleanBytes,
      String fault) {}

  /** What new buckets get where nothing else is said. */
  public record Defaults(int replicas, String store, long flushDelayMillis) {}

  static Report of(
      NodeStatus status,
      Map<String, Long> flush,
      Map<String, Long> storeRequests,
      Map<String, Long> door,
      Defaults defaults) {
    ClusterImage image = status.image();
    Outage outage = Outage.of(image);
    int full = 0;
    int degraded = 0;
    int unwritable = 0;
    int syncing = 0;
    var groupsOn = new TreeMap<NodeId, Integer>();
    for (Group group : image.groups()) {
      group.members().stream()
          .flatMap(member -> image.volume(member.volume()).stream())
          .map(VolumeRecord::node)
          .distinct()
          .forEach(node -> groupsOn.merge(node, 1, Integer::sum));
      int inSync = group.in(MemberState.IN_SYNC).size();
      syncing += group.in(MemberState.SYNCING).size();
      if (!group.writable()) {
        unwritable++;
      } else if (inSync >= group.family().replicas()) {
        full++;
      } else {
        degraded++;
      }
    }
    List<NodeFacts> nodes =
        image.nodes().stream()
            .map(node -> facts(image, node, groupsOn.getOrDefault(node.id(), 0), status))
            .toList();
    return new Report(
        status.node().name(),
        image.clusterId(),
        image.version(),
        status.clusterLeader().name(),
        status.namespaceLeader().name(),
        status.leaseHeld(),
        nodes,
        new GroupFacts(
            image.groups().size(),
            full,
            degraded,
            unwritable,
            syncing,
            outage.waits() ? outage.away() : 0),
        Balance.moving(image).stream()
            .map(move ->
                new MoveFacts(
                    move.group().id().value(), owner(image, move.from()), owner(image, move.to())))
            .toList(),
        status.volumes().stream()
            .map(volume ->
                new VolumeFacts(
                    volume.id().toString(),
                    volume.usage().capacityBytes(),
                    volume.usage().usedBytes(),
                    volume.usage().chunks(),
                    volume.usage().queuedBytes(),
                    volume.contents().map(Fill.Contents::owedBytes).orElse(0L),
                    volume.contents().map(Fill.Contents::openBytes).orElse(0L),
                    volume.contents().map(Fill.Contents::cleanBytes).orElse(0L),
                    volume.fault().orElse("")))
            .toList(),
        status.resync(),
        flush,
        storeRequests,
        Map.ofEntries(
            Map.entry("rehomedChunks", status.rehomedChunks()),
            Map.entry("slowVolumes", (long) status.slowVolumes().size()),
            Map.entry("waitingForRoom", status.waitingForRoom()),
            Map.entry("movesBegun", status.balance().begun()),
            Map.entry("movesGivenUp", status.balance().givenUp()),
            Map.entry("garbageBytes", status.garbageBytes()),
            Map.entry("evictedBytes", status.evictedBytes()),
            Map.entry("corruptReads", status.repair().damagedReads()),
            Map.entry("lostChunks", status.repair().lostChunks()),
            Map.entry("repairedChunks", status.repair().repairedChunks()),
            Map.entry("failedRepairs", status.repair().failedRepairs()),
            Map.entry("scrubbedBytes", status.scrub().bytes()),
            Map.entry("scrubFoundDamaged", status.scrub().damagedChunks()),
            Map.entry("scrubFoundAbsent", status.scrub().absentChunks()),
            Map.entry("scrubCycles", status.scrub().cycles()),
            Map.entry("writeMemoryFreeBytes", status.writeMemoryFreeBytes()),
            Map.entry("readSlicesFree", status.readSlicesFree()),
            Map.entry("memoryTierBytes", status.memoryTierBytes()),
            Map.entry("memoryTierHits", status.memoryTierHits()),
            Map.entry("logLevel", (long) status.logLevel()),
            Map.entry("leaseHits", status.leases().hits()),
            Map.entry("leaseMisses", status.leases().misses()),
            Map.entry("leaseRevocations", status.leases().revocations()),
            Map.entry("leasesGranted", status.leaseBook().map(book -> book.granted()).orElse(0L)),
            Map.entry("leasesRevoked", status.leaseBook().map(book -> book.revoked()).orElse(0L))),
        door,
        defaults);
  }

  private static String owner(ClusterImage image, VolumeId volume) {
    return image.volume(volume).map(record -> record.node().name()).orElse("");
  }

  private static NodeFacts facts(
      ClusterImage image, NodeRecord node, int groups, NodeStatus status) {
    List<VolumeRecord> volumes =
        image.volumes().stream().filter(volume -> volume.node().equals(node.id())).toList();
    Long used =
        node.id().equals(status.node())
            ? status.volumes().stream().mapToLong(volume -> volume.usage().usedBytes()).sum()
            : null;
    return new NodeFacts(
        node.id().name(),
        node.address(),
        node.domain(),
        node.state().name(),
        volumes.size(),
        groups,
        volumes.stream().mapToLong(VolumeRecord::capacityBytes).sum(),
        used,
        status.fenced().stream()
            .filter(fenced -> fenced.node().equals(node.id()))
            .map(fenced ->
                "since " + Instant.ofEpochMilli(fenced.sinceMillis()) + ": " + fenced.why())
            .findFirst()
            .orElse(""));
  }
}
