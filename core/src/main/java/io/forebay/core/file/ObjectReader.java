package io.forebay.core.file;

import io.forebay.core.bytes.Bytes;

/**
 * One generation of an object, open for reading. Bytes of two generations are never mixed: when the
 * generation cannot be read any more, reading fails by name. Read ahead is the implementation's
 * business. Used by one thread at a time.
 */
public interface ObjectReader extends AutoCloseable {
  /** The generation that is read. */
  ObjectInfo info();

  /**
   * Says which bytes will be read, in order: what is read ahead begins and ends with them. Costs
   * nothing by itself, and what is read outside of them is read all the same.
   */
  default void willRead(ByteRange range) {}

  /**
   * Reads some bytes, blocking.
   *
   * @param offset from 0, below the length
   * @param maxLengthBytes at least 1
   * @return 1 to {@code maxLengthBytes} bytes, at most 1 MiB, CRC verified; the caller releases it
   * @throws io.forebay.core.error.ForebayException GENERATION_GONE (superseded too long ago);
   *     CORRUPT or CHUNK_ABSENT (no good copy is left); STORE_* (a miss whose store fails); BUSY
   *     (other readers hold all memory)
   */
  Bytes read(long offset, int maxLengthBytes);

  /**
   * Gives back the memory of what was read ahead: the caller will read nothing for a while. Reading
   * may go on afterwards.
   */
  void pause();

  /** Ends reading; idempotent. */
  @Override
  void close();
}
