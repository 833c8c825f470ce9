package io.forebay.sim.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.forebay.core.rule.Broken;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

class CheckTest {
  private static final String CUT_OFF = "leases"; // its worlds are larger than CI has time for

  @TestFactory
  Stream<DynamicTest> nothingBreaksInASmallWorld() {
    return Case.all().stream()
        .flatMap(each ->
            each.quick().stream()
                .map(world ->
                    dynamicTest(
                        world.name(),
                        () -> {
                          Explorer.Result result = world.explore();
                          assertThat(result.violation()).isEmpty();
                          assertThat(result.states()).isGreaterThan(1_000);
                          if (!each.name().equals(CUT_OFF)) {
                            assertThat(result.whole())
                                .isTrue(); // a way out is looked for then only
                          }
                        })));
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
                    Explorer.Result result = mutation.world().explore();
                    assertThat(mutation.shown(result)).as("%s", result.violation()).isTrue();
                  }
                }));
  }
}
