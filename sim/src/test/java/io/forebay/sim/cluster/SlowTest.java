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
  private static final int MANY_SECONDS =
      20; // so that one of a hundred writes is not the worst one

  private static Checkpoint.Report run(long seed) {
    return run(seed, SECONDS);
  }

  private static Checkpoint.Report run(long seed, int seconds) {
    return Slow.run(new Checkpoint.Plan(seed, 8, seconds));
  }

  private static Checkpoint.Report without(Rule rule, long seed, int seconds) {
    try (Broken _ = Broken.rule(rule)) {
      return run(seed, seconds);
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
  void aSlowNicIsPassedBy() {
    double with = 0;
    double left = 0;
    for (long seed : new long[] {3, 9}) {
      with += figure(run(seed, MANY_SECONDS), "stallSecondsP99While");
      left += figure(without(Rule.SLOW_PASSED, seed, MANY_SECONDS), "stallSecondsP99While");
    }
    assertThat(left).isGreaterThan(1.3 * with);
  }

  @Test
  void ofThreeThatHaveAllGroupsTheSlowOneIsPutOut() {
    Checkpoint.Report report = run(4);
    assertThat(figure(report, "slowPutOut")).isEqualTo(1);
    assertThat(figure(report, "othersPutOut")).isZero();
    Checkpoint.Report left = without(Rule.SLOW_FENCED, 4, SECONDS);
    assertThat(left.violations()).isNotEmpty();
    assertThat(figure(left, "mibPerSecondWhile"))
        .isLessThan(figure(report, "mibPerSecondWhile") / 4);
  }

  @Test
  void whereAllAreSlowChunksAreNotSentAgainAndAgain() {
    assertThat(figure(without(Rule.SLOW_PATIENCE, 6, SECONDS), "rehomedChunks"))
        .isGreaterThan(3 * figure(run(6), "rehomedChunks"));
  }
}
