package io.forebay.core.env;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PatienceTest {
  private static final long MILLI = 1_000_000L;

  private final Patience patience = new Patience(500 * MILLI, 8_000 * MILLI);

  private void arrived(int many, long stoodMillis) {
    for (int i = 0; i < many; i++) {
      patience.arrived(stoodMillis * MILLI);
    }
  }

  @Test
  void whereTheyArriveTheLeastIsEnough() {
    assertThat(patience.nanos(0)).isEqualTo(500 * MILLI);
    arrived(15, 100);
    assertThat(patience.nanos(0)).isEqualTo(500 * MILLI);
  }

  @Test
  void whereAllOfThemStandForLongNobodyIsTakenForDeadForThat() {
    arrived(15, 900);
    assertThat(patience.nanos(0)).isEqualTo(2_700 * MILLI);
    arrived(15, 20_000);
    assertThat(patience.nanos(0)).isEqualTo(8_000 * MILLI);
    arrived(15, 100);
    assertThat(patience.nanos(0)).isEqualTo(500 * MILLI);
  }

  @Test
  void aFewSlowOnesChangeNothing() {
    arrived(8, 100);
    arrived(7, 5_000);
    assertThat(patience.nanos(0)).isEqualTo(500 * MILLI);
  }

  @Test
  void eachTryOfOneMayStandTwiceAsLongAsTheOneBefore() {
    assertThat(patience.nanos(1)).isEqualTo(1_000 * MILLI);
    assertThat(patience.nanos(3)).isEqualTo(4_000 * MILLI);
    assertThat(patience.nanos(4)).isEqualTo(8_000 * MILLI);
    assertThat(patience.nanos(400)).isEqualTo(8_000 * MILLI);
  }
}
