package io.forebay.sim.check;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

class SessionScopeTest {
  private static final List<Checked> ALL = SessionScope.all();

  @TestFactory
  Stream<DynamicTest> nothingIsBroken() {
    return WhatIsMissed.nothingIsBroken(ALL);
  }

  @TestFactory
  Stream<DynamicTest> aRuleThatIsLeftOutIsMissed() {
    return WhatIsMissed.aRuleThatIsLeftOutIsMissed(ALL);
  }
}
