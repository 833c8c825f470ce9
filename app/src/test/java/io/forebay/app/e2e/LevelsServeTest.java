package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.app.command.Connection;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.rule.Level;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Voters of a version that knows the first level of logs only are replaced in turn: commands of a
 * newer level are refused by name until the last of them is gone, and an older voter does not start
 * afterwards.
 */
@Tag("e2e")
final class LevelsServeTest {
  private static final String OLDER = ServerProcess.USUAL_MEMORY + " -Dforebay.level=1";
  private static final String BUCKET = "bounded";

  @TempDir private Path temp;
  private TestCluster cluster;

  @AfterEach
  void close() {
    cluster.close();
  }

  @Test
  void commandsOfANewerLevelWaitForTheLastVoterAndNoOlderOneStartsAfterwards() throws Exception {
    cluster = new TestCluster(temp, "", OLDER);
    cluster.createBucket(BUCKET, new Family(2, 2, Durability.REPLICATED), 1 << 20);
    replace(0);
    replace(1);
    try (Connection connection = cluster.connect(0)) {
      assertThatThrownBy(() -> connection.files().setQuota(BUCKET, 1 << 20))
          .hasMessageContaining("not all voters run a version");
    }
    replace(2);
    for (int node = 0; node < TestCluster.NODES; node++) {
      cluster.await(
          "the level has risen at n" + node,
          node,
          30,
          report -> report.path("counters").path("logLevel").asInt(0) == Level.NEWEST);
    }
    try (Connection connection = cluster.connect(0)) {
      connection.files().setQuota(BUCKET, 1 << 20);
    }
    cluster.server(2).end();
    cluster.server(2).javaOptions(OLDER);
    cluster.server(2).start();
    cluster.server(2).awaitEnd();
    assertThat(cluster.server(2).log())
        .contains("the log is at level " + Level.NEWEST, "knows levels up to 1");
  }

  private void replace(int node) throws IOException, InterruptedException {
    cluster.server(node).end();
    cluster.server(node).javaOptions(ServerProcess.USUAL_MEMORY);
    cluster.restart(node);
    cluster.awaitWhole("n" + node + " is of this version");
  }
}
