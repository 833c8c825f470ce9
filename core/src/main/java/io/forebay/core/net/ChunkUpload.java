package io.forebay.core.net;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Outcome;
import java.util.List;

/**
 * The sending end of one chunk. Used by one thread, except that {@link #abort} may come from any.
 * Ends with {@link #finish} or {@link #abort}, always.
 */
public interface ChunkUpload {
  /**
   * Sends the next slice, waiting for credit: at most a window (4 MiB) is ever on its way.
   *
   * @param slice 1 byte to {@link Network#MAX_PAYLOAD_BYTES}; retained for as long as it is needed,
   *     the caller keeps (and releases) its own reference
   * @param crc32c over the slice; every hop checks it
   * @param deadlineNanos monotonic
   * @return false when there was no credit by the deadline (the slice was not sent, and may be sent
   *     again), or when nobody takes the chunk any more (see {@link #ended})
   */
  boolean write(Bytes slice, int crc32c, long deadlineNanos);

  /** Whether no more slices are of use: aborted, all hops gone or refused, or out of time. */
  boolean ended();

  /**
   * Says that all was sent. The outcome is the word of each hop; it does not fail for what happens
   * on the way (that is UNREACHED), only with CANCELLED after an abort.
   *
   * @param lengthBytes of all slices together
   * @param crc32c over all slices together
   */
  Outcome<ChunkAck> finish(int lengthBytes, int crc32c);

  /** Bytes that every hop which still takes part has written. Grows. */
  long acknowledgedBytes();

  /**
   * Bytes that each hop has written as far as known here, in the chain's order: whoever lags behind
   * the hop before it by a window is the one that holds things up.
   */
  List<Integer> progressBytes();

  /**
   * What is known of the hops so far, in the chain's order; UNREACHED where nothing was heard yet.
   */
  ChunkAck acknowledgedSoFar();

  /**
   * Gives the chunk up at all hops, which free what they have of it. Idempotent; nothing after
   * {@link #finish} was answered.
   *
   * @param why for logs
   */
  void abort(String why);
}
