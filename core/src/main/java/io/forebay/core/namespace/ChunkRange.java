package io.forebay.core.namespace;

import io.forebay.core.id.SessionId;

/**
 * Chunks of one session that follow each other.
 *
 * @param from sequence of the first
 * @param to sequence behind the last
 */
public record ChunkRange(SessionId session, long from, long to) {
  /** Most chunks in a range: what a 5 TiB object has in chunks of 1 MiB. */
  public static final long MAX_CHUNKS = 5L << 20;

  public ChunkRange {
    if (from < 1 || to <= from || to - from > MAX_CHUNKS) {
      throw new IllegalArgumentException("chunk range from " + from + " to " + to);
    }
  }
}
