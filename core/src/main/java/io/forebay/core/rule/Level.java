package io.forebay.core.rule;

/**
 * Which commands a log may hold, and by which rules its machines apply them, as a number that only
 * grows. All voters have to apply an entry alike, so nothing of a newer level happens before all of
 * them know it; a log's level is a fact of the log itself (decision 0022).
 *
 * <p>Whoever adds a command, or has one do something else than before, adds a level.
 */
public final class Level {
  /** What a log has that says nothing. */
  public static final int FIRST = 1;

  /**
   * Quotas may be set. What buckets hold is counted from the entry that raises the level: before,
   * it was from whatever entry a voter's version of then had begun at.
   */
  public static final int QUOTAS = 2;

  /** No version of a flush record recurs for its key: each is an id of its own. */
  public static final int VERSIONS = 3;

  /** Prefixes may have policies. */
  public static final int POLICIES = 4;

  /** Members of groups may be moved to other volumes. */
  public static final int MOVES = 5;

  /**
   * No copy is dropped for a move before as many as shall be are in sync: at {@link #MOVES} alone
   * who caught up on a full disk was, and so was who moved within a failure domain when another
   * member went away, whatever they held.
   */
  public static final int KEPT = 6;

  /**
   * What one command makes has a bound (decision 0028): a part that is copied from a flushed object
   * names the chunks of its own stretch only, an upload whose list of chunks fits into no message
   * is refused, and so is a new key of more segments than a walk may go down. A clock that leaps
   * ahead does not have remembered answers forgotten at once. And a node's name is refused to
   * another one while it is up.
   */
  public static final int BOUNDED = 7;

  /**
   * Who removes or changes a bucket, or its policies, or gives up volumes, says which, and as it
   * was seen: nobody meets a newer bucket of the same name, undoes what somebody else has just set,
   * or loses a volume that was there (decision 0032). And nothing is answered about a bucket that
   * is gone.
   */
  public static final int SEEN = 8;

  /** The newest that this program knows. */
  public static final int NEWEST = SEEN;

  private Level() {}
}
