package io.forebay.app.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.forebay.core.error.ForebayException;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class MemoryPlanTest {
  // What bodies over the wire and the transport's windows need: TcpSettings, RemoteFileService.
  private static final int WINDOW = 8;

  @ParameterizedTest
  @ValueSource(ints = {224, 225, 256, 300, 400})
  void thePoolsAreTheWholeAndNobodyCanBeKeptFromTheNextSlab(int mebibytes) {
    MemoryPlan plan = MemoryPlan.of((long) mebibytes << 20, OptionalLong.empty(), 1);
    assertThat(plan.doorSlabs() + plan.callSlabs() + plan.uploadSlabs() + plan.nodeSlabs())
        .isEqualTo(mebibytes);
    int write = (int) (plan.writeBytes() >> 20);
    assertThat(write).as("one chunk of the largest size").isGreaterThanOrEqualTo(64);
    assertThat(plan.doorSlabs()).isGreaterThan(write);
    assertThat(plan.callSlabs())
        .isGreaterThanOrEqualTo(write + plan.wireWriters() * WINDOW + plan.readSlices());
    assertThat(plan.uploadSlabs()).isGreaterThanOrEqualTo(3 * WINDOW);
    assertThat(plan.nodeSlabs()).isGreaterThan(plan.readSlices());
    assertThat(plan.readSlices()).isPositive();
    assertThat(plan.wireWriters()).isPositive();
  }

  @Test
  void tooLittleAndMoreThanTheJvmMayHaveAreRefusedWithWhatWouldDo() {
    assertThatThrownBy(() -> MemoryPlan.of(64L << 20, OptionalLong.empty(), 1))
        .isInstanceOf(ForebayException.class)
        .hasMessageContaining("64MiB is too little")
        .hasMessageContaining("224MiB");
    assertThatThrownBy(() -> MemoryPlan.of(1L << 50, OptionalLong.empty(), 1))
        .isInstanceOf(ForebayException.class)
        .hasMessageContaining("does not fit")
        .hasMessageContaining("-XX:MaxDirectMemorySize=");
    assertThatThrownBy(() -> MemoryPlan.of(224L << 20, OptionalLong.of(1L << 50), 1))
        .isInstanceOf(ForebayException.class)
        .hasMessageContaining("memoryTier: 1073741824MiB does not fit beside memory: 224MiB")
        .hasMessageContaining("-XX:MaxDirectMemorySize=");
  }

  @Test
  void theBuffersOfEachDiskStandBesideTheSlabs() {
    long mebibytes = 1L << 30;
    for (int disks : new int[] {1, 8}) {
      assertThatThrownBy(() -> MemoryPlan.of(mebibytes << 20, OptionalLong.empty(), disks))
          .isInstanceOf(ForebayException.class)
          .hasMessageContaining("-XX:MaxDirectMemorySize=" + (mebibytes + 16 + 8L * disks) + "m)");
    }
    long left = left(1);
    assertThat(left(8)).isEqualTo(left - 56);
  }

  /** What a node of so many disks may have for its memory tier, in MiB, as its refusal says. */
  private static long left(int disks) {
    var refused =
        assertThrows(
            ForebayException.class,
            () -> MemoryPlan.of(224L << 20, OptionalLong.of(1L << 50), disks));
    String message = String.valueOf(refused.getMessage());
    return Long.parseLong(
        message.substring(message.lastIndexOf(' ') + 1, message.lastIndexOf("MiB")));
  }

  @Test
  void theMemoryTierIsWhatIsGivenOrHalfOfWhatIsLeft() {
    assertThat(MemoryPlan.of(224L << 20, OptionalLong.of(0), 1).tierBytes()).isZero();
    assertThat(MemoryPlan.of(224L << 20, OptionalLong.of(16L << 20), 1).tierBytes())
        .isEqualTo(16L << 20);
    assertThat(MemoryPlan.of(224L << 20, OptionalLong.empty(), 1).tierBytes())
        .isBetween(1L << 20, 1L << 30);
  }
}
