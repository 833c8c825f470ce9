package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("e2e")
class ReadersTest {
  private static final int SEEDS = 12;
  private static final int OPERATIONS = 6_000;

  @Test
  void whatALeaseAnswersIsTrueWhenItIsAnswered() {
    for (long seed = 1; seed <= SEEDS; seed++) {
      Checkpoint.Report report = Readers.run(new Checkpoint.Plan(seed, 5, OPERATIONS));
      assertThat(report.violations())
          .as("./forebay sim --scenario readers --seed %d --operations %d --log", seed, OPERATIONS)
          .isEmpty();
      assertThat(report.fromMemory()).isGreaterThan(OPERATIONS / 10);
      assertThat(report.acknowledged()).isGreaterThan(OPERATIONS / 2);
    }
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    var plan = new Checkpoint.Plan(3, 5, 2_000);
    assertThat(Readers.run(plan)).isEqualTo(Readers.run(plan));
  }
}
