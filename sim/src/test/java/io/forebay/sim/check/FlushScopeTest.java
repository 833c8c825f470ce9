package io.forebay.sim.check;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

class FlushScopeTest {
  private static final List<Checked> ALL = FlushScope.all();

  @TestFactory
  Stream<DynamicTest> nothingIsBroken() {
    return WhatIsMissed.nothingIsBroken(ALL);
  }

  @TestFactory
  Stream<DynamicTest> aRuleThatIsLeftOutIsMissed() {
    return WhatIsMissed.aRuleThatIsLeftOutIsMissed(ALL);
  }
}
