package io.forebay.core.file;

import io.forebay.core.id.Generation;
import java.util.Locale;

/**
 * How ETags are made: the MD5 for bodies of at most 8 MiB or whose MD5 the writer gave; else 128
 * bits of (generation, length, CRC32C) with {@code -N}, so that no client mistakes it for an MD5.
 */
public final class EntityTag {
  /** Longest body whose MD5 is computed without being asked for. */
  public static final long MD5_MAX_BYTES = 8L << 20;

  private EntityTag() {}

  /**
   * The ETag of a body without an MD5.
   *
   * @param parts number of parts, at least 1
   */
  public static String opaque(Generation generation, long lengthBytes, int crc32c, int parts) {
    long high = mix(generation.value());
    long low = mix(high ^ mix(lengthBytes ^ ((long) crc32c << 32)) ^ (crc32c & 0xFFFFFFFFL));
    return String.format(Locale.ROOT, "%016x%016x-%d", high, low, parts);
  }

  // The finalizer of MurmurHash3 (bijective, so that two generations never share the upper half).
  private static long mix(long value) {
    long word = value + 0x9E3779B97F4A7C15L;
    word = (word ^ (word >>> 33)) * 0xFF51AFD7ED558CCDL;
    word = (word ^ (word >>> 33)) * 0xC4CEB9FE1A85EC53L;
    return word ^ (word >>> 33);
  }
}
