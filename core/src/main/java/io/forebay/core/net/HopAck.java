package io.forebay.core.net;

import io.forebay.core.cluster.Group;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.VolumeId;
import java.util.Optional;

/**
 * What became of a chunk on one volume.
 *
 * @param newer the member's record of the group when that is newer than the writer's
 * @param detail why, in words, behind the name of the error code where there is one; empty when
 *     STORED
 */
public record HopAck(VolumeId volume, Status status, Optional<Group> newer, String detail) {
  /** Declared order is the wire's. */
  public enum Status {
    /** Held, as durable as was asked, under the epoch that was named. */
    STORED,
    /** Refused: the member knows another epoch (rule R1). */
    STALE_EPOCH,
    /** Refused for another reason: no room, no such volume, no lease. */
    REFUSED,
    /** Taken and then lost: disk error or checksum. */
    FAILED,
    /** Nothing was heard of it: it may hold the chunk or not. */
    UNREACHED
  }

  /** Whether it was the disk that did not take the chunk: full, too busy, or broken. */
  public boolean unfit() {
    return full() || says(ErrorCode.BUSY) || says(ErrorCode.IO_ERROR);
  }

  /** Whether the disk had no room for the chunk. */
  public boolean full() {
    return says(ErrorCode.NO_SPACE);
  }

  private boolean says(ErrorCode code) {
    return (status == Status.REFUSED || status == Status.FAILED)
        && detail.startsWith(code.name() + ":");
  }

  /** Held. */
  public static HopAck stored(VolumeId volume) {
    return new HopAck(volume, Status.STORED, Optional.empty(), "");
  }

  /** Nothing was heard of it. */
  public static HopAck unreached(VolumeId volume, String detail) {
    return new HopAck(volume, Status.UNREACHED, Optional.empty(), detail);
  }
}
