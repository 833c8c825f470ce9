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
    long acknowledged = 0;
    long fromMemory = 0;
    for (long seed : Seeds.of(SEEDS)) {
      Checkpoint.Report report = Readers.run(new Checkpoint.Plan(seed, 5, OPERATIONS));
      assertThat(report.violations())
          .as("./forebay sim --scenario readers --seed %d --operations %d --log", seed, OPERATIONS)
          .isEmpty();
      acknowledged += report.acknowledged();
      fromMemory += report.fromMemory();
    }
    assertThat(acknowledged).isGreaterThan(SEEDS * OPERATIONS / 2);
    assertThat(fromMemory).isGreaterThan(SEEDS * OPERATIONS / 10);
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    var plan = new Checkpoint.Plan(3, 5, 2_000);
    assertThat(Readers.run(plan)).isEqualTo(Readers.run(plan));
  }
}
