package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.Outcome;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Consensus;
import io.forebay.core.log.Leadership;
import io.forebay.core.log.LogService;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** Look by look, ten a second. */
final class SlowVoterTest {
  private static final NodeId SELF = new NodeId("a");

  private final Looks env = new Looks();
  private final Log log = new Log();
  private boolean slow;
  private final SlowVoter voter =
      new SlowVoter(env, List.of(new LogService(env, log, new ClusterLog(env))), () -> slow);

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
  void aNodeThatIsOutForBeingSlowLeadsNothing() {
    slow = true;
    looks(1, () -> {});
    assertThat(log.handedOver).isEqualTo(1);
    // Where nobody took over it tries again, but not at once.
    looks(49, () -> {});
    assertThat(log.handedOver).isEqualTo(1);
    looks(1, () -> {});
    assertThat(log.handedOver).isEqualTo(2);
    log.leads = false;
    looks(200, () -> {});
    assertThat(log.handedOver).isEqualTo(2);
  }

  private static final class Log implements Consensus {
    private final SortedMap map = new MemorySortedMap();
    private OptionalLong awaited = OptionalLong.empty();
    private boolean leads = true;
    private int handedOver;

    @Override
    public Leadership leadership() {
      return new Leadership(1, Optional.of(leads ? SELF : new NodeId("b")), leads);
    }

    @Override
    public OptionalLong awaitsOwnDisk() {
      return awaited;
    }

    @Override
    public void handOver(long timeoutNanos) {
      handedOver++;
    }

    @Override
    public SortedMap map() {
      return map;
    }

    @Override
    public Outcome<byte[]> propose(byte[] entry) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void confirmRead(long timeoutNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
  }
}
