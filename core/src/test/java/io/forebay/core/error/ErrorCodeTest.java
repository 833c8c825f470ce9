package io.forebay.core.error;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.TreeSet;
import org.junit.jupiter.api.Test;

final class ErrorCodeTest {
  @Test
  void numbersAreUniqueAndInTheOrderOfTheTable() {
    var numbers = new TreeSet<Integer>();
    for (ErrorCode code : ErrorCode.values()) {
      assertThat(numbers.add(code.number())).as("%s", code).isTrue();
      assertThat(ErrorCode.ofNumber(code.number())).isEqualTo(code);
    }
    assertThat(ErrorCode.ofNumber(65_535)).isEqualTo(ErrorCode.INTERNAL);
    // Records carry the position in the table: new codes go to its end.
    assertThat(ErrorCode.values()).isSortedAccordingTo((a, b) -> a.number() - b.number());
    assertThat(numbers.first()).isEqualTo(1);
    assertThat(numbers.last()).isEqualTo(ErrorCode.values().length);
  }

  @Test
  void everyDoorHasAName() {
    for (ErrorCode code : ErrorCode.values()) {
      assertThat(code.s3Code()).isNotBlank();
      assertThat(code.azureCode()).isNotBlank();
      assertThat(code.respPrefix()).matches("[A-Z]+");
      assertThat(code.errno()).matches("E[A-Z0-9]+");
      assertThat(code.httpStatus()).isBetween(300, 599);
      assertThat(code.retry()).isNotNull();
    }
  }

  @Test
  void aWrappedFailureKeepsItsCodeAndMessage() {
    var cause = new ForebayException(ErrorCode.NO_SPACE, "disk full");
    assertThat(ForebayException.wrap(cause).code()).isEqualTo(ErrorCode.NO_SPACE);
    assertThat(ForebayException.wrap(cause)).hasMessage("disk full").hasCause(cause);
    assertThat(ForebayException.wrap(new IllegalStateException("x")).code())
        .isEqualTo(ErrorCode.INTERNAL);
  }
}
