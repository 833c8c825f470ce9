package io.forebay.core.log;

import io.forebay.core.env.Outcome;
import io.forebay.core.sorted.SortedMap;
import java.util.OptionalLong;

/**
 * One replicated log, as one of its voters sees it: entries that a majority has are applied to each
 * voter's map, in order. Implemented by Apache Ratis in {@code control}, by {@link LocalConsensus}
 * for one voter.
 */
public interface Consensus extends AutoCloseable {
  /**
   * Logs an entry; on the leader only.
   *
   * @param entry at most 4 MiB
   * @return the machine's answer when the entry is applied here. Fails with NOT_LEADER (nothing was
   *     logged), or with UNAVAILABLE or TIMEOUT (it may be applied yet: send again, duplicates are
   *     known by their numbers)
   */
  Outcome<byte[]> propose(byte[] entry);

  /**
   * Waits until a view of the map taken afterwards shows every entry that was answered before this
   * call, on whichever voter: leadership is confirmed by a majority round begun after the call
   * (rule V6).
   *
   * @throws io.forebay.core.error.ForebayException NOT_LEADER; UNAVAILABLE; TIMEOUT
   */
  void confirmRead(long timeoutNanos);

  /**
   * Has another voter lead, where this one does. Where nobody takes over in time it leads on;
   * nothing depends on it.
   */
  void handOver(long timeoutNanos);

  /**
   * The entry that is on the disks of a majority of the other voters and waits for this leader's;
   * empty without one, and where another one leads. From memory.
   */
  OptionalLong awaitsOwnDisk();

  /** Who leads. From memory. */
  Leadership leadership();

  /** This voter's map, as far as it has applied. */
  SortedMap map();

  @Override
  void close();
}
