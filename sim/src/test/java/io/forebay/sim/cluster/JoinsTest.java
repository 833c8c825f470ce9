package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.Balance;
import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("e2e")
class JoinsTest {
  private static final int SEEDS = 4;
  private static final int OPERATIONS = 300;

  @Test
  void whoJoinsTakesItsPartOfWhatIsThereWhateverBreaksMeanwhile() {
    for (long seed = 1; seed <= SEEDS; seed++) {
      Checkpoint.Report report = Checkpoint.runWithJoins(new Checkpoint.Plan(seed, 5, OPERATIONS));
      assertThat(report.violations())
          .as("./forebay sim --scenario joins --seed %d --operations %d --log", seed, OPERATIONS)
          .isEmpty();
      assertThat(report.figures().get("gapBefore")).isGreaterThan(0.5);
      assertThat(report.figures().get("gapAfter")).isLessThanOrEqualTo(Balance.MARGIN);
      assertThat(report.figures().get("moves")).isBetween(2.0, 60.0);
    }
  }

  @Test
  void itIsNoticedWhenNothingMoves() {
    try (Broken _ = Broken.rule(Rule.BALANCED)) {
      Checkpoint.Report report = Checkpoint.runWithJoins(new Checkpoint.Plan(1, 5, OPERATIONS));
      assertThat(report.violations())
          .hasSize(1)
          .allSatisfy(each -> assertThat(each).contains("no disk is much fuller than another"));
    }
  }

  @Test
  void theSameSeedTwiceGivesTheSameDigest() {
    var plan = new Checkpoint.Plan(3, 5, 200);
    assertThat(Checkpoint.runWithJoins(plan)).isEqualTo(Checkpoint.runWithJoins(plan));
  }
}
