package io.forebay.core.rule;

/**
 * The rules of the protocols that the checker leaves out, one at a time, to see that it notices.
 * Where the code keeps a rule it asks {@link #holds}; that is always true in production, for only
 * the simulator's module may call {@link Broken} (an architecture test sees to it).
 */
public enum Rule {
  /** A replica refuses a chunk of another epoch on receipt, bytes or "have". */
  R1,
  /** And again when it commits. */
  R1_COMMIT,
  /** The writer acknowledges when every member of one epoch that takes writes has. */
  R2,
  /** A hop of the relay whose disk has lost the chunk says so. */
  R2_LOST,
  /** Members that catch up get the live writes of their epoch. */
  R3,
  /** The source adopts the join epoch before it lists. */
  R4,
  /** A promotion names the join epoch. */
  R4_NAMED,
  /** An id leaves the list of who catches up only when it is held, or is not owed. */
  R5,
  /** A volume that comes back as another incarnation is put OUT. */
  R6,
  /** And is no source for whoever does not know that yet. */
  R6_SOURCE,
  /** Re-sync never deletes; only garbage collection does. */
  R7,
  /** A replica behind the commit epoch does not answer "absent". */
  R8,
  /** A group without {@code minInSync} members takes no writes. */
  R9,
  /** What is written to another group has another id. */
  R10_ID,
  /** With the last IN_SYNC member the SYNCING ones go OUT, too. */
  R11,
  /**
   * With nobody in sync only a remembered member of unchanged incarnation is taken back at once.
   */
  R12,
  /** Otherwise all members get what any of them has. */
  R12_UNION,
  /** A chunk that stopped being owed is never owed again. */
  R13,
  /** Owed until the session is past it and every generation that names it is flushed or gone. */
  G1,
  /** Nothing is published for a session that has ended; a publish is applied once. */
  G2,
  /** A publish names its own session's chunks, and what the namespace finds owed. */
  G3,
  /** And takes a store reference over only while no attempt may replace what it refers to. */
  G3_REFERENCE,
  /** Garbage is named by nothing after its session ended or passed it. */
  G5,
  /** Of an open session's chunks only those that it has passed are. */
  G5_OPEN,
  /** Only clean chunks are evicted. */
  G6,
  /** Uploads count as references. */
  G7,
  /** Sends are logged attempts; every decision names the open one. */
  F1,
  /** An attempt is unresolved until it can no longer land and a HEAD does not show it. */
  F2,
  /** So is one that was sent and not answered. */
  F2_SENT,
  /** A HEAD decides what became of an attempt. */
  F3,
  /** Revalidation names the version that it looked at. */
  F4,
  /** Where ETags recur, nothing is evicted or created beside an unresolved attempt. */
  F5,
  /** A store object that others still need is neither deleted nor overwritten. */
  F6,
  /** A store reference belongs to (generation, key). */
  F7,
  /** {@code conflict keep} and {@code take} name what was seen. */
  F8,
  /** A reader of a generation never sees another one's bytes. */
  F9,
  /** Staged parts of two attempts do not mix. */
  F10,
  /** A command is proposed when every lease where it touches is confirmed gone or has run out. */
  V1,
  /** While a command is under way no lease is given where it touches. */
  V1_GIVEN,
  /** An unknown outcome does not end that. */
  V1_UNKNOWN,
  /** A confirmation ends the lease that was revoked, and none given since. */
  V1_LATE,
  /** Only the process that has a lease confirms that it is gone. */
  V1_RUN,
  /** A new leader waits one full lease. */
  V2,
  /** What was admitted in a term is applied in that term only. */
  V2_TERM,
  /** What was admitted when there were no leases is not applied once there are. */
  V2_UNBOUND,
  /** No lease is given that is longer than the log says. */
  V2_SAID,
  /** The log says shorter ones only when no longer one of an older leader can be out. */
  V2_SHORTER,
  /** A lease is registered before its value is read. */
  V3,
  /** A revocation voids the requests under way. */
  V3_VOID,
  /** What was learnt under a lease says nothing under the next one. */
  V3_NEXT,
  /** The lease of the leader's own node is revoked like any other. */
  V4,
  /** A lease counts from the question. */
  V5,
  /** Its age is the larger of what two clocks say. */
  V5_WALL,
  /** Who gave it waits a margin longer. */
  V5_MARGIN,
  /** Reads and grants confirm leadership by a round. */
  V6,
  /** A volume that is opened again takes the room of every chunk that its slots name. */
  REBUILD,
  /**
   * Writers pass volumes by that take many times longer than others, and late chunks go elsewhere.
   */
  SLOW_PASSED,
  /** The leader puts slow nodes out. */
  SLOW_FENCED,
  /** Writers are patient where everything is slow. */
  SLOW_PATIENCE,
  /** Of a checkpoint the marker goes to the store when that has all the rest. */
  POLICY_LAST,
  /** Checkpoints are counted on from the highest number that is there. */
  POLICY_COUNT,
  /** The newest complete checkpoint does not run out. */
  POLICY_NEWEST,
  /** A checkpoint that is written anew in place is not let go by its old marker. */
  POLICY_ANEW,
  /** What is overwritten in a checkpoint that is in the store goes there again. */
  POLICY_TURN,
  /** Groups move from the fullest volumes to the emptiest ones. */
  BALANCED,
  /** Who moves out of a group stays until the new member is in sync. */
  MOVE_KEEPS,
  /** Of a checkpoint without its marker listings that begin above it show nothing. */
  POLICY_HIDDEN;

  /** Whether the rule is kept; costs little. */
  public boolean holds() {
    return !Broken.LEFT_OUT.contains(this);
  }
}
