package io.forebay.app.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.hosts.SmallDisk;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A disk under {@code meta} that somebody else has filled: what was acknowledged is there when it
 * has room again, and its voter says what is wrong. Objects are so small that they lie in the log.
 */
@Tag("e2e")
final class FullVoterTest {
  private static final String BUCKET = "full";
  private static final int META_MEBIBYTES = 64;
  private static final int OBJECT_BYTES = 2_000;
  // Files that are there already take some megabytes more.
  private static final int MOST_OBJECTS = 20_000;

  @TempDir private Path temp;
  private final List<SmallDisk> disks = new ArrayList<>();

  @AfterEach
  void unmount() {
    disks.forEach(SmallDisk::close);
  }

  private SmallDisk mount(Path directory) throws IOException {
    Optional<SmallDisk> disk = SmallDisk.mount(directory, META_MEBIBYTES);
    Assumptions.assumeTrue(disk.isPresent(), "a small file system needs root");
    disks.add(disk.orElseThrow());
    return disk.orElseThrow();
  }

  @Test
  void aLeaderEndsByNameTheOthersGoOnAndItComesBackWhenThereIsRoom() throws Exception {
    for (int node = 0; node < TestCluster.NODES; node++) {
      SmallDisk _ = mount(temp.resolve("n" + node).resolve("meta"));
    }
    try (var cluster = new TestCluster(temp)) {
      cluster.createBucket(BUCKET, new Family(2, 2, Durability.REPLICATED), 4 << 20);
      fill(cluster, leader(cluster));
      // And one's that does not lead.
      fill(cluster, (leader(cluster) + 1) % TestCluster.NODES);
    }
  }

  /** Who leads the cluster's log; the namespace's may have another leader. */
  private static int leader(TestCluster cluster) {
    return Integer.parseInt(cluster.report(0).path("leader").asString("").substring(1));
  }

  private void fill(TestCluster cluster, int full) throws Exception {
    int other = (full + 1) % TestCluster.NODES;
    var kept = new TreeMap<String, String>();
    disks.get(full).fill();
    while (cluster.server(full).runs()) {
      assertThat(kept).hasSizeLessThan(MOST_OBJECTS);
      put(cluster, other, full, kept);
    }
    assertThat(cluster.server(full).log())
        .contains("the control plane's log cannot be written", "No space left");
    cluster.server(full).awaitEnd();

    int before = kept.size();
    ServerProcess.await(
        "the others take writes",
        30,
        () -> {
          put(cluster, other, full, kept);
          return kept.size() > before + 10;
        });
    disks.get(full).drain();
    cluster.restart(full);
    cluster.awaitWhole("n" + full + " is back");
    cluster.expectExactly(full, BUCKET, kept);
  }

  /** One more object; kept where it was acknowledged. */
  private static void put(TestCluster cluster, int node, int full, SortedMap<String, String> kept) {
    String key = full + "/" + kept.size();
    try {
      kept.put(key, cluster.put(node, BUCKET, key, kept.size(), OBJECT_BYTES));
    } catch (ForebayException unanswered) {
      // It is sent again, the same.
    }
  }

  @Test
  void theOnlyVoterEndsByNameAndHasAllThatWasAcknowledged() throws Exception {
    Path home = temp.resolve("a");
    SmallDisk disk = mount(home.resolve("meta"));
    try (OneNode node =
        new OneNode(home, List.of(), "data: \"" + home.resolve("disk") + "\"", "capacity: 1GiB")
            .start()) {
      assertThat(node.put("/full", new byte[0]).statusCode()).isEqualTo(200);
      disk.fill();
      int kept = 0;
      while (true) {
        assertThat(kept).isLessThan(MOST_OBJECTS);
        try {
          if (node.put("/full/" + kept, content(kept)).statusCode() != 200) {
            break;
          }
          kept++;
        } catch (IOException ended) {
          break;
        }
      }
      node.server().awaitEnd();
      assertThat(node.server().log())
          .contains("the control plane's log cannot be written", "No space left");
      disk.drain();
      node.start();
      for (int i = 0; i < kept; i++) {
        assertThat(node.get("/full/" + i).body()).isEqualTo(content(i));
      }
      assertThat(node.put("/full/again", content(0)).statusCode()).isEqualTo(200);
    }
  }

  private static byte[] content(int number) {
    return ("object " + number + " ").repeat(OBJECT_BYTES / 20).getBytes(UTF_8);
  }
}
