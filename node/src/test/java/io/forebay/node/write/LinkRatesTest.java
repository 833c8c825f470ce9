package io.forebay.node.write;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.StillEnv;
import io.forebay.core.id.VolumeId;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class LinkRatesTest {
  private static final long MILLI = 1_000_000L;
  private static final long MIB = 1 << 20;
  private static final VolumeId GOOD = new VolumeId(1);
  private static final VolumeId BAD = new VolumeId(2);

  private final StillEnv env = new StillEnv();
  private final LinkRates rates = new LinkRates(env);

  /** Chunks wait for a link for so long, which takes so many bytes in each tenth of a second. */
  private void wait(Optional<VolumeId> from, VolumeId to, int tenths, long bytes) {
    for (int i = 0; i < tenths; i++) {
      env.pass(100);
      rates.held(from, to, 100 * MILLI, (i + 1) * 100L * MILLI, bytes);
    }
  }

  /** A volume took a MiB from here in so long. */
  private void took(VolumeId volume, long millis) {
    long since = env.nanoTime();
    env.pass(millis);
    rates.took(volume, since, MIB);
  }

  @Test
  void whoTakesNothingForASecondWhileAnotherDoesIsSlow() {
    wait(Optional.empty(), BAD, 5, 0);
    took(GOOD, 50);
    wait(Optional.empty(), BAD, 3, 0);
    assertThat(rates.slow()).isEmpty();
    wait(Optional.empty(), BAD, 1, 0);
    assertThat(rates.slow()).isEqualTo(Map.of(BAD, 900_000L));
  }

  @Test
  void whoTakesManyTimesLessThanAnotherIsSlow() {
    took(GOOD, 50);
    wait(Optional.empty(), BAD, 5, MIB / 20); // a MiB in 2 s
    took(GOOD, 50);
    assertThat(rates.slow()).isEmpty();
    wait(Optional.empty(), BAD, 8, MIB / 20);
    assertThat(rates.slow().get(BAD)).isBetween(1_200_000L, 2_000_000L);
  }

  @Test
  void whoTakesAFewTimesLessIsNot() {
    took(GOOD, 50);
    wait(Optional.empty(), BAD, 20, MIB / 2); // a MiB in 0.2 s
    took(GOOD, 50);
    assertThat(rates.slow()).isEmpty();
  }

  /** Whatever holds up all that it sends may be this node itself. */
  @Test
  void whereNobodyTookAnythingSinceThenNobodyIsSlow() {
    took(GOOD, 50);
    wait(Optional.empty(), BAD, 20, 0);
    assertThat(rates.slow()).isEmpty();
    rates.took(GOOD, env.nanoTime() - 3_000 * MILLI, MIB); // it began before
    assertThat(rates.slow()).isEmpty();
    took(GOOD, 50);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
  }

  @Test
  void ofALinkBetweenOthersTheSenderIsSlowWhereTheReceiverIsQuickElsewhere() {
    wait(Optional.of(BAD), GOOD, 11, 0);
    assertThat(rates.slow()).isEmpty();
    took(new VolumeId(3), 50);
    assertThat(rates.slow()).isEmpty();
    took(GOOD, 50);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
  }

  @Test
  void elseTheReceiverIsWhereTheSenderIsQuick() {
    wait(Optional.of(GOOD), BAD, 11, 0);
    assertThat(rates.slow()).isEmpty();
    took(GOOD, 50);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
  }

  /** What was quick before it came to stand says nothing of now. */
  @Test
  void whoHoldsChunksUpItselfIsNoMeasureForOthers() {
    wait(Optional.empty(), BAD, 2, 0);
    took(GOOD, 50);
    for (int i = 0; i < 8; i++) {
      env.pass(100);
      rates.held(Optional.empty(), BAD, 100 * MILLI, (i + 3) * 100L * MILLI, 0);
      rates.held(Optional.empty(), GOOD, 100 * MILLI, (i + 1) * 100L * MILLI, 0);
    }
    assertThat(rates.slow()).isEmpty();
  }

  @Test
  void chunksThatWaitSideBySideDoNotMakeItLonger() {
    for (int i = 0; i < 7; i++) {
      env.pass(100);
      for (int chunk = 0; chunk < 6; chunk++) {
        rates.held(Optional.empty(), BAD, 100 * MILLI, (i + 1) * 100L * MILLI, 0);
      }
    }
    took(GOOD, 10);
    assertThat(rates.slow()).isEmpty();
  }

  @Test
  void whatHoldsManyChunksUpForAMomentEachIsNotSlow() {
    for (int i = 0; i < 20; i++) {
      wait(Optional.empty(), BAD, 3, 0);
      took(GOOD, 10);
    }
    assertThat(rates.slow()).isEmpty();
  }

  @Test
  void whoIsAsQuickAsOthersAgainIsNotSlowAnyMore() {
    took(GOOD, 50);
    wait(Optional.empty(), BAD, 12, 0);
    took(GOOD, 50);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
    took(BAD, 3_000);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
    took(BAD, 50);
    assertThat(rates.slow()).isEmpty();
  }

  @Test
  void oneChunkThatStandsBesideQuickOnesSaysNothingOfWhoTakesThem() {
    wait(Optional.empty(), BAD, 6, 0);
    took(GOOD, 50);
    took(BAD, 50);
    wait(Optional.empty(), BAD, 12, 0);
    assertThat(rates.slow()).isEmpty();
  }

  /** Though a little is left of an earlier wait. */
  @Test
  void whatWasQuickBeforeItStoppedClearsNobody() {
    took(GOOD, 50);
    wait(Optional.empty(), BAD, 1, 0);
    took(BAD, 50);
    env.pass(200);
    wait(Optional.empty(), BAD, 9, 0);
    took(GOOD, 50);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
  }

  /** Tries of the least patience, two after one another, as a busy node has them. */
  @Test
  void whoStopsIsSlowThoughEachTryIsGivenUpAfterHalfASecond() {
    for (long look = 1; look <= 18; look++) {
      env.pass(50);
      long waited = ((look - 1) % 9 + 1) * 50 * MILLI;
      rates.held(Optional.empty(), BAD, 50 * MILLI, waited, 0);
    }
    took(GOOD, 50);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
  }

  /** It may have been held up by others meanwhile. */
  @Test
  void whatWasTakenAtLeastIsASignOfBeingWellAndNoMeasureOfWhatIsUsual() {
    took(GOOD, 50);
    wait(Optional.empty(), BAD, 9, 0);
    for (int i = 0; i < 20; i++) {
      rates.tookAtLeast(GOOD, env.nanoTime() - 200 * MILLI, MIB / 20); // a twentieth of usual
    }
    assertThat(rates.slow()).isEmpty();
    rates.tookAtLeast(GOOD, env.nanoTime() - 100 * MILLI, MIB);
    assertThat(rates.slow()).containsOnlyKeys(BAD);
    rates.tookAtLeast(BAD, env.nanoTime() - 100 * MILLI, MIB);
    assertThat(rates.slow()).isEmpty();
  }

  @Test
  void waitsWithCalmBetweenThemDoNotAddUp() {
    for (int i = 0; i < 10; i++) {
      wait(Optional.empty(), BAD, 6, 0);
      took(GOOD, 50);
      assertThat(rates.slow()).isEmpty();
      env.pass(4_000);
    }
  }

  @Test
  void whatWasLongAgoIsNotSaid() {
    wait(Optional.empty(), BAD, 12, 0);
    took(GOOD, 50);
    assertThat(rates.slow()).isNotEmpty();
    env.pass(6_000);
    assertThat(rates.slow()).isEmpty();
    wait(Optional.empty(), BAD, 5, 0);
    took(GOOD, 50);
    assertThat(rates.slow()).isEmpty();
  }
}
