package io.forebay.sim.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.id.NodeId;
import org.junit.jupiter.api.Test;

class SimNicsTest {
  private static final NodeId A = new NodeId("a");
  private static final NodeId B = new NodeId("b");
  private static final NodeId C = new NodeId("c");
  private static final int FRAME = 1_000; // takes 1,000 ns

  private final SimNics nics = new SimNics();

  SimNicsTest() {
    nics.speed(1_000_000_000L);
  }

  /** When the frame is there whole, without latency. */
  private long carry(NodeId from, NodeId to, long nowNanos) {
    return nics.take(to, nics.send(from, to, nowNanos, FRAME).arrivesNanos(), FRAME);
  }

  @Test
  void aFrameIsReceivedWhileItIsSent() {
    assertThat(carry(A, B, 0)).isEqualTo(1_000);
  }

  @Test
  void framesOfOneSenderFollowEachOther() {
    assertThat(carry(A, B, 0)).isEqualTo(1_000);
    assertThat(carry(A, C, 0)).isEqualTo(2_000);
  }

  @Test
  void framesForOneReceiverFollowEachOtherAndDoNotHoldUpTheirSenders() {
    assertThat(carry(A, C, 0)).isEqualTo(1_000);
    assertThat(carry(B, C, 0)).isEqualTo(2_000);
    assertThat(carry(B, A, 0)).as("its second").isEqualTo(2_000);
  }

  @Test
  void sendingAndReceivingDoNotDisturbEachOther() {
    assertThat(carry(A, B, 0)).isEqualTo(1_000);
    assertThat(carry(B, A, 0)).isEqualTo(1_000);
  }

  @Test
  void aSlowSenderDoesNotOccupyItsReceiver() {
    nics.speed(A, 50_000_000L);
    SimNics.Sent sent = nics.send(A, C, 0, FRAME);
    assertThat(sent.leftNanos()).isEqualTo(20_000);
    assertThat(carry(B, C, 0)).isEqualTo(1_000);
    assertThat(nics.take(C, sent.arrivesNanos(), FRAME)).isEqualTo(20_000);
  }

  @Test
  void aSlowReceiverTakesItsTime() {
    nics.speed(C, 50_000_000L);
    assertThat(carry(A, C, 0)).isEqualTo(20_000);
    assertThat(carry(A, B, 1_000)).isEqualTo(2_000);
    nics.mend();
    assertThat(carry(A, C, 20_000)).isEqualTo(21_000);
  }
}
