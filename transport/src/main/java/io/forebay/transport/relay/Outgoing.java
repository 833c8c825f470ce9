package io.forebay.transport.relay;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.net.ChunkAck;
import java.util.List;

/** An upload to the next hop. No method blocks or throws; calls come one at a time. */
public interface Outgoing {
  /**
   * Sends the next slice, within what was granted.
   *
   * @param index counts from 0; {@code events.sent} with it follows exactly once, also when the
   *     connection broke
   * @param slice retained until then; the caller keeps its own reference
   */
  void send(int index, int offset, Bytes slice, int crc32c);

  /** All slices were sent. */
  void finish(int lengthBytes, int crc32c);

  /** The upload is given up; only {@code events.sent} follows. */
  void abort(String why);

  /** What comes back; from any thread, in order. */
  interface Events {
    /** The next hop's word on how many slices it takes in all, and on who has written how much. */
    void credit(int grantedSlices, int creditedBytes, List<Integer> progressBytes);

    /** The slice is on its way and its memory needed no more. */
    void sent(int index);

    /**
     * What is known of the hops from the next one on; UNREACHED where nothing is.
     *
     * @param last whether that is all there will be
     */
    void acknowledge(ChunkAck ack, boolean last);

    /** Nothing more will be heard. */
    void broken(String why);
  }
}
