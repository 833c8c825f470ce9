package io.forebay.core.net;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Outcome;

/**
 * Where this node's copy of one chunk goes. Calls come one at a time, in order: writes, then one
 * commit or abort; never both.
 */
public interface LocalSink {
  /**
   * Takes the next slice, without blocking: it is called by event loops.
   *
   * @param offset the number of bytes written before
   * @param slice retained for as long as it is needed; the caller keeps its own reference
   * @param crc32c over the slice, checked on receipt
   * @return done when the slice needs its memory no more; a failure gives up this copy
   */
  Outcome<Void> write(int offset, Bytes slice, int crc32c);

  /**
   * Makes the chunk durable and known, all writes being done. Blocks; on a virtual thread. What it
   * throws is FAILED with the message as detail.
   *
   * @return STORED, or why not; a STALE_EPOCH here is rule R1's second look
   */
  HopAck commit(int lengthBytes, int crc32c);

  /**
   * Gives the copy up and frees its room. Writes may be under way; their outcomes still complete.
   * Does not block. Idempotent.
   */
  void abort();
}
