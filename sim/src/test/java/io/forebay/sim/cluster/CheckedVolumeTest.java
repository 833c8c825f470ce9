package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class CheckedVolumeTest {
  private static final int SLICE = 1_000;

  @Test
  void writesAndReadsStandInOneLineForADiskThatHasASpeed() {
    var world = new SimWorld(1);
    SimEnv env = world.env("n");
    var judge = new Judge(world, 1);
    var id = new VolumeId(1);
    var disk = new MemoryVolume.Disk(id, new Incarnation(1, 1), 1 << 20);
    judge.addDisk(disk, id);
    var volume = new CheckedVolume(env, new MemoryVolume(env, disk), judge);
    var took = new ArrayList<Long>();
    env.spawn(
        "writer",
        () -> {
          volume.speed(1_000_000_000L); // 1 ns for a byte
          var chunk = new ChunkId(new SessionId(1), 1);
          var appender =
              volume.append(chunk, new GroupId(1), new Epoch(1), 2 * SLICE, Durability.REPLICATED);
          long began = env.nanoTime();
          var all = new Synthetic(1, 0, 2 * SLICE);
          var first = appender.write(0, all.slice(0, SLICE), all.slice(0, SLICE).crc32c());
          var second =
              appender.write(SLICE, all.slice(SLICE, SLICE), all.slice(SLICE, SLICE).crc32c());
          first.await();
          took.add(env.nanoTime() - began);
          second.await();
          took.add(env.nanoTime() - began);
          appender.commit(2 * SLICE, all.crc32c());
          volume.speed(500_000_000L);
          began = env.nanoTime();
          volume.read(chunk, 0, 2 * SLICE, new SlabPool(env, 4_096, 2)).release();
          took.add(env.nanoTime() - began);
        });
    world.run(10_000_000_000L);
    assertThat(took).isEqualTo(List.of(1_000L, 2_000L, 4_000L));
  }
}
