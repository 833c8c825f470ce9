package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.app.command.Transfers;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Three processes that answer keys from memory under directory leases: whatever happens to leaders,
 * no node says what was true before somebody was told better.
 */
@Tag("e2e")
final class LeasesTest {
  private static final String LEASED = "leased";
  private static final String PLAIN = "plain";
  private static final String KEY = "d/counter";

  @TempDir private Path temp;
  private TestCluster cluster;
  private final List<Connection> connections = new ArrayList<>();

  @BeforeEach
  void start() throws IOException, InterruptedException {
    cluster = new TestCluster(temp, "leases: {length: 500ms, quiet: 0s, except: [plain]}\n");
    for (int i = 0; i < TestCluster.NODES; i++) {
      connections.add(cluster.connect(i));
    }
    for (String bucket : List.of(LEASED, PLAIN)) {
      cluster.createBucket(bucket, new Family(3, 2, Durability.REPLICATED), 1 << 20);
    }
  }

  @AfterEach
  void close() {
    connections.forEach(Connection::close);
    cluster.close();
  }

  /** The content of a version is as long as its number. */
  private ObjectInfo write(int node, String bucket, String key, int version) {
    Connection connection = connections.get(node);
    return Transfers.put(
        connection.files(),
        connection.pool(),
        bucket,
        key,
        new ByteArrayInputStream(new byte[version]),
        WriteOptions.DEFAULT,
        bytes -> {});
  }

  private static long read(Connection connection, String bucket, String key) {
    return connection.files().stat(bucket, key).map(ObjectInfo::lengthBytes).orElse(0L);
  }

  private long counter(int node, String name) {
    JsonNode report = Json.parse(connections.get(node).files().report());
    return report.path("counters").path(name).asLong(-1);
  }

  private long sum(String name) {
    long sum = 0;
    for (int i = 0; i < TestCluster.NODES; i++) {
      sum += counter(i, name);
    }
    return sum;
  }

  private int leader() {
    String name =
        Json.parse(connections.getFirst().files().report()).path("namespaceLeader").asString("");
    return Integer.parseInt(name.substring(1));
  }

  @Test
  void everyNodeSeesWhatWasAcknowledgedAtAnotherAtOnce() {
    for (int version = 1; version <= 60; version++) {
      write(version % TestCluster.NODES, LEASED, KEY, version);
      for (int turn = 0; turn < 5; turn++) {
        for (int node = 0; node < TestCluster.NODES; node++) {
          assertThat(read(connections.get(node), LEASED, KEY))
              .as("n%d after version %d", node, version)
              .isEqualTo(version);
          assertThat(read(connections.get(node), LEASED, "d/never")).isZero();
        }
      }
    }
    for (int node = 0; node < TestCluster.NODES; node++) {
      assertThat(counter(node, "leaseHits")).as("hits of n%d", node).isGreaterThan(60);
    }
    assertThat(sum("leaseRevocations")).isGreaterThan(20);
    connections.get(1).files().delete(LEASED, KEY, WriteConditions.NONE);
    for (Connection connection : connections) {
      assertThat(connection.files().stat(LEASED, KEY)).isEmpty();
    }
  }

  @Test
  void aBucketMayBeExcepted() {
    write(0, PLAIN, KEY, 7);
    long before = sum("leaseHits");
    for (int turn = 0; turn < 20; turn++) {
      connections.forEach(connection -> assertThat(read(connection, PLAIN, KEY)).isEqualTo(7));
    }
    assertThat(sum("leaseHits")).isEqualTo(before);
  }

  @Test
  void noReaderGoesBackWhileLeadersAreStoppedAndKilled() throws Exception {
    var readers = new Readers();
    try {
      int version = writes(1, 40, -1);
      int stopped = leader();
      cluster.server(stopped).stop();
      version = writes(version, 20, stopped);
      cluster.server(stopped).resume();
      version = writes(version, 40, stopped);
      int killed = leader();
      cluster.server(killed).kill();
      version = writes(version, 40, killed);
      cluster.restart(killed);
      writes(version, 40, killed);
      assertThat(sum("leaseHits")).isGreaterThan(100);
    } finally {
      readers.end();
    }
    assertThat(readers.wrong).isEmpty();
    assertThat(readers.done.get()).isGreaterThan(1_000);
  }

  private final AtomicLong known = new AtomicLong();

  /** Writes versions through nodes other than one; returns the next version. */
  private int writes(int first, int count, int without) {
    for (int version = first; version < first + count; version++) {
      int node = version % TestCluster.NODES;
      if (node == without) {
        node = (node + 1) % TestCluster.NODES;
      }
      int at = node;
      int number = version;
      ServerProcess.await(
          "version " + number + " is acknowledged at n" + at,
          60,
          () -> {
            try {
              write(at, LEASED, KEY, number);
              return true;
            } catch (ForebayException failure) {
              return false; // the same content again
            }
          });
      known.accumulateAndGet(version, Math::max);
    }
    return first + count;
  }

  /** Two at each node, which know what was acknowledged or seen by anyone before they ask. */
  private final class Readers {
    final ConcurrentLinkedQueue<String> wrong = new ConcurrentLinkedQueue<>();
    final AtomicLong done = new AtomicLong();
    private final AtomicBoolean over = new AtomicBoolean();
    private final List<Thread> threads = new ArrayList<>();

    Readers() {
      for (int i = 0; i < 2 * TestCluster.NODES; i++) {
        int node = i % TestCluster.NODES;
        threads.add(Thread.ofPlatform().daemon().name("reader-" + i).start(() -> read(node)));
      }
    }

    private void read(int node) {
      while (!over.get()) {
        try (Connection connection = cluster.connect(node)) {
          while (!over.get()) {
            long before = known.get();
            long seen = LeasesTest.read(connection, LEASED, KEY);
            if (seen < before) {
              wrong.add("n" + node + " said " + seen + ", and " + before + " was known");
            }
            known.accumulateAndGet(seen, Math::max);
            done.incrementAndGet();
          }
        } catch (ForebayException unreachable) {
          Thread.onSpinWait(); // it is stopped or dead
        }
      }
    }

    void end() throws InterruptedException {
      over.set(true);
      for (Thread thread : threads) {
        thread.join();
      }
    }
  }
}
