package io.forebay.core.cluster;

/** What a group's member may be trusted with. */
public enum MemberState {
  /** Holds every owed chunk of the group; may serve and must acknowledge. */
  IN_SYNC,
  /** Catching up: must acknowledge live writes, may not be asked for what is absent. */
  SYNCING,
  /** Not written to. Whatever it holds with the right CRC may still be read. */
  OUT
}
