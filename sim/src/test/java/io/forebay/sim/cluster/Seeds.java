package io.forebay.sim.cluster;

import java.util.stream.LongStream;

/** The seeds of a test: the same ones each time, and as many that nobody has seen. */
final class Seeds {
  // Far from those that people count from 1.
  private static final long FRESH = System.currentTimeMillis() * 1_000;

  private Seeds() {}

  /**
   * As many seeds, half of them fresh.
   *
   * @param count even
   */
  static long[] of(int count) {
    return LongStream.concat(
            LongStream.rangeClosed(1, count / 2), LongStream.range(FRESH, FRESH + count / 2))
        .toArray();
  }
}
