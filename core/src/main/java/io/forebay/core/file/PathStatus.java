package io.forebay.core.file;

import io.forebay.core.cluster.MemberState;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.util.List;

/**
 * Where an object's bytes are: the answer to "may I kill this node?".
 *
 * @param wantedCopies the bucket's replicas
 * @param fewestCopies in-sync copies of the chunk that has the fewest; where the control plane's
 *     log keeps bytes of it itself, at most a majority of the voters
 * @param holders by node and volume
 * @param losses one for each node that holds something
 * @param flushReason why it is not in the store yet; empty when nothing is wrong
 */
public record PathStatus(
    ObjectInfo info,
    int wantedCopies,
    int fewestCopies,
    List<Holder> holders,
    List<NodeLoss> losses,
    String flushReason) {
  public PathStatus {
    holders = List.copyOf(holders);
    losses = List.copyOf(losses);
  }

  /** A volume that holds chunks of the object as a member of their groups. */
  public record Holder(NodeId node, VolumeId volume, MemberState state, int chunks, long bytes) {}

  /**
   * What the loss of one node would cost.
   *
   * @param lostBytes bytes that would be nowhere any more, neither on another volume nor in the
   *     store
   * @param fewestCopiesLeft in-sync copies then left of the chunk that has the fewest
   */
  public record NodeLoss(NodeId node, long lostBytes, int fewestCopiesLeft) {}
}
