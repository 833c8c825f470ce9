package io.forebay.core.sorted;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Changes that are applied together, in order; the last change of a key counts. Used by one thread.
 */
public final class Batch {
  /**
   * One change.
   *
   * @param value empty to remove the key
   */
  public record Change(byte[] key, Optional<byte[]> value) {}

  private final List<Change> changes = new ArrayList<>();
  private final TreeMap<byte[], Change> latest = new TreeMap<>(Arrays::compareUnsigned);

  /** Sets a key. The arrays must not be changed afterwards. */
  public void put(byte[] key, byte[] value) {
    add(new Change(key, Optional.of(value)));
  }

  /** Removes a key, present or not. */
  public void remove(byte[] key) {
    add(new Change(key, Optional.empty()));
  }

  /** The changes in order. */
  public List<Change> changes() {
    return changes;
  }

  private void add(Change change) {
    changes.add(change);
    latest.put(change.key(), change);
  }

  /** The latest change of a key, if it was changed. */
  Optional<Change> latest(byte[] key) {
    return Optional.ofNullable(latest.get(key));
  }

  /** The latest changes of the keys of a range, ascending, as of now. */
  List<Change> latest(byte[] from, byte[] to) {
    return Arrays.compareUnsigned(from, to) >= 0
        ? List.of()
        : List.copyOf(latest.subMap(from, true, to, false).values());
  }
}
