package io.forebay.app.server;

import io.forebay.app.config.ServerConfig;
import io.forebay.core.env.Env;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.core.volume.Volume;
import java.nio.file.Path;

/** PLACEHOLDER until the disk volume lands. */
final class VolumeOpener {
  private VolumeOpener() {}

  static Volume open(Env env, ServerConfig config, Path directory) {
    return new MemoryVolume(
        env,
        new MemoryVolume.Disk(
            new VolumeId(env.random().nextLong()),
            new Incarnation(env.random().nextLong(), 1),
            4L << 30));
  }
}
