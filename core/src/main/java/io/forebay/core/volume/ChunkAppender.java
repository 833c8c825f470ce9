package io.forebay.core.volume;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Outcome;

/** A chunk that is being written. Used by one thread at a time; ends with commit or abort. */
public interface ChunkAppender {
  /**
   * Takes the next slice, without blocking.
   *
   * @param offset the number of bytes taken before
   * @param slice retained for as long as it is needed; the caller keeps its own reference
   * @param crc32c over the slice
   * @return done when the slice needs its memory no more; a failure ends the append
   */
  Outcome<Void> write(int offset, Bytes slice, int crc32c);

  /**
   * Makes the chunk durable as asked for, and visible to find, list and read. Waits for the slices;
   * blocks. A chunk of this id that is held already is left as it is, and returned.
   *
   * @param lengthBytes of all slices together
   * @param crc32c over all slices together
   * @throws io.forebay.core.error.ForebayException CHECKSUM_MISMATCH; IO_ERROR; NO_SPACE
   */
  StoredChunk commit(int lengthBytes, int crc32c);

  /**
   * Like {@link #commit}, and takes the place of a copy of this chunk that is held already and was
   * found damaged. A crash leaves one of the two, the whole one.
   *
   * @throws io.forebay.core.error.ForebayException as commit; CHECKSUM_MISMATCH also when the copy
   *     that is held says another length or CRC
   */
  StoredChunk replace(int lengthBytes, int crc32c);

  /** Gives up and frees the room. Does not block. Idempotent; nothing after a commit. */
  void abort();
}
