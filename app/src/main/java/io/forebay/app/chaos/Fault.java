package io.forebay.app.chaos;

/**
 * What can happen. Kills, stops and cuts of one node never hit the one that is spared, through
 * which is written.
 */
enum Fault {
  /** kill -9 of a node, and a start. */
  KILL("kill", true),
  /** SIGSTOP of a node, and SIGCONT. */
  STOP("stop", true),
  /** A node's link is a black hole, and is there again. */
  CUT_OFF("cutOff", true),
  /**
   * kill -9 of the spared node, and a start with an empty disk; on it was the first copy of all
   * that was written through it. Only while the cluster is whole.
   */
  WIPE_DISK("wipeDisk", false),
  /** kill -9 of all nodes at once, and a start of all. */
  KILL_ALL("killAll", false),
  /** No room is left on the disk of the last node, which may be the spared one, and there is. */
  FULL_DISK("fullDisk", false),
  /** kill -9 of two nodes or more at once, of all but the spared one at most, and their start. */
  KILL_SEVERAL("killSeveral", false),
  /** Nobody reaches the store, and all do again. */
  STORE_AWAY("storeAway", true),
  /**
   * The power of a node is cut: it is gone, with all that its disk had not been told to keep. Under
   * {@code replicated} only while the cluster is whole.
   */
  POWER("power", true),
  /** The power of all nodes is cut at once. */
  POWER_ALL("powerAll", false),
  /** A node's link is 20 times slower than the others', each way, and is as fast again. */
  SLOW_NIC("slowNic", true),
  /** A node's disk is 20 times slower than the others', and is as fast again. */
  SLOW_DISK("slowDisk", true),
  /** All links and disks are 20 times slower than they were, and are as fast again. */
  SLOW_ALL("slowAll", false);

  private final String word;
  private final boolean bounded;

  Fault(String word, boolean bounded) {
    this.word = word;
    this.bounded = bounded;
  }

  /** Its name among the facts. */
  String word() {
    return word;
  }

  /** Whether a write may not stall for long meanwhile: all that it needs is there. */
  boolean bounded() {
    return bounded;
  }
}
