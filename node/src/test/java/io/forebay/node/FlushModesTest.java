package io.forebay.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.RequestCounter.Kind;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.FileService;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.StoreConflict;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.volume.StoredChunk;
import java.nio.ByteBuffer;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Modes of buckets and prefixes, from the file service to the store. */
class FlushModesTest {
  private static final int LENGTH = 3 << 20;
  private static final long PATIENCE_NANOS = 60_000_000_000L;
  private static NodeCluster cluster;
  private static int buckets;
  private String bucket = "";

  @BeforeAll
  static void start() {
    cluster = new NodeCluster(1);
  }

  @AfterAll
  static void end() {
    cluster.close();
  }

  @BeforeEach
  void healthy() {
    cluster.store().fates((kind, key) -> Fate.ANSWERED);
  }

  private static FileService files() {
    return cluster.node(0).files();
  }

  private void create(FlushMode mode, Bucket.PrefixMode... prefixes) {
    bucket = "modes-" + buckets++;
    files()
        .createBucket(
            new BucketSpec(
                bucket,
                new Family(1, 1, Durability.REPLICATED),
                "memory:",
                mode,
                List.of(prefixes),
                1 << 20,
                600_000,
                1_000));
  }

  private ObjectInfo write(String key, int seed) {
    return write(key, seed, LENGTH);
  }

  private ObjectInfo write(String key, int seed, int length) {
    try (var body = files().create(bucket, key, WriteOptions.DEFAULT)) {
      for (int at = 0; at < length; at += 1 << 18) {
        body.write(new Synthetic(seed, at, 1 << 18));
      }
      return body.publish(Optional.empty());
    }
  }

  private static byte[] bytes(int seed) {
    ByteBuffer buffer = ByteBuffer.allocate(LENGTH);
    new Synthetic(seed, 0, LENGTH).copyTo(buffer);
    return buffer.array();
  }

  private byte[] read(String key) {
    ByteBuffer buffer = ByteBuffer.allocate(LENGTH);
    try (ObjectReader reader = files().open(bucket, key, ReadConditions.NONE)) {
      while (buffer.hasRemaining()) {
        Bytes piece = reader.read(buffer.position(), buffer.remaining());
        piece.copyTo(buffer);
        piece.release();
      }
    }
    return buffer.array();
  }

  private Optional<byte[]> stored(String key) {
    return cluster.store().body(bucket + "/" + key);
  }

  private FlushState state(String key) {
    return files().stat(bucket, key).orElseThrow().flush();
  }

  @Test
  void throughReturnsWhenTheStoreHasIt() {
    create(FlushMode.THROUGH);
    assertThat(write("a", 1).flush()).isEqualTo(FlushState.FLUSHED);
    assertThat(stored("a")).contains(bytes(1));
    files().copy(bucket, "a", ReadConditions.NONE, bucket, "b", CopyOptions.DEFAULT);
    assertThat(stored("b")).contains(bytes(1));
    files().rename(bucket, "b", "c");
    assertThat(stored("c")).contains(bytes(1));
  }

  /** A body may take hours, and its bucket's mode be changed meanwhile. */
  @Test
  void aBodyIsPublishedUnderTheModeThatItsBucketHasWhenItEnds() {
    create(FlushMode.CACHE_ONLY);
    try (var body = files().create(bucket, "a", WriteOptions.DEFAULT)) {
      Bucket old = files().bucket(bucket).orElseThrow();
      cluster
          .node(0)
          .plane()
          .cluster(
              new ClusterCommand.ReplaceBucket(
                  old,
                  FlushMode.THROUGH,
                  List.of(),
                  old.flushDelayMillis(),
                  old.readGraceMillis()));
      cluster.await(
          "the node has heard of it",
          () -> files().bucket(bucket).orElseThrow().mode() == FlushMode.THROUGH);
      for (int at = 0; at < LENGTH; at += 1 << 18) {
        body.write(new Synthetic(9, at, 1 << 18));
      }
      assertThat(body.publish(Optional.empty()).flush()).isEqualTo(FlushState.FLUSHED);
    }
    assertThat(stored("a")).contains(bytes(9));
  }

  /** Flushing makes the room that it waits for, which may take long. */
  @Test
  void aBodyThatWaitsForItsQuotaIsPublishedUnderTheModeOfThen() {
    create(FlushMode.BACK, new Bucket.PrefixMode("only/", FlushMode.CACHE_ONLY));
    files().setQuota(bucket, LENGTH + 1_000);
    cluster.store().fates((kind, key) -> Fate.UNREACHABLE);
    var done = new CompletableFuture<ObjectInfo>();
    try (var body = files().create(bucket, "only/b", WriteOptions.DEFAULT)) {
      for (int at = 0; at < LENGTH; at += 1 << 18) {
        body.write(new Synthetic(9, at, 1 << 18));
      }
      write("a", 1);
      var writer = Thread.startVirtualThread(() -> done.complete(body.publish(Optional.empty())));
      var waits = EnumSet.of(Thread.State.WAITING, Thread.State.TIMED_WAITING);
      cluster.await("it waits", () -> waits.contains(writer.getState()));
      Bucket old = files().bucket(bucket).orElseThrow();
      cluster
          .node(0)
          .plane()
          .cluster(
              new ClusterCommand.ReplaceBucket(
                  old, FlushMode.THROUGH, List.of(), 0, old.readGraceMillis()));
      cluster.await(
          "the node has heard of it",
          () -> files().bucket(bucket).orElseThrow().mode() == FlushMode.THROUGH);
      assertThat(done).isNotDone();
      cluster.store().fates((kind, key) -> Fate.ANSWERED);
      assertThat(files().flush(bucket, "", PATIENCE_NANOS).troubled()).isEmpty();
      assertThat(done.join().flush()).isEqualTo(FlushState.FLUSHED);
    }
    assertThat(stored("only/b")).contains(bytes(9));
  }

  /** Three parts are on their way at once; each of all twelve would else be sent six times. */
  @Test
  void aStoreThatIsBusyIsNotSentTheRestOfAnObject() {
    create(FlushMode.BACK);
    var staged = new AtomicInteger();
    cluster
        .store()
        .fates((kind, key) -> {
          if (kind != Kind.STAGE) {
            return Fate.ANSWERED;
          }
          staged.incrementAndGet();
          return Fate.THROTTLED;
        });
    write("a", 6, 12 * (16 << 20));
    FlushReport _ = files().flush(bucket, "", 1);
    cluster.await(
        "the first attempt has failed",
        () -> files().pathStatus(bucket, "a").flushReason().contains("STORE_THROTTLED"));
    assertThat(staged.get()).isBetween(6, 3 * 6);
    files().delete(bucket, "a", WriteConditions.NONE);
  }

  @Test
  void throughToAStoreThatRefusesSaysWhyAndLeavesAWholeObjectThatIsTriedOn() {
    create(FlushMode.THROUGH);
    cluster.store().fates((kind, key) -> Fate.DENIED);
    assertThatThrownBy(() -> write("a", 2))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.STORE_DENIED))
        .hasMessageContaining("is published and on its replicas")
        .hasMessageContaining("failed as it was told to");
    assertThat(state("a")).isIn(FlushState.FAILED, FlushState.FLUSHING);
    assertThat(files().pathStatus(bucket, "a").flushReason()).contains("STORE_DENIED");
    assertThat(read("a")).isEqualTo(bytes(2));
    assertThat(stored("a")).isEmpty();
    healthy();
    FlushReport report = files().flush(bucket, "", PATIENCE_NANOS);
    assertThat(report.complete()).as("%s", report).isTrue();
    assertThat(stored("a")).contains(bytes(2));
    assertThat(files().pathStatus(bucket, "a").flushReason()).isEmpty();
  }

  @Test
  void throughOutlastsAStoreThatIsAwayForAMoment() {
    create(FlushMode.THROUGH);
    var left = new AtomicInteger(2);
    cluster
        .store()
        .fates((kind, key) -> left.getAndDecrement() > 0 ? Fate.UNREACHABLE : Fate.ANSWERED);
    assertThat(write("a", 3).flush()).isEqualTo(FlushState.FLUSHED);
    assertThat(stored("a")).contains(bytes(3));
  }

  /** A late deletion could meet a new bucket's object: the deletion of the bucket is refused. */
  @Test
  void aBucketWhoseStoreMayStillHearOfADeletionStaysAndSaysSo() {
    create(FlushMode.THROUGH);
    write("a", 6);
    cluster.store().fates((kind, key) -> kind == Kind.DELETE ? Fate.ANSWER_LOST : Fate.ANSWERED);
    files().delete(bucket, "a", WriteConditions.NONE);
    assertThatThrownBy(() -> files().deleteBucket(bucket))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.CONCURRENT_CHANGE))
        .hasMessageContaining("'" + bucket + "': it is empty, but a request whose answer was lost")
        .hasMessageContaining("three minutes");
    assertThat(stored("a")).isEmpty();
    assertThat(files().bucket(bucket)).isPresent();
  }

  @Test
  void cacheOnlyNeverAsksTheStore() {
    create(FlushMode.CACHE_ONLY);
    long before = cluster.store().requests().total();
    assertThat(write("a", 4).flush()).isEqualTo(FlushState.CACHE_ONLY);
    assertThat(files().flush(bucket, "", PATIENCE_NANOS).complete()).isTrue();
    assertThat(cluster.store().requests().total()).isEqualTo(before);
    assertThat(read("a")).isEqualTo(bytes(4));
  }

  @Test
  void theLongestPrefixDecides() {
    create(
        FlushMode.BACK,
        new Bucket.PrefixMode("now/", FlushMode.THROUGH),
        new Bucket.PrefixMode("now/tmp/", FlushMode.CACHE_ONLY));
    assertThat(write("later", 5).flush()).isEqualTo(FlushState.PENDING);
    assertThat(write("now/a", 5).flush()).isEqualTo(FlushState.FLUSHED);
    assertThat(write("now/tmp/a", 5).flush()).isEqualTo(FlushState.CACHE_ONLY);
    assertThat(stored("later")).isEmpty();
    assertThat(stored("now/a")).isPresent();
    // A checkpoint under a temporary name reaches the store when it gets its own.
    files().rename(bucket, "now/tmp/a", "now/b");
    assertThat(stored("now/b")).contains(bytes(5));
    write("now/tmp/step/x", 7);
    write("now/tmp/step/y", 8);
    files().rename(bucket, "now/tmp/step/", "now/step/");
    assertThat(stored("now/step/x")).contains(bytes(7));
    assertThat(stored("now/step/y")).contains(bytes(8));
    assertThat(files().flush(bucket, "", PATIENCE_NANOS).complete()).isTrue();
    assertThat(stored("later")).contains(bytes(5));
    assertThat(stored("now/tmp/a")).isEmpty();
  }

  /** A prefix is renamed with one mode for all of it. */
  @Test
  void aPrefixIsNotRenamedOverOneThatHasAModeOfItsOwn() {
    create(FlushMode.CACHE_ONLY, new Bucket.PrefixMode("runs/final/", FlushMode.THROUGH));
    write("new/final/x", 5);
    assertThatThrownBy(() -> files().rename(bucket, "new/", "runs/"))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NOT_IMPLEMENTED))
        .hasMessageContaining("runs/final/");
    files().rename(bucket, "new/final/x", "runs/final/x");
    assertThat(stored("runs/final/x")).contains(bytes(5));
  }

  @Test
  void aConflictIsToldAndEndsWithKeepOrTake() {
    create(FlushMode.THROUGH);
    for (String key : List.of("kept", "taken")) {
      Bytes theirs = new Synthetic(99, 0, 1000);
      assertThat(
              cluster
                  .store()
                  .put(
                      bucket + "/" + key,
                      List.of(theirs),
                      new PutOptions(new StoreCondition.Any(), "text/plain", Map.of(), Map.of())))
          .isInstanceOf(ObjectStore.PutResult.Stored.class);
      assertThatThrownBy(() -> write(key, 6))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.STORE_CONFLICT))
          .hasMessageContaining("forebay conflict");
      assertThat(stored(key).orElseThrow()).hasSize(1000);
    }
    assertThat(read("kept")).isEqualTo(bytes(6));
    for (StoreConflict conflict : files().conflicts(bucket)) {
      files()
          .resolveConflict(
              bucket,
              conflict.key(),
              conflict.key().equals("kept")
                  ? StoreConflict.Resolution.KEEP
                  : StoreConflict.Resolution.TAKE,
              conflict.generation(),
              conflict.storeEtag());
    }
    assertThat(files().flush(bucket, "", PATIENCE_NANOS).complete()).isTrue();
    assertThat(stored("kept")).contains(bytes(6));
    ObjectInfo taken = files().stat(bucket, "taken").orElseThrow();
    assertThat(taken.lengthBytes()).isEqualTo(1000);
    assertThat(taken.flush()).isEqualTo(FlushState.FLUSHED);
    try (ObjectReader reader = files().open(bucket, "taken", ReadConditions.NONE)) {
      Bytes bytes = reader.read(0, 1000);
      assertThat(bytes.crc32c()).isEqualTo(new Synthetic(99, 0, 1000).crc32c());
      bytes.release();
    }
  }

  @Test
  void whatIsFlushedAndNoLongerHereStreamsFromTheStore() {
    create(FlushMode.BACK);
    write("a", 7);
    try (ObjectReader before = files().open(bucket, "a", ReadConditions.NONE)) {
      assertThat(files().flush(bucket, "", PATIENCE_NANOS).complete()).isTrue();
      var volume = cluster.volume(0);
      for (var group : volume.groups()) {
        volume.delete(
            volume.list(group, Optional.empty(), 1_000).stream().map(StoredChunk::id).toList());
      }
      long reads = cluster.store().requests().reads();
      assertThat(read("a")).isEqualTo(bytes(7));
      assertThat(cluster.store().requests().reads()).isGreaterThan(reads);
      Bytes piece = before.read(0, 1000);
      assertThat(piece.crc32c()).isEqualTo(new Synthetic(7, 0, piece.length()).crc32c());
      piece.release();
    }
  }
}
