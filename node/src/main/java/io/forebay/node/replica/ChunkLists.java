package io.forebay.node.replica;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What members of a group hold of it, asked page by page. */
public final class ChunkLists {
  private static final int PAGE = 2_000;
  private static final long PAGE_NANOS = 5_000_000_000L;

  private final Network network;

  public ChunkLists(Network network) {
    this.network = network;
  }

  /**
   * Everything that a volume holds of a group, ascending by id.
   *
   * @param epoch which its node adopts first (rule R4)
   * @throws ForebayException when it does not answer within 5 s for a page; STALE_EPOCH where it
   *     does not know the epoch yet; what it refuses with where it is not in sync
   */
  public List<DataMessage.ChunkList.Listed> all(
      NodeId node, VolumeId volume, GroupId group, Epoch epoch) {
    var all = new ArrayList<DataMessage.ChunkList.Listed>();
    Optional<ChunkId> after = Optional.empty();
    while (true) {
      Reply reply =
          network
              .call(
                  node,
                  new DataMessage.ListChunks(volume, group, epoch, after, PAGE),
                  Optional.empty(),
                  PAGE_NANOS)
              .await();
      if (!(reply.message() instanceof DataMessage.ChunkList(var page, boolean more))) {
        throw new ForebayException(
            ErrorCode.WRONG_VERSION, node + " answered a list with " + reply.message());
      }
      all.addAll(page);
      if (!more || page.isEmpty()) {
        return all;
      }
      after = Optional.of(page.getLast().id());
    }
  }
}
