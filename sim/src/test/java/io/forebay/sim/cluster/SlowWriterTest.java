package io.forebay.sim.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class SlowWriterTest {
  private static final long SECOND = 1_000_000_000L;
  private static final int HALF = 1 << 18;

  @Test
  void aClientMayTakeTwoMinutesForAChunk() {
    var world = new SimWorld(7);
    SimEnv client = world.env("client");
    var judge = new Judge(world, SimCluster.GROUPS_PER_VOLUME);
    var cluster = new SimCluster(world, 3, 1, judge, LeaseSettings.OFF);
    var version = new History.Version(1, 1, 2 * HALF);
    judge.history().intend(version, new Synthetic(1, 0, 2 * HALF).crc32c());
    var published = new AtomicBoolean();
    client.spawn(
        "scenario",
        () -> {
          while (judge.image().volumes().size() < cluster.size()) {
            client.sleep(SECOND);
          }
          SimEnv env = cluster.env(0);
          env.spawn(
              "writer",
              () -> {
                cluster.node(0).plane().cluster(new ClusterCommand.Initialize("c1"));
                write(env, cluster.node(0).files());
                published.set(true);
              });
        });
    world.run(300 * SECOND);
    assertThat(judge.violations()).isEmpty();
    assertThat(published).isTrue();
  }

  private static void write(SimEnv env, FileService files) {
    files.createBucket(BucketSpec.of("wide", new Family(3, 2, Durability.REPLICATED), ""));
    var options =
        new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.empty(), true);
    try (BodyWriter<ObjectInfo> body = files.create("wide", "k", options)) {
      body.write(new Synthetic(1, 0, HALF));
      env.sleep(120 * SECOND);
      body.write(new Synthetic(1, HALF, HALF));
      body.publish(Optional.empty());
    }
  }
}
