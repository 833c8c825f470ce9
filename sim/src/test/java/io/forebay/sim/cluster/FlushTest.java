package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("e2e")
class FlushTest {
  private static final int SEEDS = 16;
  private static final int OPERATIONS = 400;

  @Test
  void theStoreEndsUpWithAllThatWasPublished() {
    long acknowledged = 0;
    var faults = new TreeMap<String, Long>();
    for (long seed : Seeds.of(SEEDS)) {
      Checkpoint.Report report = Checkpoint.runWithStore(new Checkpoint.Plan(seed, 5, OPERATIONS));
      assertThat(report.violations())
          .as("./forebay sim --scenario flush --seed %d --operations %d --log", seed, OPERATIONS)
          .isEmpty();
      acknowledged += report.acknowledged();
      report.faults().forEach((kind, count) -> faults.merge(kind, count, Long::sum));
    }
    assertThat(acknowledged).isGreaterThan(100 * SEEDS);
    assertThat(faults)
        .as("kinds of faults of the store")
        .containsKeys(
            "store_storm",
            "store_down",
            "store_broken_bodies",
            "store_denied",
            "store_slow",
            "foreign_write",
            "foreign_delete");
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    var plan = new Checkpoint.Plan(3, 5, 300);
    assertThat(Checkpoint.runWithStore(plan)).isEqualTo(Checkpoint.runWithStore(plan));
  }
}
