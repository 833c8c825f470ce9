package io.forebay.app.chaos;

import io.forebay.core.error.ForebayException;
import java.util.function.LongConsumer;

/** How a client speaks to the nodes. Used by one thread. */
interface Door extends AutoCloseable {
  /**
   * Writes a tagged content.
   *
   * @param onBytes told of each step that was acknowledged before the last one
   * @return whether the client has sent it more than once, so that it may have happened as often
   * @throws ForebayException it was not acknowledged, and may happen, may have happened, or not
   */
  boolean put(int node, String key, long tag, int lengthBytes, LongConsumer onBytes);

  /** Whether the client by itself sends again what was not answered. */
  boolean sendsAgain();

  /**
   * Reads all of an object.
   *
   * @return its tag, or {@link History#ABSENT}
   * @throws ForebayException it was not answered
   * @throws Violation what was answered is no content
   */
  long get(int node, String key);

  @Override
  void close();
}
