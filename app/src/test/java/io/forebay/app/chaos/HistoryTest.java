package io.forebay.app.chaos;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

final class HistoryTest {
  private static final String KEY = "k";

  private final History history = new History();

  private void wrote(long value, long begun, long ended) {
    history.wrote(KEY, value, "w", begun, ended, false);
  }

  private void read(long value, long begun, long ended) {
    history.read(KEY, value, "r", begun, ended);
  }

  private void expectWell() {
    assertThat(history.violations()).isEmpty();
  }

  private void expectWrong(String... words) {
    assertThat(history.violations()).hasSize(1);
    assertThat(history.violations().getFirst()).startsWith(KEY + ": ").contains(words);
  }

  @Test
  void whatIsWrittenIsReadUntilTheNextIsWritten() {
    read(History.ABSENT, 0, 1);
    wrote(7, 2, 3);
    read(7, 4, 5);
    wrote(8, 6, 7);
    read(8, 8, 9);
    expectWell();
    assertThat(history.operations()).isEqualTo(5);
    assertThat(history.acknowledged()).isEqualTo(5);
  }

  @Test
  void whileAWriteIsUnderWayEitherValueMayBeReadButNoneAgainAfterTheNext() {
    wrote(7, 0, 1);
    wrote(8, 10, 20);
    read(7, 11, 12);
    read(8, 13, 14);
    expectWell();
    read(7, 15, 16);
    expectWrong("value 7", "value 8", "contradict");
  }

  @Test
  void aKeyThatWasGivenUpIsJudgedNoMoreButMayStillCome() {
    wrote(7, 0, 1);
    history.mayHaveWritten(KEY, 8, "w", 2, false);
    read(History.ABSENT, 3, 4);
    assertThat(history.violations()).isNotEmpty();
    history.giveUp(KEY);
    expectWell();
    assertThat(history.keys()).isEmpty();
    assertThat(history.uncertainKeys()).containsExactly(KEY);
  }

  /** A client that was not answered and sends its write again, after another's. */
  @Test
  void aValueThatIsSentAgainMayComeBackUntilItsWriteIsOver() {
    history.wrote(KEY, 7, "w", 0, 100, true);
    read(7, 10, 20);
    wrote(8, 30, 40);
    read(8, 50, 60);
    read(7, 110, 120);
    expectWell();
    wrote(9, 130, 140);
    read(7, 150, 160);
    expectWrong("value 7", "value 9", "contradict");
  }

  @Test
  void whatWasSentAgainAndNeverAnsweredMayComeAnyTimeButNotBeforeItWasSent() {
    history.mayHaveWritten(KEY, 7, "w", 10, true);
    read(7, 20, 30);
    wrote(8, 40, 50);
    read(7, 60, 70);
    expectWell();
    read(7, 0, 5);
    expectWrong("value 7", "before it was written");
  }

  @Test
  void aKeyIsAsBeforeUntilAWriteThatWasBegunSinceIsAcknowledged() {
    assertThat(history.keysAsBefore(50)).isEmpty();
    wrote(7, 10, 20);
    assertThat(history.keysAsBefore(5)).isEmpty();
    assertThat(history.keysAsBefore(50)).containsExactly(KEY);
    history.mayHaveWritten(KEY, 8, "w", 60, false);
    assertThat(history.keysAsBefore(50)).containsExactly(KEY);
    wrote(9, 70, 80);
    assertThat(history.keysAsBefore(50)).isEmpty();
    // Begun before, and perhaps the last that happened.
    wrote(10, 40, 75);
    assertThat(history.keysAsBefore(50)).containsExactly(KEY);
    wrote(11, 90, 95);
    assertThat(history.keysAsBefore(50)).isEmpty();
  }

  @Test
  void whatWasAcknowledgedIsNotAbsent() {
    wrote(7, 0, 1);
    read(History.ABSENT, 2, 3);
    expectWrong("absent", "value 7 (written by w");
  }

  @Test
  void anOlderValueDoesNotComeBackAfterTheNewerWasAcknowledged() {
    wrote(7, 0, 1);
    wrote(8, 2, 3);
    read(7, 4, 5);
    expectWrong("value 7", "value 8");
  }

  @Test
  void twoValuesThatWereWrittenAtOnceHaveOneOrderForAll() {
    wrote(7, 0, 10);
    wrote(8, 0, 10);
    read(8, 11, 12);
    read(8, 13, 14);
    expectWell();
    read(7, 15, 16);
    read(8, 17, 18);
    expectWrong("value 7", "value 8");
  }

  @Test
  void whatWasNotAcknowledgedMayHappenLateOnceOrNever() {
    wrote(7, 0, 1);
    history.mayHaveWritten(KEY, 8, "w", 2, false);
    history.mayHaveWritten(KEY, 9, "w", 3, false);
    read(7, 10, 11);
    read(8, 12, 13);
    expectWell();
    assertThat(history.uncertainKeys()).containsExactly(KEY);
    assertThat(history.acknowledged()).isEqualTo(3);
    read(7, 14, 15);
    expectWrong("value 7", "value 8");
  }

  @Test
  void whatNobodyHasWrittenIsNotRead() {
    read(5, 0, 1);
    expectWrong("value 5 was never written");
  }

  @Test
  void nothingIsReadBeforeItsWriteBegins() {
    read(5, 0, 1);
    wrote(5, 2, 3);
    expectWrong("before it was written");
  }

  @Test
  void keysAreJudgedEachForItself() {
    wrote(7, 0, 1);
    history.read("other", History.ABSENT, "r", 2, 3);
    expectWell();
    assertThat(history.keys()).containsExactly(KEY, "other");
  }

  /** One of a history that is tried in all orders; end 99: not acknowledged. */
  private record Try(boolean write, long value, long begun, long ended) {}

  /** Against a search of all orders, which is slow and plainly right. */
  @Test
  void smallHistoriesAreJudgedAsASearchOfAllOrdersDoes() {
    var random = new SplittableRandom(1);
    Map<Boolean, Integer> seen = new HashMap<>();
    for (int i = 0; i < 4_000; i++) {
      var tries = new ArrayList<Try>();
      int writes = random.nextInt(1, 4);
      for (int value = 1; value <= writes; value++) {
        long begun = random.nextInt(0, 12) * 2L + 1;
        boolean answered = random.nextInt(4) > 0;
        tries.add(
            new Try(true, value, begun, answered ? begun + random.nextInt(1, 8) * 2L - 1 : 99));
      }
      int reads = random.nextInt(1, 4);
      for (int k = 0; k < reads; k++) {
        long begun = random.nextInt(0, 16) * 2L;
        tries.add(
            new Try(
                false, random.nextInt(writes + 1), begun, begun + random.nextInt(1, 6) * 2L - 1));
      }
      boolean atomic = new Search(distinct(tries)).fits(new HashSet<>(), 0);
      boolean judged = judged(distinct(tries));
      assertThat(judged).as("%s", tries).isEqualTo(atomic);
      seen.merge(atomic, 1, Integer::sum);
    }
    assertThat(seen.get(true)).isGreaterThan(400);
    assertThat(seen.get(false)).isGreaterThan(400);
  }

  /** The same order of begins and ends, but no two at the same time. */
  private static List<Try> distinct(List<Try> tries) {
    var spread = new ArrayList<Try>();
    for (Try each : tries) {
      long shift = spread.size();
      spread.add(
          new Try(
              each.write,
              each.value,
              each.begun * 100 + shift,
              each.ended == 99 ? Long.MAX_VALUE : each.ended * 100 + 50 + shift));
    }
    return spread;
  }

  private static boolean judged(List<Try> tries) {
    var history = new History();
    for (Try each : tries) {
      if (!each.write) {
        history.read(KEY, each.value, "r", each.begun, each.ended);
      } else if (each.ended == Long.MAX_VALUE) {
        history.mayHaveWritten(KEY, each.value, "w", each.begun, false);
      } else {
        history.wrote(KEY, each.value, "w", each.begun, each.ended, false);
      }
    }
    return history.violations().isEmpty();
  }

  /** Whether there is an order of the operations that a register could have gone through. */
  private record Search(List<Try> tries) {
    boolean fits(Set<Try> done, long value) {
      // What was not acknowledged need not happen.
      if (tries.stream().allMatch(each -> done.contains(each) || each.ended == Long.MAX_VALUE)) {
        return true;
      }
      for (Try next : tries) {
        boolean open = !done.contains(next);
        boolean may =
            tries.stream().noneMatch(other -> !done.contains(other) && other.ended < next.begun);
        if (open && may && (next.write || next.value == value)) {
          done.add(next);
          if (fits(done, next.value)) {
            return true;
          }
          done.remove(next);
        }
      }
      return false;
    }
  }
}
