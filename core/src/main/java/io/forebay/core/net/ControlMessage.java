package io.forebay.core.net;

import io.forebay.core.codec.Tag;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.lease.Directory;
import io.forebay.core.lease.Grant;
import java.util.List;
import java.util.Optional;

/** Messages to and from the voters of the control plane. */
public sealed interface ControlMessage extends Message {
  /**
   * Asks a voter to log submissions. Answered by {@link Submitted} or {@link NotLeader}.
   *
   * @param group name of the log: "cluster" or "ns-0"
   * @param submissions encoded as the log port says, at most {@link Network#MAX_MESSAGE_BYTES}
   */
  @Tag(100)
  record Submit(String group, byte[] submissions) implements ControlMessage {}

  /** The machine's answers, in the order of the submissions. */
  @Tag(101)
  record Submitted(byte[] results) implements ControlMessage {}

  /** Another voter leads, if anybody does. */
  @Tag(102)
  record NotLeader(Optional<NodeId> hint) implements ControlMessage {}

  /** Asks a voter for a linearizable read. Answered by {@link Answer} or {@link NotLeader}. */
  @Tag(103)
  record Query(String group, byte[] query) implements ControlMessage {}

  /** The machine's answer to a query. */
  @Tag(104)
  record Answer(byte[] answer) implements ControlMessage {}

  /**
   * Renews a node's lease and reports its load. Answered by {@link HeartbeatAck}, {@link Fenced} or
   * {@link NotLeader}.
   *
   * @param registration log index of the node's registration: names this run of its process
   * @param knownVersion version of the cluster image that the node has
   * @param volumes the node's own, and others that its writers find slow
   */
  @Tag(105)
  record Heartbeat(NodeId node, long registration, long knownVersion, List<VolumeStats> volumes)
      implements ControlMessage {
    public Heartbeat {
      volumes = List.copyOf(volumes);
    }

    /**
     * The load of one volume.
     *
     * @param queuedBytes writes taken and not yet on the disk
     * @param writeMicros what a MiB takes at least; 0 unless the node's writers find the volume
     *     slow
     * @param failed whether the volume was turned out by its own node
     */
    public record VolumeStats(
        VolumeId volume,
        long capacityBytes,
        long usedBytes,
        long queuedBytes,
        long writeMicros,
        boolean failed) {}
  }

  /**
   * The lease is renewed.
   *
   * @param term of the leader that says so
   * @param version of the cluster image at the leader
   * @param news encoded, when the node's image is older and they fit into a message
   */
  @Tag(106)
  record HeartbeatAck(long term, long version, Optional<byte[]> news) implements ControlMessage {}

  /**
   * As {@link Query}, and asks for a lease on the directory that the query is about. Answered by
   * {@link LeasedAnswer} or {@link NotLeader}.
   *
   * @param run of the node's process, as it draws it
   */
  @Tag(107)
  record LeasedQuery(String group, byte[] query, NodeId node, long run) implements ControlMessage {}

  /**
   * The machine's answer to a query.
   *
   * @param lease empty: the answer holds for this once
   */
  @Tag(108)
  record LeasedAnswer(byte[] answer, Optional<Grant> lease) implements ControlMessage {}

  /**
   * A leader takes leases back (rule V1). Answered by {@link Revoked}.
   *
   * @param run of the process that they were given to
   */
  @Tag(109)
  record Revoke(long run, List<Directory> directories) implements ControlMessage {
    public Revoke {
      directories = List.copyOf(directories);
    }
  }

  /**
   * Nothing is answered by those leases any more.
   *
   * @param known false: they are another run's, which may still live
   */
  @Tag(110)
  record Revoked(boolean known) implements ControlMessage {}

  /** Asks a voter for the newest level of logs that it knows. Answered by {@link KnownLevel}. */
  @Tag(111)
  record AskLevel() implements ControlMessage {}

  /** What the voter knows. */
  @Tag(112)
  record KnownLevel(int level) implements ControlMessage {}

  /**
   * The node is out because it is slow: no lease is renewed, and it is not to register until its
   * heartbeats are answered by {@link HeartbeatAck} again.
   *
   * @param news encoded, when the node's image is older and they fit into a message
   * @param sinceMillis wall clock of the leader
   */
  @Tag(113)
  record Fenced(Optional<byte[]> news, long sinceMillis, String why) implements ControlMessage {}

  /** Asks any node what its volumes hold that may not be evicted. Answered by {@link Held}. */
  @Tag(120)
  record AskHeld() implements ControlMessage {}

  /**
   * What the node's volumes held when it last looked at each.
   *
   * @param volumes those that were looked at since the node's start
   */
  @Tag(121)
  record Held(List<OfVolume> volumes) implements ControlMessage {
    public Held {
      volumes = List.copyOf(volumes);
    }

    /**
     * One volume.
     *
     * @param ageNanos since that look began
     */
    public record OfVolume(VolumeId volume, long ageNanos, List<OfGroup> groups) {
      public OfVolume {
        groups = List.copyOf(groups);
      }
    }

    /** Bytes of a group that are in no store, or of writers under way. */
    public record OfGroup(GroupId group, long bytes) {}
  }
}
