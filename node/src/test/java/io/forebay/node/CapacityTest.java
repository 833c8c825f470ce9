package io.forebay.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.resync.Scrubber;
import io.forebay.store.disk.DiskSettings;
import io.forebay.store.disk.DiskVolume;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Disks that are too small for what is written: what goes, who waits, and who is refused. */
class CapacityTest {
  private static final int MIB = 1 << 20;
  private static final int SLICE = 1 << 18;
  private static final long PATIENCE_SECONDS = 120;
  private static final long LONG_NANOS = 600_000_000_000L;

  private static CapacitySettings waiting(long nanos) {
    return new CapacitySettings(0.85, 0.75, nanos);
  }

  /** One node whose disk is in memory. */
  private static NodeCluster single(long capacityBytes, long waitNanos) {
    return new NodeCluster(
        1,
        (env, node, directory) ->
            new MemoryVolume(
                env, new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), capacityBytes)),
        Scrubber.Settings.OFF,
        waiting(waitNanos));
  }

  private static FileService files(NodeCluster cluster, int node) {
    return cluster.node(node).files();
  }

  private static void bucket(
      NodeCluster cluster, String name, int replicas, FlushMode mode, int chunkBytes, long delay) {
    files(cluster, 0)
        .createBucket(
            new BucketSpec(
                name,
                new Family(replicas, Math.min(replicas, 2), Durability.REPLICATED),
                mode == FlushMode.CACHE_ONLY ? "" : "memory:",
                mode,
                List.of(),
                chunkBytes,
                delay,
                1_000));
    int nodes = cluster.node(0).plane().image().nodes().size();
    cluster.await(
        "all nodes know the bucket",
        () ->
            IntStream.range(0, nodes)
                .allMatch(node -> files(cluster, node).bucket(name).isPresent()));
  }

  private static void append(BodyWriter<?> body, String key, long from, long to) {
    for (long at = from; at < to; at += SLICE) {
      body.write(new Synthetic(key.hashCode(), at, SLICE));
    }
  }

  private static void write(NodeCluster cluster, int node, String bucket, String key, int length) {
    var options =
        new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.of(length), true);
    try (BodyWriter<ObjectInfo> body = files(cluster, node).create(bucket, key, options)) {
      append(body, key, 0, length);
      assertThat(body.publish(Optional.empty()).lengthBytes()).isEqualTo(length);
    }
  }

  private static void verify(NodeCluster cluster, int node, String bucket, String key, int length) {
    try (ObjectReader reader = files(cluster, node).open(bucket, key, ReadConditions.NONE)) {
      assertThat(reader.info().lengthBytes()).isEqualTo(length);
      for (long at = 0; at < length; ) {
        Bytes bytes = reader.read(at, SLICE);
        int crc = bytes.crc32c();
        int count = bytes.length();
        bytes.release();
        assertThat(crc).as(key).isEqualTo(new Synthetic(key.hashCode(), at, count).crc32c());
        at += count;
      }
    }
  }

  private static void flush(NodeCluster cluster, String bucket) {
    assertThat(files(cluster, 0).flush(bucket, "", 60_000_000_000L).complete()).isTrue();
  }

  /** Threads that end with the test, whatever they wait for. */
  private static final class Background implements AutoCloseable {
    private final ExecutorService pool;

    Background() {
      this(Integer.MAX_VALUE);
    }

    Background(int threads) {
      this.pool = Executors.newFixedThreadPool(threads, Thread.ofVirtual().factory());
    }

    Future<?> submit(Runnable task) {
      return pool.submit(task);
    }

    @Override
    public void close() {
      pool.shutdownNow();
    }
  }

  /** Does something so many times, some at once. */
  private static void atOnce(int threads, int count, IntConsumer task) {
    try (var pool = new Background(threads)) {
      var futures = new ArrayList<Future<?>>();
      for (int i = 0; i < count; i++) {
        int number = i;
        futures.add(pool.submit(() -> task.accept(number)));
      }
      futures.forEach(CapacityTest::get);
    }
  }

  private static void get(Future<?> future) {
    try {
      Object _ = future.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException failure) {
      if (failure.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new AssertionError(failure);
    } catch (InterruptedException | TimeoutException failure) {
      throw new AssertionError(failure);
    }
  }

  private static List<ChunkId> chunks(Volume volume) {
    var all = new ArrayList<ChunkId>();
    for (GroupId group : volume.groups()) {
      all.addAll(
          volume.list(group, Optional.empty(), 10_000).stream().map(StoredChunk::id).toList());
    }
    return all;
  }

  private static void awaitAll(NodeCluster cluster, List<ChunkId> chunks, ChunkState state) {
    cluster.await(
        "all chunks are " + state,
        () ->
            cluster.node(0).plane().query(new NamespaceQuery.ChunkStates(chunks))
                    instanceof NamespaceAnswer.Chunks(var states)
                && states.stream().allMatch(state::equals));
  }

  @Test
  void twiceAsMuchAsTheDiskHoldsGoesThroughToTheStoreAndReadsBackRight() {
    try (var cluster = single(64L * MIB, LONG_NANOS)) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      atOnce(4, 32, i -> write(cluster, 0, "back", "key" + i, 4 * MIB));
      assertThat(cluster.node(0).status().evictedBytes()).isGreaterThanOrEqualTo(64L * MIB);
      for (int i = 0; i < 32; i++) {
        verify(cluster, 0, "back", "key" + i, 4 * MIB);
      }
      assertThat(cluster.node(0).status().waitingForRoom()).isZero();
      cluster.await(
          "all memory is given back",
          () -> cluster.node(0).status().writeMemoryFreeBytes() == 64L * MIB);
    }
  }

  @Test
  void twiceAsMuchAsTheDisksOfThreeNodesHoldGoesThroughFromAllOfThem() {
    try (var cluster =
        new NodeCluster(
            3,
            (env, node, directory) ->
                DiskVolume.open(env, directory, new DiskSettings(64L * MIB, 64 * MIB, 2, true)),
            Scrubber.Settings.OFF,
            waiting(LONG_NANOS))) {
      bucket(cluster, "back", 2, FlushMode.BACK, MIB, 0);
      atOnce(6, 48, i -> write(cluster, i % 3, "back", "key" + i, 4 * MIB));
      for (int i = 0; i < 48; i++) {
        verify(cluster, (i + 1) % 3, "back", "key" + i, 4 * MIB);
      }
    }
  }

  /** What is above a session's mark stays: a body that is not over must not keep others there. */
  @Test
  void aBodyThatStaysOpenKeepsNoMoreThanItsOwnSessionsChunks() {
    try (var cluster = single(160L * MIB, LONG_NANOS)) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      try (BodyWriter<ObjectInfo> slow =
          files(cluster, 0).create("back", "slow", WriteOptions.DEFAULT)) {
        append(slow, "slow", 0, 2L * MIB);
        atOnce(2, 80, i -> write(cluster, 0, "back", "key" + i, 4 * MIB));
        append(slow, "slow", 2L * MIB, 4L * MIB);
        assertThat(slow.publish(Optional.empty()).lengthBytes()).isEqualTo(4L * MIB);
      }
      verify(cluster, 0, "back", "slow", 4 * MIB);
      for (int i = 0; i < 80; i++) {
        verify(cluster, 0, "back", "key" + i, 4 * MIB);
      }
    }
  }

  @Test
  void withTheStoreAwayWritersAreRefusedByNameAndNothingThatWasTakenIsLost() {
    try (var cluster = single(64L * MIB, 3_000_000_000L)) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      cluster.store().fates((kind, key) -> Fate.DENIED);
      var taken = new ArrayList<String>();
      assertThatThrownBy(
              () -> {
                for (int i = 0; i < 32; i++) {
                  write(cluster, 0, "back", "key" + i, 4 * MIB);
                  taken.add("key" + i);
                }
              })
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NO_SPACE))
          .hasMessageContaining("n0: NO_SPACE: volume " + cluster.volume(0).id())
          .hasMessageContaining("bytes that are in no store")
          .hasMessageContaining("clean")
          .hasMessageContaining("forebay status");
      assertThat(taken).hasSizeBetween(12, 16);
      taken.forEach(key -> verify(cluster, 0, "back", key, 4 * MIB));

      cluster.store().fates((kind, key) -> Fate.ANSWERED);
      flush(cluster, "back");
      for (int i = 32; i < 64; i++) {
        write(cluster, 0, "back", "key" + i, 4 * MIB);
        taken.add("key" + i);
      }
      taken.forEach(key -> verify(cluster, 0, "back", key, 4 * MIB));
    }
  }

  @Test
  void aWriterThatWaitsGoesOnWhenTheStoreIsBack() {
    try (var cluster = single(64L * MIB, LONG_NANOS);
        var pool = new Background()) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      bucket(cluster, "only", 1, FlushMode.CACHE_ONLY, MIB, 0);
      cluster.store().fates((kind, key) -> Fate.DENIED);
      Future<?> writer =
          pool.submit(() -> {
            for (int i = 0; i < 20; i++) {
              write(cluster, 0, "back", "key" + i, 4 * MIB);
            }
          });
      cluster.await("it waits", () -> cluster.node(0).status().waitingForRoom() > 0);
      // It does for longer than one whom no flush can help.
      assertThatThrownBy(() -> write(cluster, 0, "only", "key", 8 * MIB))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NO_SPACE));
      cluster.store().fates((kind, key) -> Fate.ANSWERED);
      get(writer);
      for (int i = 0; i < 20; i++) {
        verify(cluster, 0, "back", "key" + i, 4 * MIB);
      }
    }
  }

  @Test
  void aBucketWithoutAStoreIsRefusedAtOnce() {
    try (var cluster = single(64L * MIB, LONG_NANOS);
        var pool = new Background()) {
      bucket(cluster, "only", 1, FlushMode.CACHE_ONLY, MIB, 0);
      var taken = new ArrayList<String>();
      Future<?> writer =
          pool.submit(() -> {
            for (int i = 0; i < 32; i++) {
              write(cluster, 0, "only", "key" + i, 4 * MIB);
              taken.add("key" + i);
            }
          });
      assertThatThrownBy(() -> get(writer))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NO_SPACE))
          .hasMessageContaining("'only' has no store")
          .hasMessageContaining("has no room")
          .hasMessageContaining("delete objects");
      assertThat(taken).hasSizeBetween(12, 16);
      taken.forEach(key -> verify(cluster, 0, "only", key, 4 * MIB));
    }
  }

  /** What a store has gives way to what has none. */
  @Test
  void aBucketWithoutAStoreGetsTheRoomOfWhatIsClean() {
    try (var cluster = single(64L * MIB, LONG_NANOS)) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      bucket(cluster, "only", 1, FlushMode.CACHE_ONLY, MIB, 0);
      for (int i = 0; i < 12; i++) {
        write(cluster, 0, "back", "key" + i, 4 * MIB);
      }
      flush(cluster, "back");
      awaitAll(cluster, chunks(cluster.volume(0)), ChunkState.CLEAN);
      for (int i = 0; i < 12; i++) {
        write(cluster, 0, "only", "key" + i, 4 * MIB);
      }
      for (int i = 0; i < 12; i++) {
        verify(cluster, 0, "back", "key" + i, 4 * MIB);
        verify(cluster, 0, "only", "key" + i, 4 * MIB);
      }
    }
  }

  @Test
  void whatWasReadStaysAndWhatWasNotGoes() {
    try (var cluster = single(64L * MIB, LONG_NANOS)) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      var read = new ArrayList<ChunkId>();
      var unread = new ArrayList<ChunkId>();
      for (int i = 0; i < 8; i++) {
        List<ChunkId> before = chunks(cluster.volume(0));
        write(cluster, 0, "back", "old" + i, 4 * MIB);
        List<ChunkId> written = new ArrayList<>(chunks(cluster.volume(0)));
        written.removeAll(before);
        (i < 2 ? read : unread).addAll(written);
      }
      assertThat(read).hasSize(8);
      flush(cluster, "back");
      awaitAll(cluster, chunks(cluster.volume(0)), ChunkState.CLEAN);
      verify(cluster, 0, "back", "old0", 4 * MIB);
      verify(cluster, 0, "back", "old1", 4 * MIB);
      for (int i = 0; i < 7; i++) {
        write(cluster, 0, "back", "new" + i, 4 * MIB);
      }
      cluster.await("some are evicted", () -> cluster.node(0).status().evictedBytes() > 0);
      cluster.await(
          "the disk is below its high watermark",
          () -> cluster.volume(0).usage().usedBytes() <= 64L * MIB * 85 / 100);
      List<ChunkId> left = chunks(cluster.volume(0));
      assertThat(left).containsAll(read);
      assertThat(unread.stream().filter(left::contains).count()).isLessThanOrEqualTo(24 - 4);
    }
  }

  @Test
  void garbageMakesRoomBeforeAnythingIsEvicted() {
    try (var cluster = single(64L * MIB, LONG_NANOS)) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      for (int i = 0; i < 8; i++) {
        write(cluster, 0, "back", "kept" + i, 4 * MIB);
      }
      flush(cluster, "back");
      List<ChunkId> kept = chunks(cluster.volume(0));
      for (int i = 0; i < 5; i++) {
        write(cluster, 0, "back", "gone" + i, 4 * MIB);
      }
      List<ChunkId> gone = new ArrayList<>(chunks(cluster.volume(0)));
      gone.removeAll(kept);
      for (int i = 0; i < 5; i++) {
        files(cluster, 0).delete("back", "gone" + i, WriteConditions.NONE);
      }
      awaitAll(cluster, kept, ChunkState.CLEAN);
      awaitAll(cluster, gone, ChunkState.GARBAGE);
      assertThat(cluster.node(0).status().garbageBytes()).isZero();
      write(cluster, 0, "back", "last", 4 * MIB);
      cluster.await(
          "garbage is collected",
          () -> cluster.node(0).status().garbageBytes() == gone.size() * (long) MIB);
      assertThat(chunks(cluster.volume(0))).containsAll(kept);
      assertThat(cluster.node(0).status().evictedBytes()).isZero();
    }
  }

  private static ForebayException refusedWrite(NodeCluster cluster, String bucket, int length) {
    return catchThrowableOfType(
        ForebayException.class, () -> write(cluster, 0, bucket, "refused", length));
  }

  @Test
  void aBucketWithoutAStoreIsRefusedAtItsQuotaBeforeItsBytesAreSent() {
    try (var cluster = single(256L * MIB, LONG_NANOS)) {
      bucket(cluster, "only", 1, FlushMode.CACHE_ONLY, MIB, 0);
      files(cluster, 0).setQuota("only", 8L * MIB);
      write(cluster, 0, "only", "key", 6 * MIB);
      var announced =
          new WriteOptions(
              ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.of(3L * MIB), true);
      cluster.await( // the first writer looked before there was anything
          "the node knows",
          () -> {
            try (BodyWriter<ObjectInfo> body = files(cluster, 0).create("only", "k", announced)) {
              return body == null;
            } catch (ForebayException refused) {
              return refused.code() == ErrorCode.QUOTA_EXCEEDED;
            }
          });
      long chunks = cluster.volume(0).usage().usedBytes();
      assertThat(refusedWrite(cluster, "only", 3 * MIB))
          .hasMessageContaining("'only' has a quota of " + 8 * MIB)
          .hasMessageContaining("holds " + 6 * MIB)
          .hasMessageContaining("delete objects")
          .hasMessageContaining("bucket set only --quota");
      assertThat(cluster.volume(0).usage().usedBytes()).isEqualTo(chunks);
      write(cluster, 0, "only", "fits", 2 * MIB);
      files(cluster, 0).delete("only", "key", WriteConditions.NONE);
      cluster.await(
          "its read grace is over",
          () -> files(cluster, 0).use("only").equals(new BucketUse(2L * MIB, 8L * MIB)));
      write(cluster, 0, "only", "again", 6 * MIB);
    }
  }

  @Test
  void writersOfABucketWithAStoreWaitForTheFlushAtItsQuota() {
    try (var cluster = single(256L * MIB, LONG_NANOS)) {
      // Nothing is due by itself: whoever waits has the flush begin.
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, LONG_NANOS / 1_000_000);
      files(cluster, 0).setQuota("back", 8L * MIB);
      atOnce(4, 12, i -> write(cluster, 0, "back", "key" + i, 4 * MIB));
      for (int i = 0; i < 12; i++) {
        verify(cluster, 0, "back", "key" + i, 4 * MIB);
      }
      assertThat(files(cluster, 0).use("back").heldBytes()).isBetween(0L, 8L * MIB);
      // No flush makes room for this one.
      assertThat(refusedWrite(cluster, "back", 9 * MIB).code()).isEqualTo(ErrorCode.QUOTA_EXCEEDED);
    }
  }

  @Test
  void withTheStoreAwayWritersAreRefusedAtTheQuotaAfterAWhile() {
    try (var cluster = single(256L * MIB, 3_000_000_000L)) {
      bucket(cluster, "back", 1, FlushMode.BACK, MIB, 0);
      files(cluster, 0).setQuota("back", 8L * MIB);
      cluster.store().fates((kind, key) -> Fate.DENIED);
      write(cluster, 0, "back", "key", 8 * MIB);
      assertThat(refusedWrite(cluster, "back", MIB))
          .hasMessageContaining("'back' has a quota")
          .hasMessageContaining("forebay status");
      cluster.store().fates((kind, key) -> Fate.ANSWERED);
      write(cluster, 0, "back", "more", 8 * MIB);
      verify(cluster, 0, "back", "key", 8 * MIB);
      verify(cluster, 0, "back", "more", 8 * MIB);
    }
  }

  /**
   * A disk of two is full: what needs both waits, with all the memory that it may have. Others
   * write meanwhile, the flush goes on, earlier than it was due, and no try leaves a copy behind.
   */
  @Test
  void whoeverWaitsLeavesMemoryToWritersThatFindRoomAndToTheFlush() {
    try (var cluster =
            new NodeCluster(
                2,
                (env, node, directory) ->
                    DiskVolume.open(
                        env,
                        directory,
                        new DiskSettings(node == 1 ? 64L * MIB : 1L << 30, 64 * MIB, 2, true)),
                Scrubber.Settings.OFF,
                waiting(LONG_NANOS));
        var pool = new Background()) {
      int chunk = 16 * MIB;
      bucket(cluster, "both", 2, FlushMode.BACK, chunk, LONG_NANOS / 1_000_000);
      bucket(cluster, "one", 1, FlushMode.CACHE_ONLY, chunk, 0);
      write(cluster, 0, "both", "early", 2 * MIB);
      for (int i = 0; i < 13; i++) {
        write(cluster, 1, "one", "filler" + i, 4 * MIB); // its own disk first
      }
      assertThat(cluster.volume(1).usage().usedBytes()).isGreaterThan(53L * MIB);
      assertThat(cluster.store().body("both/early")).isEmpty();

      var writers = new ArrayList<Future<?>>();
      for (int i = 0; i < 6; i++) {
        int number = i;
        writers.add(pool.submit(() -> write(cluster, 0, "both", "key" + number, chunk)));
      }
      cluster.await("three wait", () -> cluster.node(0).status().waitingForRoom() == 3);
      assertThat(cluster.node(0).status().writeMemoryFreeBytes()).isEqualTo(chunk);
      List<ChunkId> before = chunks(cluster.volume(0)); // first tries may have left one each
      get(pool.submit(() -> write(cluster, 0, "one", "other", 2 * chunk)));
      cluster.await("the flush has begun", () -> cluster.store().body("both/early").isPresent());
      assertThat(cluster.node(0).status().waitingForRoom()).isEqualTo(3);
      assertThat(chunks(cluster.volume(0))).hasSize(before.size() + 2);

      for (int i = 0; i < 13; i++) {
        files(cluster, 1).delete("one", "filler" + i, WriteConditions.NONE);
      }
      writers.forEach(CapacityTest::get);
      for (int i = 0; i < 6; i++) {
        verify(cluster, 1, "both", "key" + i, chunk);
      }
      verify(cluster, 0, "one", "other", 2 * chunk);
      cluster.await(
          "all memory is given back",
          () -> cluster.node(0).status().writeMemoryFreeBytes() == 64L * MIB);
    }
  }
}
