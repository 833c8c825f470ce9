package io.forebay.core.log;

import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;

/**
 * What a log is applied to. Deterministic: the answer and the changes depend on the entry, its term
 * and index, and the map only, so that all voters have the same map. Called by one thread, in the
 * order of the log.
 */
public interface Machine {
  /**
   * Applies one entry.
   *
   * @param term in which the log holds the entry
   * @param index of the entry, growing
   * @param in the map before the entry
   * @param out takes the changes; the caller applies them together with the index
   * @return the answer, for whoever proposed the entry
   * @throws io.forebay.core.error.ForebayException WRONG_VERSION for an entry that only a newer
   *     version of this program may apply; nothing behind it may be applied either
   */
  byte[] apply(long term, long index, byte[] entry, SortedMap.View in, Batch out);

  /**
   * Takes up what a restart or a snapshot has brought. Before the first entry, and after each
   * snapshot.
   *
   * @throws io.forebay.core.error.ForebayException WRONG_VERSION when a newer version of this
   *     program wrote it
   */
  void load(SortedMap.View view);
}
