package io.forebay.core.cluster;

import io.forebay.core.codec.Tag;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.util.List;

/**
 * What may be asked of the {@code cluster} log. Each is idempotent or refused by name when
 * repeated.
 */
public sealed interface ClusterCommand {
  /** Names the cluster once; later ones change nothing. */
  @Tag(1)
  record Initialize(String clusterId) implements ClusterCommand {}

  /**
   * A node's process has started, with these volumes. Rule R6: another incarnation is put OUT
   * first.
   */
  @Tag(2)
  record RegisterNode(NodeId node, String address, String domain, List<Announced> volumes)
      implements ClusterCommand {
    /** A volume as found on the node's disk. */
    public record Announced(VolumeId volume, Incarnation incarnation, long capacityBytes) {}
  }

  /** The leases of these runs of nodes ended: their volumes go OUT (rule R11). */
  @Tag(3)
  record ExpelNodes(List<Run> runs) implements ClusterCommand {
    /** One run of a node's process; an older registration than the present one is ignored. */
    public record Run(NodeId node, long registration) {}
  }

  /** A member has everything: SYNCING → IN_SYNC, refused when its join epoch moved (rule R4). */
  @Tag(4)
  record Promote(GroupId group, VolumeId volume, Epoch joinEpoch) implements ClusterCommand {}

  /** All members of a reviving epoch have the union: all become IN_SYNC (rule R12). */
  @Tag(5)
  record Revived(GroupId group, Epoch epoch) implements ClusterCommand {}

  /**
   * Gives up whatever members are away. Logs of before {@link GiveUp} hold it; it is refused since,
   * for others may be away by the time it is applied than an operator saw.
   */
  @Tag(6)
  record Salvage(GroupId group) implements ClusterCommand {}

  /**
   * Replaces volumes that have been down longer than the grace period, and those of draining nodes.
   * In an {@link Outage} that is too wide only the draining ones, and lost ones in groups with a
   * single copy.
   */
  @Tag(7)
  record ReplaceLost(long graceMillis) implements ClusterCommand {}

  /** Marks a node to be emptied, or takes that back. */
  @Tag(8)
  record Drain(NodeId node, boolean on) implements ClusterCommand {}

  /**
   * Creates a bucket, and its family's groups if it is the first of them. The id in the argument is
   * ignored.
   */
  @Tag(9)
  record CreateBucket(Bucket bucket) implements ClusterCommand {}

  /**
   * Removes whatever bucket has the name. Logs of before {@link RemoveBucket} hold it; it is
   * refused since, for the one that was found empty may be gone and the name taken again.
   */
  @Tag(10)
  record DeleteBucket(String name) implements ClusterCommand {}

  /** Adds or replaces a key pair, which may do everything. */
  @Tag(11)
  record PutAccessKey(AccessKey key) implements ClusterCommand {}

  /** Removes a drained, empty node from the cluster. */
  @Tag(12)
  record ForgetNode(NodeId node) implements ClusterCommand {}

  /**
   * Another flush policy for a bucket, for what is published from now on. What was published under
   * the old one keeps it. A bucket without a store stays cache-only.
   */
  @Tag(13)
  record ChangeBucket(
      String name,
      FlushMode mode,
      List<Bucket.PrefixMode> prefixModes,
      long flushDelayMillis,
      long readGraceMillis)
      implements ClusterCommand {
    public ChangeBucket {
      prefixModes = List.copyOf(prefixModes);
    }
  }

  /** Adds or replaces a key pair, which may do what is granted. */
  @Tag(14)
  record PutRestrictedKey(AccessKey key, List<KeyGrant> grants) implements ClusterCommand {
    public PutRestrictedKey {
      grants = List.copyOf(grants);
    }
  }

  /**
   * Puts one volume into a group in another one's place: it catches up beside all present members,
   * and the other one leaves when it is in sync. Refused with STALE_EPOCH when the group is not the
   * one that the sender knows; GROUP_UNSAFE while any group of the cluster is not whole, and so
   * while another one moves, unless the one to leave catches up itself; INVALID_ARGUMENT where the
   * volume may not be its member.
   */
  @Tag(15)
  record MoveMember(GroupId group, Epoch epoch, VolumeId from, VolumeId to)
      implements ClusterCommand {}

  /**
   * Takes a {@link MoveMember} back that has not come to its end. Refused with STALE_EPOCH when the
   * group is not the one that the sender knows.
   */
  @Tag(16)
  record CancelMove(GroupId group, Epoch epoch) implements ClusterCommand {}

  /**
   * Removes a bucket; that it is empty was checked (and is sealed) in the namespace. Refused with
   * NO_SUCH_BUCKET where none has the name, or another one does.
   */
  @Tag(17)
  record RemoveBucket(String name, BucketId id) implements ClusterCommand {}

  /**
   * As {@link ChangeBucket}, of a bucket that is still as it was seen. Refused with
   * CONCURRENT_CHANGE otherwise.
   */
  @Tag(18)
  record ReplaceBucket(
      Bucket seen,
      FlushMode mode,
      List<Bucket.PrefixMode> prefixModes,
      long flushDelayMillis,
      long readGraceMillis)
      implements ClusterCommand {
    public ReplaceBucket {
      prefixModes = List.copyOf(prefixModes);
    }
  }

  /**
   * Gives up the members of a group with nobody in sync that stay away; an operator's word (rule
   * R12). Refused with GROUP_UNSAFE where not exactly these are away: the answer says which are.
   */
  @Tag(19)
  record GiveUp(GroupId group, List<VolumeId> volumes) implements ClusterCommand {
    public GiveUp {
      volumes = List.copyOf(volumes);
    }
  }
}
