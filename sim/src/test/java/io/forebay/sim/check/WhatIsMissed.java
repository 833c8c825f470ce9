package io.forebay.sim.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/** What each scope has to show. */
final class WhatIsMissed {
  private static final int MOST = 5_000_000;

  private WhatIsMissed() {}

  /** All states of the small scopes are sound, and from each everything is mended. */
  static Stream<DynamicTest> nothingIsBroken(List<Checked> all) {
    return all.stream()
        .map(checked ->
            dynamicTest(
                checked.name(),
                () -> {
                  Explorer.Result result = checked.explore(false, MOST);
                  assertThat(result.violation()).as("%s", result).isEmpty();
                  assertThat(result.whole()).as("all %s states seen", result.states()).isTrue();
                }));
  }

  /** Without one of its rules a small scope shows what the rule is for. */
  static Stream<DynamicTest> aRuleThatIsLeftOutIsMissed(List<Checked> all) {
    return all.stream()
        .flatMap(checked ->
            checked.rules().stream()
                .map(rule ->
                    dynamicTest(checked.name() + " without " + rule, () -> missed(checked, rule))));
  }

  private static void missed(Checked checked, Rule rule) {
    try (Broken without = Broken.rule(rule)) {
      assertThat(checked.explore(false, MOST).violation()).as("%s", without).isPresent();
    }
  }
}
