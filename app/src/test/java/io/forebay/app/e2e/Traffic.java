package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.IntFunction;

/**
 * Clients that overwrite keys of their own, through one node after the other, and read them, and
 * what nobody overwrites, through others. What they read has to be what was acknowledged last, and
 * nothing may be refused.
 */
final class Traffic {
  private static final int KEYS = 4;

  private final TestCluster cluster;
  private final String bucket;
  private final int maxBytes;
  private final SortedMap<String, String> kept;
  private final List<ReadWriteLock> used = new CopyOnWriteArrayList<>();
  private final SortedMap<String, String> written = new ConcurrentSkipListMap<>();
  private final List<Thread> clients = new ArrayList<>();
  private final AtomicBoolean over = new AtomicBoolean();
  private final AtomicInteger operations = new AtomicInteger();
  private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();

  /**
   * Starts the clients, which use the voters.
   *
   * @param maxBytes of an object
   * @param kept keys that nobody overwrites, with the SHA-256 of their content
   */
  Traffic(
      TestCluster cluster,
      String bucket,
      int clients,
      int maxBytes,
      SortedMap<String, String> kept) {
    this.cluster = cluster;
    this.bucket = bucket;
    this.maxBytes = maxBytes;
    this.kept = new TreeMap<>(kept);
    for (int node = 0; node < TestCluster.NODES; node++) {
      useOneMore();
    }
    for (int i = 0; i < clients; i++) {
      int number = i;
      this.clients.add(Thread.startVirtualThread(() -> work(number)));
    }
  }

  /** The clients use the next node, too. */
  void useOneMore() {
    used.add(new ReentrantReadWriteLock(true));
  }

  /** Held by whoever takes a node out, as a balancer of load does: no client uses it then. */
  Lock out(int node) {
    return used.get(node).writeLock();
  }

  /** Fails where a client did. */
  void requireWell() {
    assertThat(failures).isEmpty();
  }

  /** Waits until the clients have done something more. */
  void awaitProgress() {
    int before = operations.get();
    ServerProcess.await(
        "clients go on", 30, () -> !failures.isEmpty() || operations.get() > before + 10);
    requireWell();
  }

  /** Has the clients stop, whatever became of them. */
  void stop() throws InterruptedException {
    over.set(true);
    for (Thread client : clients) {
      client.join();
    }
  }

  /** Ends it well: all that is in the bucket, with the SHA-256 of each content. */
  SortedMap<String, String> end() throws InterruptedException {
    stop();
    requireWell();
    assertThat(operations).hasValueGreaterThan(100);
    var all = new TreeMap<>(kept);
    all.putAll(written);
    return all;
  }

  private void work(int client) {
    var random = new Random(client);
    var others = new ArrayList<>(kept.keySet());
    try {
      for (int turn = 0; !over.get(); turn++) {
        String key = client + "/" + turn % KEYS;
        long seed = random.nextLong();
        int lengthBytes = 1 + random.nextInt(maxBytes);
        written.put(
            key, through(random, node -> cluster.put(node, bucket, key, seed, lengthBytes)));
        read(random, client + "/" + random.nextInt(Math.min(turn + 1, KEYS)), written);
        if (!others.isEmpty()) {
          read(random, others.get(random.nextInt(others.size())), kept);
        }
        operations.addAndGet(2);
      }
    } catch (Throwable failure) {
      failures.add(failure);
    }
  }

  private void read(Random random, String key, Map<String, String> expected) {
    String read = through(random, node -> cluster.get(node, bucket, key));
    assertThat(read).as(key).isEqualTo(expected.get(key));
  }

  /** Uses a node that is not about to be ended: one of chance, or the next that serves. */
  private String through(Random random, IntFunction<String> use) {
    for (int node = random.nextInt(used.size()); true; node = (node + 1) % used.size()) {
      Lock lock = used.get(node).readLock();
      if (lock.tryLock()) {
        try {
          return use.apply(node);
        } finally {
          lock.unlock();
        }
      }
    }
  }
}
