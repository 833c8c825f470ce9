package io.forebay.core.log;

import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;

/**
 * What a log is applied to. Deterministic: the answer and the changes depend on the entry, its term
 * and index, and the map only, so that all voters have the same map. Called by one thread, in the
 * order of the log.
 */
@FunctionalInterface
public interface Machine {
  /**
   * Applies one entry.
   *
   * @param term in which the log holds the entry
   * @param index of the entry, growing
   * @param in the map before the entry
   * @param out takes the changes; the caller applies them together with the index
   * @return the answer, for whoever proposed the entry
   */
  byte[] apply(long term, long index, byte[] entry, SortedMap.View in, Batch out);
}
