package io.forebay.core.file;

import java.util.List;

/**
 * How far everything below a prefix is on its way to the store.
 *
 * @param flushed objects that the store has
 * @param waiting objects that are pending or being flushed
 * @param waitingBytes their bytes
 * @param troubled those that failed or are in conflict, at most 1,000
 */
public record FlushReport(long flushed, long waiting, long waitingBytes, List<Trouble> troubled) {
  public FlushReport {
    troubled = List.copyOf(troubled);
  }

  /** Whether nothing is left to do. */
  public boolean complete() {
    return waiting == 0 && troubled.isEmpty();
  }

  /** Whether all that is not in the store waits for a word about its conflict. */
  public boolean ended() {
    return waiting <= troubled.stream().filter(each -> each.state() == FlushState.CONFLICT).count();
  }

  /** An object that cannot be flushed, and why. */
  public record Trouble(String key, FlushState state, String reason) {}
}
