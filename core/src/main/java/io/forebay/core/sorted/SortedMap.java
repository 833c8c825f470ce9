package io.forebay.core.sorted;

import java.util.Optional;
import java.util.function.Function;

/**
 * An ordered map from byte strings to byte strings, ordered as unsigned bytes: what the control
 * state machines keep their state in. RocksDB in production, memory in simulations.
 *
 * <p>One thread writes (the state machine's); any number read through {@link #view()}. Not
 * guaranteed: that a batch survives a crash before the next {@code flush} of the implementation;
 * the log above replays it.
 */
public interface SortedMap {
  /** A consistent picture as of now, which later writes do not change. Close it soon. */
  View view();

  /**
   * Reads from a consistent picture, not older than the call.
   *
   * @param reading may be called twice, where a write came between: without effects of its own.
   *     What it does not understand it must let pass
   */
  default <T> T read(Function<View, T> reading) {
    try (View view = view()) {
      return reading.apply(view);
    }
  }

  /** Applies all changes of the batch in one step: views see all of them or none. */
  void write(Batch batch);

  /** A consistent picture of the map. */
  interface View extends AutoCloseable {
    /** The value of a key. The array belongs to the caller. */
    Optional<byte[]> get(byte[] key);

    /**
     * The value of a key, decoded, which may be remembered and be given to others, too: it must not
     * be changed, and a key's value is always decoded in the same way.
     */
    default <T> Optional<T> get(byte[] key, Function<byte[], T> decoding) {
      return get(key).map(decoding);
    }

    /**
     * Visits entries in ascending order from {@code from} (inclusive) to {@code to} (exclusive)
     * until the visitor returns false.
     */
    void scan(byte[] from, byte[] to, Visitor visitor);

    @Override
    void close();
  }

  /** Receives entries of a scan. */
  interface Visitor {
    /** Takes one entry; returns whether to go on. Arrays belong to the visitor. */
    boolean visit(byte[] key, byte[] value);
  }
}
