package io.forebay.app.e2e;

import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import java.io.IOException;
import java.nio.file.Path;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The nodes of a cluster are replaced in turn by ones that speak a newer wire version, and one by
 * an older one again, under clients that leave a node before it is ended: nothing is lost, and
 * nothing is refused.
 */
@Tag("e2e")
final class RollingRestartTest {
  private static final int CLIENTS = 3;
  private static final int MAX_BYTES = 3 << 20;
  private static final String BUCKET = "rolling";

  @TempDir private Path temp;
  private TestCluster cluster;
  private Traffic traffic;

  @AfterEach
  void close() throws InterruptedException {
    cluster.close();
    traffic.stop();
  }

  @Test
  void nodesOfTwoVersionsServeTogether() throws IOException, InterruptedException {
    cluster = new TestCluster(temp);
    cluster.createBucket(BUCKET, new Family(2, 2, Durability.REPLICATED), 1 << 20);
    traffic = new Traffic(cluster, BUCKET, CLIENTS, MAX_BYTES, new TreeMap<>());
    for (int node = 0; node < TestCluster.NODES; node++) {
      replace(node, "1-2");
    }
    replace(0, "1-1");
    traffic.end();
  }

  private void replace(int node, String versions) throws IOException, InterruptedException {
    traffic.out(node).lock();
    try {
      cluster.server(node).end();
      cluster
          .server(node)
          .javaOptions(ServerProcess.USUAL_MEMORY + " -Dforebay.wireVersions=" + versions);
      cluster.restart(node);
    } finally {
      traffic.out(node).unlock();
    }
    cluster.awaitWhole("n" + node + " speaks " + versions);
    traffic.awaitProgress();
  }
}
