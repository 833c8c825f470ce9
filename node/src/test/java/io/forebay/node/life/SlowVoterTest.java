package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.log.LogService;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** Look by look, ten a second. */
final class SlowVoterTest {
  private final Looks env = new Looks();
  private final LedLog log = new LedLog();
  private final SlowVoter voter =
      new SlowVoter(env, List.of(new LogService(env, log, new ClusterLog(env))));

  private void looks(int count, Runnable before) {
    env.looks(count, voter::run, before);
  }

  @Test
  void aLogThatWaitsForItsLeadersDiskIsHandedOverAfterHalfASecond() {
    log.awaited = OptionalLong.of(7);
    looks(5, () -> {});
    assertThat(log.handedOver).isZero();
    looks(1, () -> {});
    assertThat(log.handedOver).isEqualTo(1);
  }

  @Test
  void oneWhoseEntriesAreWaitedForShortlyIsNot() {
    looks(30, () -> log.awaited = OptionalLong.of(log.awaited.orElse(0) + 1));
    log.awaited = OptionalLong.of(100);
    looks(5, () -> {});
    log.awaited = OptionalLong.empty();
    looks(1, () -> {});
    log.awaited = OptionalLong.of(100);
    looks(5, () -> {});
    assertThat(log.handedOver).isZero();
  }

  @Test
  void whereNobodyTakesOverItIsTriedAgainAndNotAtOnce() {
    log.awaited = OptionalLong.of(7);
    looks(6, () -> {});
    assertThat(log.handedOver).isEqualTo(1);
    looks(49, () -> {});
    assertThat(log.handedOver).isEqualTo(1);
    looks(1, () -> {});
    assertThat(log.handedOver).isEqualTo(2);
    log.leads = false;
    looks(200, () -> {});
    assertThat(log.handedOver).isEqualTo(2);
  }
}
