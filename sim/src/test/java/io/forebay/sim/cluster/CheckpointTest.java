package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("e2e")
class CheckpointTest {
  private static final int SEEDS = 24;
  private static final int OPERATIONS = 400;

  @Test
  void nothingPublishedIsLostUnderFaults() {
    long acknowledged = 0;
    double inParts = 0;
    for (long seed : Seeds.of(SEEDS)) {
      Checkpoint.Report report = Checkpoint.run(new Checkpoint.Plan(seed, 5, OPERATIONS));
      assertThat(report.violations())
          .as("./forebay sim --seed %d --operations %d --log", seed, OPERATIONS)
          .isEmpty();
      acknowledged += report.acknowledged();
      inParts += report.figures().getOrDefault("uploadsInParts", 0.0);
    }
    assertThat(acknowledged).isGreaterThan(100 * SEEDS);
    assertThat(inParts).isPositive();
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    var plan = new Checkpoint.Plan(3, 5, 300);
    assertThat(Checkpoint.run(plan)).isEqualTo(Checkpoint.run(plan));
  }
}
