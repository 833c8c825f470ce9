package io.forebay.core.log;

import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;

/**
 * The meaning of one group's commands and queries, encoded. Deterministic, as {@link Machine} is.
 */
public interface Commands {
  /**
   * Applies one command.
   *
   * @param position of the command in the log: grows from command to command, also within an entry
   * @param wallMillis the leader's wall clock when it wrote the entry; never goes back
   * @param level of the log ({@link io.forebay.core.rule.Level})
   * @param in the map with all earlier commands applied
   * @param out takes the changes
   * @return the encoded result
   */
  byte[] apply(
      long position, long wallMillis, int level, byte[] command, SortedMap.View in, Batch out);

  /**
   * The log's level has risen; called once for each rise, before the commands of its entry.
   *
   * @param before the level that it had
   * @param out takes the changes, which need not be few, but bounded
   */
  default void raised(int before, int level, SortedMap.View in, Batch out) {}

  /** Takes up what a restart or a snapshot has brought, as {@link Machine#load} does. */
  default void load(SortedMap.View view) {}

  /**
   * Checks that bytes are a command, before they are logged: an entry that no voter can apply would
   * stop all of them, and again after each restart.
   *
   * @return the level from which on a log may hold it
   * @throws io.forebay.core.error.ForebayException CORRUPT, naming what is wrong with them
   */
  int check(byte[] command);

  /** Answers a query from a picture of the map; changes nothing. */
  byte[] query(SortedMap.View in, byte[] query);
}
