package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Transfers;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.WriteOptions;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantReadWriteLock;
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
  private static final int KEYS = 4;
  private static final int MAX_BYTES = 3 << 20;
  private static final String BUCKET = "rolling";

  @TempDir private Path temp;
  private TestCluster cluster;
  private final List<ReentrantReadWriteLock> used = new ArrayList<>();
  private final AtomicBoolean over = new AtomicBoolean();
  private final AtomicInteger operations = new AtomicInteger();
  private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();

  @AfterEach
  void close() {
    over.set(true);
    cluster.close();
  }

  @Test
  void nodesOfTwoVersionsServeTogether() throws IOException, InterruptedException {
    cluster = new TestCluster(temp);
    try (Connection connection = cluster.connect(0)) {
      connection
          .files()
          .createBucket(
              new BucketSpec(
                  BUCKET,
                  new Family(2, 2, Durability.REPLICATED),
                  "",
                  FlushMode.CACHE_ONLY,
                  List.of(),
                  1 << 20,
                  0,
                  1_000));
    }
    cluster.awaitWhole("the bucket's groups were made");
    var clients = new ArrayList<Thread>();
    for (int i = 0; i < TestCluster.NODES; i++) {
      used.add(new ReentrantReadWriteLock(true));
    }
    for (int i = 0; i < CLIENTS; i++) {
      int number = i;
      clients.add(Thread.startVirtualThread(() -> work(number)));
    }
    for (int node = 0; node < TestCluster.NODES; node++) {
      replace(node, "1-2");
      assertThat(failures).isEmpty();
    }
    replace(0, "1-1");
    over.set(true);
    for (Thread client : clients) {
      client.join();
    }
    assertThat(failures).isEmpty();
    assertThat(operations).hasValueGreaterThan(100);
  }

  private void replace(int node, String versions) throws IOException, InterruptedException {
    used.get(node).writeLock().lock(); // as a balancer of load takes a node out
    try {
      cluster.server(node).end();
      cluster
          .server(node)
          .javaOptions(ServerProcess.USUAL_MEMORY + " -Dforebay.wireVersions=" + versions);
      cluster.restart(node);
    } finally {
      used.get(node).writeLock().unlock();
    }
    cluster.awaitWhole("n" + node + " speaks " + versions);
    int before = operations.get();
    ServerProcess.await(
        "clients go on", 30, () -> !failures.isEmpty() || operations.get() > before + 10);
  }

  /** Overwrites its own keys, through one node after the other, and reads them through others. */
  private void work(int client) {
    var random = new Random(client);
    var contents = new ArrayList<byte[]>();
    try {
      for (int turn = 0; !over.get(); turn++) {
        String key = client + "/" + turn % KEYS;
        byte[] content = new byte[1 + random.nextInt(MAX_BYTES)];
        random.nextBytes(content);
        write(random.nextInt(TestCluster.NODES), key, content);
        if (contents.size() < KEYS) {
          contents.add(content);
        } else {
          contents.set(turn % KEYS, content);
        }
        int other = random.nextInt(contents.size());
        byte[] read = read(random.nextInt(TestCluster.NODES), client + "/" + other);
        assertThat(read).isEqualTo(contents.get(other));
        operations.addAndGet(2);
      }
    } catch (Throwable failure) {
      failures.add(failure);
    }
  }

  private void write(int first, String key, byte[] content) {
    int node = take(first);
    try (Connection connection = cluster.connect(node)) {
      Transfers.put(
          connection.files(),
          connection.pool(),
          BUCKET,
          key,
          new ByteArrayInputStream(content),
          WriteOptions.DEFAULT,
          bytes -> {});
    } finally {
      used.get(node).readLock().unlock();
    }
  }

  private byte[] read(int first, String key) {
    int node = take(first);
    var read = new ByteArrayOutputStream();
    try (Connection connection = cluster.connect(node)) {
      Transfers.get(connection.files(), BUCKET, key, read, bytes -> {});
      return read.toByteArray();
    } finally {
      used.get(node).readLock().unlock();
    }
  }

  /** A node that is not about to be ended: the first, or the next that serves. */
  private int take(int first) {
    for (int node = first; true; node = (node + 1) % TestCluster.NODES) {
      if (used.get(node).readLock().tryLock()) {
        return node;
      }
    }
  }
}
