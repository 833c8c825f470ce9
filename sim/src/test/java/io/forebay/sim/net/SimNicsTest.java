package io.forebay.sim.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.id.NodeId;
import io.forebay.sim.world.SimWorld;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class SimNicsTest {
  private static final NodeId A = new NodeId("a");
  private static final NodeId B = new NodeId("b");
  private static final NodeId C = new NodeId("c");
  private static final int FRAME = 1_000; // takes 1,000 ns
  private static final long END = 1_000_000;

  private final SimWorld world = new SimWorld(1);
  private final long start = world.nanoTime();
  private final SimNics nics = new SimNics(world);
  private final Map<String, Long> had = new TreeMap<>();

  SimNicsTest() {
    nics.speed(1_000_000_000L);
  }

  /** Has a frame carried, without latency; {@link #had} says when it is there whole. */
  private long carry(String name, NodeId from, NodeId to) {
    long left =
        nics.send(
            from,
            to,
            FRAME,
            arrives ->
                world.at(
                    arrives,
                    () -> nics.take(to, FRAME, () -> had.put(name, world.nanoTime() - start))));
    return left - start;
  }

  @Test
  void aFrameIsReceivedWhileItIsSent() {
    carry("first", A, B);
    world.run(END);
    assertThat(had).isEqualTo(Map.of("first", 1_000L));
  }

  @Test
  void framesOfOneSenderFollowEachOther() {
    assertThat(carry("first", A, B)).isEqualTo(1_000);
    assertThat(carry("second", A, C)).isEqualTo(2_000);
    assertThat(carry("third", A, C)).isEqualTo(3_000);
    world.run(END);
    assertThat(had).isEqualTo(Map.of("first", 1_000L, "second", 2_000L, "third", 3_000L));
  }

  @Test
  void framesForOneReceiverFollowEachOtherAndDoNotHoldUpTheirSenders() {
    carry("first", A, C);
    carry("second", B, C);
    assertThat(carry("its second", B, A)).isEqualTo(2_000);
    world.run(END);
    assertThat(had).isEqualTo(Map.of("first", 1_000L, "second", 2_000L, "its second", 2_000L));
  }

  @Test
  void sendingAndReceivingDoNotDisturbEachOther() {
    carry("there", A, B);
    carry("back", B, A);
    world.run(END);
    assertThat(had).isEqualTo(Map.of("there", 1_000L, "back", 1_000L));
  }

  @Test
  void aSlowSenderDoesNotOccupyItsReceiver() {
    nics.speed(A, 50_000_000L);
    assertThat(carry("slow", A, C)).isEqualTo(20_000);
    carry("quick", B, C);
    world.run(END);
    assertThat(had).isEqualTo(Map.of("slow", 20_000L, "quick", 1_000L));
  }

  @Test
  void aSlowReceiverTakesItsTime() {
    nics.speed(C, 50_000_000L);
    carry("slow", A, C);
    carry("quick", A, B);
    world.run(END);
    assertThat(had).isEqualTo(Map.of("slow", 20_000L, "quick", 2_000L));
  }

  @Test
  void whatStandsInLineIsAsFastAsTheNicIsThen() {
    nics.speed(A, 50_000_000L);
    nics.speed(C, 50_000_000L);
    carry("1", A, B);
    carry("2", A, B);
    carry("3", B, C);
    carry("4", B, C);
    world.at(5_000, nics::mend);
    world.run(END);
    assertThat(had).isEqualTo(Map.of("1", 20_000L, "2", 21_000L, "3", 20_000L, "4", 21_000L));
  }
}
