package io.forebay.sim.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.forebay.core.rule.Broken;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

class CheckTest {
  @TestFactory
  Stream<DynamicTest> nothingBreaksInASmallWorld() {
    return Case.all().stream()
        .flatMap(each -> each.quick().stream())
        .map(world ->
            dynamicTest(
                world.name(),
                () -> {
                  Explorer.Result result = world.explore();
                  assertThat(result.violation()).isEmpty();
                  assertThat(result.states()).isGreaterThan(1_000);
                }));
  }

  @TestFactory
  Stream<DynamicTest> aRuleThatIsLeftOutIsNoticed() {
    return Case.all().stream()
        .flatMap(each -> each.mutations().stream())
        .map(mutation ->
            dynamicTest(
                mutation.rule() + " in " + mutation.world().name(),
                () -> {
                  try (Broken _ = Broken.rule(mutation.rule())) {
                    assertThat(mutation.world().explore().violation()).isPresent();
                  }
                }));
  }
}
