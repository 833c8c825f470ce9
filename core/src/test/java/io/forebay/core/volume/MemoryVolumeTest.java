package io.forebay.core.volume;

import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;

final class MemoryVolumeTest extends VolumeContract {
  @Override
  protected Volume volume(long capacityBytes) {
    var disk = new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), capacityBytes);
    return new MemoryVolume(env, disk);
  }
}
