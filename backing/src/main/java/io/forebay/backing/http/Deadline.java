package io.forebay.backing.http;

import java.time.Duration;

/**
 * When a call gives up, by both clocks: the monotonic one stands still while the machine sleeps,
 * the other may be set.
 */
public record Deadline(long nanos, long wallMillis) {
  /** So far from now. */
  public static Deadline in(Duration span) {
    return new Deadline(
        System.nanoTime() + span.toNanos(), System.currentTimeMillis() + span.toMillis());
  }

  /** What is left, by the clock that says less; zero when it has passed. */
  public Duration left() {
    Duration byNanos = Duration.ofNanos(nanos - System.nanoTime());
    Duration byWall = Duration.ofMillis(wallMillis - System.currentTimeMillis());
    Duration less = byNanos.compareTo(byWall) < 0 ? byNanos : byWall;
    return less.isNegative() ? Duration.ZERO : less;
  }
}
