package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What the rules about slowness are for is seen where one of them is left out. */
@Tag("e2e")
class SlowTest {
  private static final int SECONDS = 12;

  private static Checkpoint.Report run(long seed) {
    return Slow.run(new Checkpoint.Plan(seed, 8, SECONDS));
  }

  private static Checkpoint.Report without(Rule rule, long seed) {
    try (Broken _ = Broken.rule(rule)) {
      return run(seed);
    }
  }

  private static double figure(Checkpoint.Report report, String name) {
    return report.figures().get(name);
  }

  @Test
  void whateverIsSlowNoWriteElsewhereStandsForLongAndOneAtMostIsPutOut() {
    LongStream.rangeClosed(1, 6)
        .forEach(seed ->
            assertThat(run(seed).violations())
                .as("./forebay sim --scenario slow --seed %d --operations %d", seed, SECONDS)
                .isEmpty());
  }

  @Test
  void ofThreeThatHaveAllGroupsTheSlowOneIsPutOut() {
    Checkpoint.Report report = run(4);
    assertThat(figure(report, "slowPutOut")).isEqualTo(1);
    assertThat(figure(report, "othersPutOut")).isZero();
    Checkpoint.Report left = without(Rule.SLOW_FENCED, 4);
    assertThat(left.violations()).isNotEmpty();
    assertThat(figure(left, "mibPerSecondWhile"))
        .isLessThan(figure(report, "mibPerSecondWhile") / 4);
  }

  @Test
  void whereAllAreSlowChunksAreNotSentAgainAndAgain() {
    assertThat(figure(without(Rule.SLOW_PATIENCE, 6), "rehomedChunks"))
        .isGreaterThan(3 * figure(run(6), "rehomedChunks"));
  }
}
