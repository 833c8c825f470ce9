package io.forebay.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Passes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteOptions;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What the data path does to each byte on each hop, over sockets and real files. */
class PassesTest {
  private static final int CHUNK = 16 << 20;
  private static final int SLICE = 1 << 20;

  @Test
  void aChunkIsChecksummedOnceOnEachHopAndCopiedOnNone() {
    try (var cluster = new NodeCluster(3)) {
      cluster
          .node(0)
          .files()
          .createBucket(
              new BucketSpec(
                  "bucket",
                  new Family(3, 3, Durability.REPLICATED),
                  "",
                  FlushMode.CACHE_ONLY,
                  List.of(),
                  CHUNK,
                  0,
                  1_000));
      SlabPool pool = cluster.bodies();
      write(cluster, pool, "warm");

      long checksummed = Passes.checksummedBytes();
      long copied = Passes.copiedBytes();
      write(cluster, pool, "measured");
      long chain = 3L * CHUNK;
      assertThat(Passes.checksummedBytes() - checksummed)
          .as("bytes read for checksums by three hops")
          .isBetween(chain, chain + chain / 50);
      // The first bytes of a frame come with its header, and are moved from there.
      assertThat(Passes.copiedBytes() - copied)
          .as("bytes copied by three hops")
          .isLessThan(chain / 50);

      checksummed = Passes.checksummedBytes();
      copied = Passes.copiedBytes();
      read(cluster, "measured");
      assertThat(Passes.checksummedBytes() - checksummed)
          .as("bytes read for checksums by a reader on an own disk")
          .isBetween((long) CHUNK, CHUNK + CHUNK / 50L);
      assertThat(Passes.copiedBytes() - copied).as("bytes copied by it").isZero();
    }
  }

  private static void write(NodeCluster cluster, SlabPool pool, String key) {
    try (var body = cluster.node(0).files().create("bucket", key, WriteOptions.DEFAULT)) {
      for (int at = 0; at < CHUNK; at += SLICE) {
        Slab slab = pool.take();
        new Synthetic(7, at, SLICE).copyTo(slab.buffer());
        Bytes bytes = slab.bytes(0, SLICE);
        slab.release();
        body.write(bytes);
        bytes.release();
      }
      body.publish(Optional.empty());
    }
  }

  private static void read(NodeCluster cluster, String key) {
    try (ObjectReader reader = cluster.node(0).files().open("bucket", key, ReadConditions.NONE)) {
      for (int at = 0; at < CHUNK; ) {
        Bytes bytes = reader.read(at, SLICE);
        at += bytes.length();
        bytes.release();
      }
    }
  }
}
