package io.forebay.transport.frame;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;

/**
 * The wire versions that one end speaks, 1–256. Each end names its own in its HELLO, and the
 * connection speaks the newest that both know; so the nodes of a cluster can be replaced by newer
 * ones in turn. HELLO and ERROR have the same layout in every version.
 *
 * @param oldest that is still spoken
 * @param newest that is spoken
 */
public record WireVersions(int oldest, int newest) {
  /** Those of this program. */
  public static final WireVersions OURS = new WireVersions(1, 1);

  public WireVersions {
    if (oldest < 1 || newest < oldest || newest > 256) {
      throw new IllegalArgumentException("wire versions " + oldest + " to " + newest);
    }
  }

  /**
   * What both ends speak.
   *
   * @param peer how messages call the other end
   * @throws ForebayException WRONG_VERSION naming both ends' versions, and which to replace first
   */
  public int agree(WireVersions theirs, String peer) {
    int agreed = Math.min(newest, theirs.newest);
    if (agreed < oldest || agreed < theirs.oldest) {
      throw new ForebayException(
          ErrorCode.WRONG_VERSION,
          peer
              + " speaks wire versions "
              + theirs
              + ", and this node "
              + this
              + ": replace "
              + (newest < theirs.newest ? "this node" : "the peer")
              + " by a newer version of Forebay first");
    }
    return agreed;
  }

  @Override
  public String toString() {
    return oldest + " to " + newest;
  }
}
