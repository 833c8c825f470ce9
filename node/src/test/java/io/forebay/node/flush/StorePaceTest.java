package io.forebay.node.flush;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.node.flush.StorePace.Answer;
import org.junit.jupiter.api.Test;

class StorePaceTest {
  private final Steps env = new Steps(1);
  private final StorePace pace = new StorePace(env, 8);

  private int entries(boolean retry) {
    int count = 0;
    while (pace.enter(retry)) {
      count++;
    }
    return count;
  }

  private void leave(int count, boolean retry, Answer answer) {
    for (int i = 0; i < count; i++) {
      pace.leave(retry, answer);
    }
  }

  @Test
  void beingThrottledHalvesWhatIsInWorkAndSuccessesBringItBack() {
    assertThat(pace.full()).isFalse();
    assertThat(entries(false)).isEqualTo(8);
    assertThat(pace.full()).isTrue();
    pace.leave(false, Answer.THROTTLED);
    leave(7, false, Answer.TOOK);
    assertThat(pace.paused()).isTrue();
    assertThat(pace.enter(false)).isFalse();
    env.advance(15_000);
    assertThat(entries(false)).isBetween(4, 5);
    leave(4, false, Answer.TOOK);
    for (int i = 0; i < 60 && pace.limit() < 8; i++) {
      assertThat(pace.enter(false)).isTrue();
      pace.leave(false, Answer.TOOK);
    }
    assertThat(pace.limit()).isEqualTo(8);
  }

  @Test
  void aStoreThatFailsIsTriedByOneKeyAtATimeEverMoreSeldom() {
    int tries = 0;
    for (int second = 0; second < 300; second++) {
      env.advance(1_000);
      int entered = entries(false);
      assertThat(entered).isLessThanOrEqualTo(tries == 0 ? 8 : 1);
      leave(entered, false, Answer.FAILED);
      tries += entered;
    }
    assertThat(tries).isBetween(8 + 300 / 16, 8 + 45);
    env.advance(15_000);
    assertThat(pace.enter(false)).isTrue();
    pace.leave(false, Answer.TOOK);
    assertThat(pace.paused()).as("it works again").isFalse();
  }

  @Test
  void retriesThatFailAreATenthOfTheRequestsAndAFloor() {
    // Not the store's pauses are looked at here, but the budget: each failure of a retry is of a
    // kind that pauses, so that time is moved past it, by a known floor.
    int retries = 0;
    long spentMillis = 0;
    for (int i = 0; i < 400; i++) {
      assertThat(pace.enter(false)).isTrue();
      pace.leave(false, Answer.TOOK);
      if (pace.enter(true)) {
        retries++;
        pace.leave(true, Answer.FAILED);
        env.advance(500);
        spentMillis += 500;
      }
    }
    double earned = 10 + 400 * 0.1 + spentMillis / 1000.0 * 0.5;
    assertThat(retries).isLessThanOrEqualTo((int) earned + 1);
    assertThat(retries).isGreaterThan(40);
    assertThat(pace.heldBack()).isPositive();
  }

  @Test
  void aRetryThatSucceedsCostsNothing() {
    for (int i = 0; i < 1_000; i++) {
      assertThat(pace.enter(true)).isTrue();
      pace.leave(true, Answer.TOOK);
    }
    assertThat(pace.heldBack()).isZero();
  }
}
