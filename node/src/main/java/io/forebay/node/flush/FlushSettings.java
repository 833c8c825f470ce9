package io.forebay.node.flush;

/**
 * Bounds of a node's flush.
 *
 * @param keysAtOnce store keys in work at once
 * @param keysPerStore of these, for one store; less when it is throttled
 * @param partsAtOnce parts of this node's uploads on their way at once, wherever they are staged;
 *     and as many that it stages for others
 * @param memoryBytes bodies on their way; never more than half of the pool they are read into
 * @param putBytes longest body that is sent in one request
 * @param partBytes length of a part, as long as the store's number of parts allows
 * @param leaseMillis for how long an attempt may send before it must be prolonged
 * @param landingMillis how long a request can be under way after it was sent
 * @param clockMillis what the clocks of two nodes may differ by
 */
public record FlushSettings(
    int keysAtOnce,
    int keysPerStore,
    int partsAtOnce,
    long memoryBytes,
    int putBytes,
    int partBytes,
    long leaseMillis,
    long landingMillis,
    long clockMillis) {
  /** Landing: what stores promise, ObjectStore.MAX_CHANGE_MILLIS, and what the clocks differ by. */
  public static final FlushSettings DEFAULT =
      new FlushSettings(12, 8, 3, 64L << 20, 8 << 20, 16 << 20, 60_000, 90_000, 5_000);
}
