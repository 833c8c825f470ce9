package io.forebay.core.file;

import java.util.List;
import java.util.Optional;

/**
 * What is kept of what lies below a prefix, and what of it goes to the store (decision 0021).
 *
 * <p>With a marker, a <i>checkpoint</i> is a directory directly below the prefix; it is
 * <i>complete</i> while it holds the marker, and newer than another when its marker was published
 * later. Until then listings that begin above its directory leave it out (decision 0024). What lies
 * directly in the prefix is left alone. Without a marker, each object is for itself, and only its
 * age counts.
 *
 * <p>Only what the store neither has nor is to get is ever deleted, and never the newest complete
 * checkpoint.
 *
 * @param prefix ends with '/', or empty: the whole bucket
 * @param marker a key below a checkpoint's directory, such as {@code .metadata}; empty: there are
 *     no checkpoints
 * @param keepLast so many complete checkpoints stay at least; older ones go; 0: all stay
 * @param flushEvery every so many-th complete checkpoint goes to the store, its marker last; 0:
 *     what goes there is the bucket's mode's matter
 * @param expireMillis after which what was published and is in no store goes: a checkpoint, or what
 *     was begun of one, as a whole when its newest object is so old; 0: never
 */
public record PrefixPolicy(
    String prefix, String marker, int keepLast, int flushEvery, long expireMillis) {
  /** Most policies of a bucket. */
  public static final int MAX_POLICIES = 100;

  public PrefixPolicy {
    if (!prefix.isEmpty() && !prefix.endsWith("/")) {
      throw new IllegalArgumentException(
          "the prefix of a policy ends with '/', or is empty: '" + prefix + "'");
    }
    if (marker.endsWith("/") || marker.startsWith("/")) {
      throw new IllegalArgumentException("a marker is a file: '" + marker + "'");
    }
    if (keepLast < 0 || flushEvery < 0 || expireMillis < 0) {
      throw new IllegalArgumentException(
          "a policy counts from 0: " + keepLast + ", " + flushEvery + ", " + expireMillis + " ms");
    }
    if (keepLast == 0 && flushEvery == 0 && expireMillis == 0) {
      throw new IllegalArgumentException("a policy keeps, flushes or expires something");
    }
    if (marker.isEmpty() && (keepLast > 0 || flushEvery > 0)) {
      throw new IllegalArgumentException(
          "checkpoints are counted by their marker, and the policy names none");
    }
  }

  /** Whether it is about directories with markers. */
  public boolean ofCheckpoints() {
    return !marker.isEmpty();
  }

  /**
   * The directory, with its '/', of the checkpoint that a key is of; empty for what is of none. Its
   * marker is the directory and {@link #marker}.
   */
  public Optional<String> checkpointOf(String key) {
    int slash = key.startsWith(prefix) ? key.indexOf('/', prefix.length()) : -1;
    return ofCheckpoints() && slash >= 0
        ? Optional.of(key.substring(0, slash + 1))
        : Optional.empty();
  }

  /**
   * Checks the policies of one bucket: so that each key has one policy at most, none lies in
   * another's prefix.
   *
   * @throws IllegalArgumentException saying which do, or that they are too many
   */
  public static void check(List<PrefixPolicy> policies) {
    if (policies.size() > MAX_POLICIES) {
      throw new IllegalArgumentException("a bucket has at most " + MAX_POLICIES + " policies");
    }
    for (int i = 0; i < policies.size(); i++) {
      for (int j = 0; j < policies.size(); j++) {
        if (i != j && policies.get(i).prefix().startsWith(policies.get(j).prefix())) {
          throw new IllegalArgumentException(
              "the prefix '"
                  + policies.get(i).prefix()
                  + "' lies in that of another policy, '"
                  + policies.get(j).prefix()
                  + "'");
        }
      }
    }
  }
}
