package io.forebay.sim.cluster;

import java.util.random.RandomGenerator;

/** The keys that clients use, and what each is for. They are few, so that clients meet. */
final class KeySpace {
  /** Goes through to the store before it is acknowledged. */
  static final String THROUGH = "k3/";

  /** Where a trainer writes checkpoints. */
  static final String TRAINED = "c/";

  /** The file that makes a checkpoint complete. */
  static final String MARKER = "done";

  // What others write too: never copied, for a copy's source must not be theirs to destroy.
  private static final String SHARED = "f/";
  // Directories that get each other's names.
  private static final String MOVED = "m";
  private static final int KEYS = 20;

  private final RandomGenerator random;

  KeySpace(RandomGenerator random) {
    this.random = random;
  }

  /** One that clients write, copy, rename and delete. */
  String key() {
    return random.nextInt(10) == 0
        ? moved(random.nextInt(2)) + random.nextInt(3)
        : "k" + random.nextInt(4) + "/" + random.nextInt(KEYS / 4);
  }

  /** One that others write, too. */
  String shared() {
    return SHARED + random.nextInt(KEYS / 4);
  }

  /** One for a copy from another bucket. */
  String crossed() {
    return History.CROSSED + random.nextInt(KEYS / 4);
  }

  /**
   * One of the two directories that get each other's names, with its '/'.
   *
   * @param which 0 or 1
   */
  static String moved(int which) {
    return MOVED + which + "/";
  }
}
