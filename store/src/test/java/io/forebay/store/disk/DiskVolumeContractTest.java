package io.forebay.store.disk;

import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeContract;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

final class DiskVolumeContractTest extends VolumeContract {
  @TempDir Path directory;

  @Override
  protected Volume volume(long capacityBytes) {
    return DiskVolume.open(env, directory, new DiskSettings(capacityBytes, 16 << 20, 3, true));
  }
}
