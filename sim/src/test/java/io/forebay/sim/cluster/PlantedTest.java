package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** A bug of each kind is planted in the production code, and the simulator finds it. */
@Tag("e2e")
class PlantedTest {
  /**
   * A bug.
   *
   * @param seeds within how many seeds it is to be found
   */
  private record Planted(
      String kind,
      Rule rule,
      Function<Checkpoint.Plan, Checkpoint.Report> scenario,
      int operations,
      int seeds) {
    void find() {
      try (Broken _ = Broken.rule(rule)) {
        for (long seed = 1; seed <= seeds; seed++) {
          Checkpoint.Report report = scenario.apply(new Checkpoint.Plan(seed, 5, operations));
          if (!report.violations().isEmpty()) {
            return;
          }
        }
      }
      fail("nobody noticed in %d seeds that %s is left out", seeds, rule);
    }
  }

  // That of the index rebuild is found in the store's RebuildTest: here disks are simulated.
  private static final List<Planted> ALL =
      List.of(
          new Planted("relay", Rule.R2_LOST, Checkpoint::run, 400, 8),
          new Planted("re-home", Rule.R10_ID, Checkpoint::run, 400, 8),
          new Planted("re-sync", Rule.R12, Checkpoint::run, 400, 40),
          new Planted("garbage collection", Rule.G5_OPEN, Checkpoint::run, 400, 8),
          new Planted("flush", Rule.F2_SENT, Checkpoint::runWithStore, 400, 8),
          new Planted("eviction", Rule.G6, Checkpoint::runWithStore, 400, 8),
          new Planted("retention", Rule.POLICY_LAST, Checkpoint::runWithStore, 400, 8),
          new Planted("lease", Rule.V1_GIVEN, Readers::run, 6_000, 8));

  @TestFactory
  Stream<DynamicTest> aPlantedBugIsFound() {
    return ALL.stream().map(each -> dynamicTest(each.kind(), each::find));
  }
}
