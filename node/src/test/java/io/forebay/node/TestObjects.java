package io.forebay.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
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

/** Objects of content that is known by a seed, in one bucket of chunks of 1 MiB. */
final class TestObjects {
  static final int CHUNK_BYTES = 1 << 20;
  private static final int SLICE = 1 << 18;
  private static final String BUCKET = "training";

  private final NodeCluster cluster;

  TestObjects(NodeCluster cluster, int replicas, int minInSync) {
    this.cluster = cluster;
    cluster
        .node(0)
        .files()
        .createBucket(
            new BucketSpec(
                BUCKET,
                new Family(replicas, minInSync, Durability.REPLICATED),
                "",
                FlushMode.CACHE_ONLY,
                List.of(),
                CHUNK_BYTES,
                0,
                1_000));
  }

  private static int seed(String key) {
    return key.hashCode();
  }

  void write(int node, String key, int chunks) {
    try (var body = cluster.node(node).files().create(BUCKET, key, WriteOptions.DEFAULT)) {
      for (long at = 0; at < (long) chunks * CHUNK_BYTES; at += SLICE) {
        Bytes bytes = new Synthetic(seed(key), at, SLICE);
        body.write(bytes);
        bytes.release();
      }
      assertThat(body.publish(Optional.empty()).lengthBytes())
          .isEqualTo((long) chunks * CHUNK_BYTES);
    }
  }

  void verify(int node, String key) {
    try (ObjectReader reader = cluster.node(node).files().open(BUCKET, key, ReadConditions.NONE)) {
      long length = reader.info().lengthBytes();
      for (long at = 0; at < length; ) {
        Bytes bytes = reader.read(at, SLICE);
        int crc = bytes.crc32c();
        int count = bytes.length();
        bytes.release();
        assertThat(crc).isEqualTo(new Synthetic(seed(key), at, count).crc32c());
        at += count;
      }
    }
  }
}
