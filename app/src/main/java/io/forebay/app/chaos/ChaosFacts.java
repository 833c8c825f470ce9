package io.forebay.app.chaos;

import java.util.List;
import java.util.Map;

/**
 * What a run has shown; the fields of its JSON.
 *
 * @param operations that clients have begun
 * @param acknowledged those of them that were answered
 * @param lost objects that a cut of all power took under {@code replicated}, each named by reads
 * @param faults how many there were, by kind
 * @param violations one text for each seed that broke a promise
 * @param longestStallMillis of the steady writer, by the kind of the fault that came last
 * @param steadyMegabytesPerSecond how fast it wrote, by the kind of the fault that was there
 */
record ChaosFacts(
    long seeds,
    long firstSeed,
    int nodes,
    String store,
    String client,
    long operations,
    long acknowledged,
    String durability,
    long lost,
    Map<String, Long> faults,
    List<String> violations,
    Map<String, Long> longestStallMillis,
    Map<String, Double> steadyMegabytesPerSecond,
    LossKnown lossKnownMillis,
    double minutes) {

  /** After how long another node knew that one was lost. */
  record LossKnown(long p50, long p99) {}
}
