package io.forebay.core.file;

import java.util.List;

/**
 * What of everything below a prefix is in no store: the answer to "what would be lost now?".
 *
 * @param objects all that are published there
 * @param bytes theirs
 * @param heldObjects those of them that the store does not have
 * @param heldBytes theirs, each byte counted once whatever the copies
 * @param neverFlushed those of {@code heldObjects} that are not to go to a store
 * @param oldestMillis wall time at which the oldest of {@code heldObjects} was published; 0: none
 * @param inLogBytes those of {@code heldBytes} that the control plane's log keeps itself; in {@code
 *     copies} they count as on a majority of the voters, where an acknowledged entry is at least
 * @param copies how many of {@code heldBytes} have how many copies, fewest first
 * @param unknownBytes those of {@code heldBytes} whose copies were not looked at, or could not be
 */
public record PrefixStatus(
    long objects,
    long bytes,
    long heldObjects,
    long heldBytes,
    long neverFlushed,
    long oldestMillis,
    long inLogBytes,
    List<Copies> copies,
    long unknownBytes) {
  public PrefixStatus {
    copies = List.copyOf(copies);
  }

  /**
   * Bytes that are as safe as each other.
   *
   * @param copies on different nodes, in sync
   */
  public record Copies(int copies, long bytes) {}

  /**
   * The most that the loss of so many nodes at once could cost, whichever they are. What was not
   * looked at may have a single copy.
   */
  public long lostWith(int nodes) {
    return (nodes < 1 ? 0 : unknownBytes)
        + copies.stream().filter(each -> each.copies() <= nodes).mapToLong(Copies::bytes).sum();
  }
}
