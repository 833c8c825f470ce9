package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("e2e")
class CheckpointTest {
  @Test
  void nothingPublishedIsLostUnderFaults() {
    long begin = System.nanoTime();
    long operations = 0;
    for (long seed = 1; seed == 1 || System.nanoTime() - begin < 40_000_000_000L; seed++) {
      Checkpoint.Report report = Checkpoint.run(seed, 5, 2);
      assertThat(report.violations()).as("seed %d", seed).isEmpty();
      operations += report.operations();
    }
    assertThat(operations).isPositive();
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    assertThat(Checkpoint.run(3, 5, 1)).isEqualTo(Checkpoint.run(3, 5, 1));
  }
}
