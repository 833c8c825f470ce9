package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("e2e")
class RedundancyTest {
  private static final Checkpoint.Plan PLAN = new Checkpoint.Plan(1, 8, 200);

  @Test
  void aLostNodeIsMadeUpForWhileClientsWriteOn() {
    Checkpoint.Report report = Redundancy.run(PLAN);
    assertThat(report.violations())
        .as("./forebay sim --scenario redundancy --nodes 8 --operations 200 --seed 1")
        .isEmpty();
    assertThat(report.figures().get("nicShare")).isBetween(0.4, 1.0);
    assertThat(report.figures().get("foregroundKept")).isBetween(0.8, 1.2);
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    assertThat(Redundancy.run(PLAN)).isEqualTo(Redundancy.run(PLAN));
  }
}
