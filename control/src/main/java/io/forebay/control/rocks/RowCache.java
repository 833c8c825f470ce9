package io.forebay.control.rocks;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Function;

/**
 * Decoded values of a map that are read often.
 *
 * <p>The map's version is even while nothing is written and grows by two with each write. A value
 * is remembered with the version that it was read at, only while that is still the map's, and is
 * forgotten before it is overwritten: so one that is there, with a version not above a picture's,
 * has not changed since, and is that picture's value.
 */
final class RowCache {
  /** The version of a picture that has none. */
  static final long NEVER = -1;

  /** What an entry costs beside its bytes; a decoded value takes about four times its encoding. */
  private static final int ENTRY_BYTES = 160;

  private static final int DECODED_FACTOR = 4;
  private static final int LONGEST_BYTES = 8 << 10;

  private record Key(byte[] bytes, int hash) implements Comparable<Key> {
    static Key of(byte[] bytes) {
      return new Key(bytes, Arrays.hashCode(bytes));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Key key && hash == key.hash && Arrays.equals(bytes, key.bytes);
    }

    @Override
    public int hashCode() {
      return hash;
    }

    /** For a bucket of the table in which many hashes are equal. */
    @Override
    public int compareTo(Key other) {
      return Arrays.compareUnsigned(bytes, other.bytes);
    }
  }

  private record Row(long version, Optional<?> value, int encodedBytes) {}

  private final Cache<Key, Row> rows;
  private volatile long version;

  RowCache(long maxBytes) {
    rows =
        Caffeine.newBuilder()
            .maximumWeight(maxBytes)
            .weigher((Key key, Row row) ->
                ENTRY_BYTES + key.bytes.length + DECODED_FACTOR * row.encodedBytes)
            .executor(Runnable::run)
            .build();
  }

  /** The map's version now. */
  long version() {
    return version;
  }

  /** Whether a picture of that version can be read: nothing was being written. */
  static boolean stands(long version) {
    return version >= 0 && (version & 1) == 0;
  }

  /**
   * A picture's value of a key.
   *
   * @param at the picture's version
   * @param reading reads it from the picture; throws when the picture is gone
   */
  <T> Optional<T> get(
      long at,
      byte[] bytes,
      Function<byte[], T> decoding,
      Function<byte[], Optional<byte[]>> reading) {
    if (!stands(at)) {
      return reading.apply(bytes).map(decoding);
    }
    Key key = Key.of(bytes);
    Row known = rows.getIfPresent(key);
    if (known != null && known.version <= at) {
      return value(known);
    }
    Optional<byte[]> encoded = reading.apply(bytes);
    Optional<T> value = encoded.map(decoding);
    int length = encoded.map(some -> some.length).orElse(0);
    if (length <= LONGEST_BYTES && version == at) {
      var row = new Row(at, value, length);
      // Under the key's lock, which forgetting takes after the version has moved.
      rows.asMap().compute(key, (same, old) -> version == at ? row : old);
    }
    return value;
  }

  @SuppressWarnings("unchecked") // a key's value is always decoded in the same way
  private static <T> Optional<T> value(Row row) {
    return (Optional<T>) row.value;
  }

  /** One writer: until {@link #endWrite} nothing is remembered. */
  @SuppressWarnings("NonAtomicVolatileUpdate") // one writer
  void beginWrite() {
    version++;
  }

  /** A key is about to be written. */
  void forget(byte[] key) {
    rows.invalidate(Key.of(key));
  }

  @SuppressWarnings("NonAtomicVolatileUpdate") // one writer
  void endWrite() {
    version++;
  }
}
