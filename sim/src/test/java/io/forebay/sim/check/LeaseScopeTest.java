package io.forebay.sim.check;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.lease.LeaseSettings;
import org.junit.jupiter.api.Test;

class LeaseScopeTest {
  @Test
  void aLeaseIsWaitedOutInThreeTicks() {
    assertThat(LeaseSettings.waitedOutNanos(LeaseScope.LENGTH_NANOS))
        .isEqualTo(LeaseScope.WAITED_NANOS);
  }
}
