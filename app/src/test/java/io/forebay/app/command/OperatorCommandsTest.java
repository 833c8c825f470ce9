package io.forebay.app.command;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.VolumeId;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import org.junit.jupiter.api.Test;

final class OperatorCommandsTest {
  private final ByteArrayOutputStream written = new ByteArrayOutputStream();

  @Test
  void whatASalvageGaveUpIsSaid() {
    assertThat(told(new ClusterResult.Done(7, "group 17 goes on without volume 3"))).isZero();
    assertThat(written.toString(UTF_8).strip()).isEqualTo("group 17 goes on without volume 3");
  }

  @Test
  void aVolumeIsReadAsItIsSaid() {
    var id = new VolumeId(-17);
    assertThat(OperatorCommands.volume(id.toString())).isEqualTo(id);
    for (String wrong : List.of("17", "v", "vx", "")) {
      assertThatThrownBy(() -> OperatorCommands.volume(wrong))
          .isInstanceOf(ForebayException.class)
          .hasMessageContaining("'" + wrong + "' is no volume");
    }
  }

  @Test
  void whereNothingIsToBeSaidNothingIs() {
    assertThat(told(new ClusterResult.Done(7))).isZero();
    assertThat(written.size()).isZero();
  }

  private int told(ClusterResult result) {
    return OperatorCommands.told(result, new PrintStream(written, true, UTF_8));
  }
}
