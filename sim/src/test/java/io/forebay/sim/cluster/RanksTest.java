package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("e2e")
class RanksTest {
  private static final int MIB = 32;

  @Test
  void allNodesWriteAtOnceAndUseTheirNicsAlsoWhenOneDies() {
    for (long seed = 1; seed <= 2; seed++) {
      Checkpoint.Report report = Ranks.run(new Checkpoint.Plan(seed, 10, MIB));
      assertThat(report.violations())
          .as("./forebay sim --scenario ranks --nodes 10 --seed %d --operations %d", seed, MIB)
          .isEmpty();
      assertThat(report.acknowledged()).isEqualTo(10 - seed % 2);
      assertThat(report.figures().get("nicShare")).isBetween(0.6, 1.0);
    }
  }
}
