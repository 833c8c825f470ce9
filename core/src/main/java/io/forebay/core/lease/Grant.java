package io.forebay.core.lease;

import io.forebay.core.rule.Rule;

/**
 * A lease as a leader gives it.
 *
 * @param term of the leader
 * @param number of the lease in its term: the same for as long as it was prolonged without a gap,
 *     so that what was learnt under it still holds
 * @param lengthNanos what the holder may count on, from when it sent the request (rule V5)
 */
public record Grant(long term, long number, long lengthNanos) {
  /**
   * Whether whoever leads next knows how long it has to wait for this lease.
   *
   * @param saidNanos how long leases may be, as the log says
   */
  public boolean isCoveredBy(long saidNanos) {
    return saidNanos >= lengthNanos || !Rule.V2_SAID.holds();
  }
}
