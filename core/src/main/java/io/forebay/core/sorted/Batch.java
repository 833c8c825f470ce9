package io.forebay.core.sorted;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Changes that are applied together, in order. Built and applied by one thread. */
public final class Batch {
  /**
   * One change.
   *
   * @param value empty to remove the key
   */
  public record Change(byte[] key, Optional<byte[]> value) {}

  private final List<Change> changes = new ArrayList<>();

  /** Sets a key. The arrays must not be changed afterwards. */
  public void put(byte[] key, byte[] value) {
    changes.add(new Change(key, Optional.of(value)));
  }

  /** Removes a key, present or not. */
  public void remove(byte[] key) {
    changes.add(new Change(key, Optional.empty()));
  }

  /** The changes in order. */
  public List<Change> changes() {
    return changes;
  }
}
