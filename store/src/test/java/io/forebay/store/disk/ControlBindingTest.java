package io.forebay.store.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A volume remembers the control plane that knows what it holds. */
class ControlBindingTest {
  private static final DiskSettings SETTINGS = new DiskSettings(64 << 20, 16 << 20, 3, true);

  @TempDir private Path directory;
  private final TestEnv env = new TestEnv();

  @AfterEach
  void close() {
    env.close();
  }

  @Test
  void aVolumeBelongsToOneControlPlane() {
    try (DiskVolume volume = open()) {
      assertThat(volume.control()).isEmpty();
      volume.bindControl("one");
      volume.bindControl("one");
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.control()).contains("one");
      assertThatThrownBy(() -> volume.bindControl("two"))
          .isInstanceOfSatisfying(
              ForebayException.class,
              refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION))
          .hasMessageContaining(directory.toString())
          .hasMessageContaining("one")
          .hasMessageContaining("two");
      assertThat(volume.control()).contains("one");
    }
  }

  @Test
  void ofAVolumeFromBeforeItIsNotKnown() throws IOException {
    open().close();
    Path meta = directory.resolve(VolumeMeta.FILE);
    Files.writeString(meta, Files.readString(meta).replace("control=\n", ""));
    try (DiskVolume volume = open()) {
      assertThat(volume.control()).isEmpty();
      volume.bindControl("one");
      assertThat(volume.control()).contains("one");
    }
  }

  private DiskVolume open() {
    return DiskVolume.open(env, directory, SETTINGS);
  }
}
