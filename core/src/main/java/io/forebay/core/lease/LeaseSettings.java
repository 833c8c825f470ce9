package io.forebay.core.lease;

import io.forebay.core.rule.Rule;
import java.util.List;

/**
 * Whether and how directories are leased.
 *
 * @param lengthNanos of a lease, at most {@link #MAX_LENGTH_NANOS}; 0: none are given or asked for
 * @param quietNanos a directory that was written within this time gives no lease
 * @param except names of buckets that are always asked about at the leader
 */
public record LeaseSettings(long lengthNanos, long quietNanos, List<String> except) {
  /** Publishes wait for so long where a holder is silent, and after each election. */
  public static final long MAX_LENGTH_NANOS = 1_000_000_000L;

  /** No leases. */
  public static final LeaseSettings OFF = new LeaseSettings(0, 0, List.of());

  public LeaseSettings {
    except = List.copyOf(except);
    if (lengthNanos < 0 || lengthNanos > MAX_LENGTH_NANOS || quietNanos < 0) {
      throw new IllegalArgumentException(
          "leases of " + lengthNanos + " ns, quiet for " + quietNanos + " ns");
    }
  }

  /** Whether there are leases. */
  public boolean on() {
    return lengthNanos > 0;
  }

  /**
   * How long a leader waits a lease out (rule V5): a tenth more than its holder counts, for clocks
   * that run at different speeds and wall clocks that tell milliseconds.
   */
  public static long waitedOutNanos(long lengthNanos) {
    long marginNanos = lengthNanos == 0 ? 0 : lengthNanos / 10 + 2_000_000L;
    return Rule.V5_MARGIN.holds() ? lengthNanos + marginNanos : lengthNanos;
  }
}
