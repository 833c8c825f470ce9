package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.Balance;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * A node joins three whose disks are well over half full of what may not be evicted (decision
 * 0025): groups move to it until the disks are as near to each other as the rule has it, under
 * clients that notice nothing; and what has moved counts, for then an old node dies.
 */
@Tag("e2e")
final class JoiningNodeTest {
  private static final String BUCKET = "kept";
  private static final int CLIENTS = 2;
  private static final int MAX_BYTES = 64 << 10;
  private static final int DISK_MIB = 128;
  private static final double LEAST_FILL = 0.6;
  // Some large groups, for some ten seconds pass between two moves; and small ones, two of which
  // are less than the margin, so that the disks can come as near to each other.
  private static final int LARGE = TestCluster.NODES;
  private static final int LARGE_BYTES = 24 << 20;
  private static final int SMALL_BYTES = 12 << 20;

  @TempDir private Path temp;
  private TestCluster cluster;

  @AfterEach
  void close() {
    cluster.close();
  }

  @Test
  void aNodeThatJoinsTakesItsPartOfWhatFullDisksHoldAndOneOfTheOldOnesMayDie() throws Exception {
    cluster =
        new TestCluster(
            temp,
            "capacity: %1$dMiB\nsegment: %1$dMiB\n".formatted(DISK_MIB),
            "",
            ServerProcess.USUAL_MEMORY);
    cluster.createBucket(BUCKET, new Family(2, 2, Durability.REPLICATED), 32 << 20);
    SortedMap<String, String> kept = fill();
    for (int node = 0; node < TestCluster.NODES; node++) {
      cluster.await("n" + node + " is full", node, 60, report -> fill(report) >= LEAST_FILL);
    }

    var traffic = new Traffic(cluster, BUCKET, CLIENTS, MAX_BYTES, kept);
    int joined;
    SortedMap<String, String> all;
    try {
      joined = cluster.join();
      traffic.useOneMore();
      cluster.await(
          "groups move to n" + joined,
          joined,
          240,
          report -> {
            traffic.requireWell();
            return balanced(joined);
          });
      all = traffic.end();
    } finally {
      traffic.stop();
    }
    for (int node = 0; node <= joined; node++) {
      cluster.expectExactly(node, BUCKET, all);
    }

    int killed = Integer.parseInt(cluster.report(joined).path("leader").asString("").substring(1));
    assertThat(killed).isLessThan(joined);
    cluster.server(killed).kill();
    for (int node = 0; node <= joined; node++) {
      if (node != killed) {
        cluster.expectExactly(node, BUCKET, all);
      }
    }
  }

  /** Writes until each disk is well over half full; what, with the SHA-256 of each content. */
  private SortedMap<String, String> fill() {
    var kept = new TreeMap<String, String>();
    while (true) {
      int emptiest =
          IntStream.range(0, TestCluster.NODES)
              .boxed()
              .min(Comparator.comparingLong(this::usedBytes))
              .orElseThrow();
      if (usedBytes(emptiest) >= LEAST_FILL * (DISK_MIB << 20)) {
        return kept;
      }
      String key = "object-" + kept.size();
      int lengthBytes = kept.size() < LARGE ? LARGE_BYTES : SMALL_BYTES;
      kept.put(key, cluster.put(emptiest, BUCKET, key, kept.size(), lengthBytes));
    }
  }

  private long usedBytes(int node) {
    return cluster.report(node).path("volumes").path(0).path("usedBytes").asLong();
  }

  /** How full a node's disk is of what may not be evicted, as of its last look. */
  private static double fill(JsonNode report) {
    JsonNode volume = report.path("volumes").path(0);
    return (volume.path("owedBytes").asDouble() + volume.path("openBytes").asDouble())
        / volume.path("capacityBytes").asDouble();
  }

  /** Whether the rule has nothing more to move. */
  private boolean balanced(int last) {
    double[] fills =
        IntStream.rangeClosed(0, last)
            .mapToDouble(node -> fill(cluster.report(node)))
            .sorted()
            .toArray();
    return fills[last] < Balance.LEAST_FILL || fills[last] - fills[0] <= Balance.MARGIN;
  }
}
