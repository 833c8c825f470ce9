package io.forebay.core.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.SessionId;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What every {@link Volume} does. The content of a chunk is a function of its id and length. */
public abstract class VolumeContract {
  protected static final GroupId GROUP = new GroupId(1);
  protected static final Epoch EPOCH = new Epoch(7);
  private static final int SLAB_BYTES = 256 << 10;

  protected final TestEnv env = new TestEnv();
  protected final SlabPool pool = new SlabPool(env, SLAB_BYTES, 16);

  /** Where appended slices come from; a volume in memory keeps them. */
  protected final SlabPool sources = new SlabPool(env, SLAB_BYTES, 512);

  private final List<Volume> opened = new ArrayList<>();

  /** An empty volume that holds so much; the contract closes it. */
  protected abstract Volume volume(long capacityBytes);

  private Volume open(long capacityBytes) {
    Volume volume = volume(capacityBytes);
    opened.add(volume);
    return volume;
  }

  @AfterEach
  void everyBufferIsBack() {
    for (Volume volume : opened) {
      for (GroupId group : volume.groups()) {
        volume.delete(
            volume.list(group, Optional.empty(), 1000).stream().map(StoredChunk::id).toList());
      }
      volume.close();
    }
    assertThat(pool.available()).isEqualTo(pool.count());
    assertThat(sources.available()).isEqualTo(sources.count());
    env.close();
  }

  protected static ChunkId id(long sequence) {
    return new ChunkId(new SessionId(3), sequence);
  }

  protected static Synthetic content(ChunkId id, int length) {
    return new Synthetic(id.sequence(), 0, length);
  }

  /** Appends in slices of real memory; the appender has all slices when this returns. */
  protected static ChunkAppender append(
      Volume volume, SlabPool pool, ChunkId id, GroupId group, int length, int sliceBytes) {
    ChunkAppender appender = volume.append(id, group, EPOCH, length, Durability.REPLICATED);
    var written = new ArrayList<Outcome<Void>>();
    int slabful = pool.slabBytes() / sliceBytes * sliceBytes;
    for (int first = 0; first < length; first += slabful) {
      Bytes source = content(id, length).slice(first, Math.min(slabful, length - first));
      Slab slab = pool.take();
      source.copyTo(slab.buffer());
      for (int at = 0; at < source.length(); at += sliceBytes) {
        Bytes slice = slab.bytes(at, Math.min(sliceBytes, source.length() - at));
        written.add(appender.write(first + at, slice, slice.crc32c()));
        slice.release();
      }
      slab.release();
    }
    written.forEach(Outcome::await);
    return appender;
  }

  protected static StoredChunk store(
      Volume volume, SlabPool pool, ChunkId id, GroupId group, int length, int sliceBytes) {
    return append(volume, pool, id, group, length, sliceBytes)
        .commit(length, content(id, length).crc32c());
  }

  private StoredChunk store(Volume volume, long sequence, int length) {
    return store(volume, sources, id(sequence), GROUP, length, SLAB_BYTES);
  }

  protected static void verify(
      Volume volume, SlabPool pool, ChunkId id, int length, int from, int count) {
    Bytes read = volume.read(id, from, count, pool);
    try {
      assertThat(read.length()).isEqualTo(count);
      assertThat(read.crc32c()).isEqualTo(content(id, length).slice(from, count).crc32c());
    } finally {
      read.release();
    }
  }

  private static void awaitUsed(Volume volume, long bytes) {
    while (volume.usage().usedBytes() != bytes) {
      Thread.onSpinWait();
    }
  }

  private static void assertFails(ErrorCode code, Runnable what) {
    assertThatThrownBy(what::run)
        .isInstanceOfSatisfying(
            ForebayException.class, failure -> assertThat(failure.code()).isEqualTo(code));
  }

  @Test
  void whatIsWholeIsHeldWhenItIsSettled() {
    Volume volume = open(1 << 20);
    store(volume, sources, id(1), GROUP, 5000, 5000);
    volume.settle(GROUP);
    volume.settle(new GroupId(99));
    assertThat(volume.find(id(1))).isPresent();
  }

  @Test
  void whatWasCommittedIsReadBackInAnyRange() {
    Volume volume = open(64 << 20);
    int sequence = 0;
    for (int length : new int[] {1, 4095, 4096, 65_536, 65_537, 300_001, 1 << 20}) {
      for (int slice : new int[] {1000, 4096, 70_001, SLAB_BYTES}) {
        if (length / slice > 400) {
          continue;
        }
        ChunkId id = id(++sequence);
        StoredChunk stored = store(volume, sources, id, GROUP, length, slice);
        assertThat(stored)
            .isEqualTo(new StoredChunk(id, GROUP, EPOCH, length, content(id, length).crc32c()));
        assertThat(volume.find(id)).contains(stored);
        var random = new Random(length);
        verify(volume, pool, id, length, 0, Math.min(length, SLAB_BYTES));
        verify(volume, pool, id, length, length - 1, 1);
        for (int i = 0; i < 5; i++) {
          int from = random.nextInt(length);
          int count = 1 + random.nextInt(Math.min(length - from, SLAB_BYTES));
          verify(volume, pool, id, length, from, count);
        }
      }
    }
    assertThat(volume.usage().chunks()).isEqualTo(sequence);
    assertThat(volume.usage().queuedBytes()).isZero();
  }

  @Test
  void slicesThatAreLargeOrLieAnywhereInTheirSlabAreTaken() {
    Volume volume = open(64 << 20);
    ChunkId id = id(1);
    int length = (3 << 20) + 77;
    ChunkAppender synthetic = volume.append(id, GROUP, EPOCH, length, Durability.SYNCED);
    Bytes all = content(id, length);
    synthetic.write(0, all.slice(0, 5), all.slice(0, 5).crc32c()).await();
    Bytes rest = all.slice(5, length - 5);
    synthetic.write(5, rest, rest.crc32c()).await();
    synthetic.commit(length, all.crc32c());
    verify(volume, pool, id, length, 3 << 20, 77);
    verify(volume, pool, id, length, (1 << 20) + 1, 200_000);

    ChunkId shifted = id(2);
    ChunkAppender appender = volume.append(shifted, GROUP, EPOCH, 8192, Durability.REPLICATED);
    Slab slab = sources.take();
    content(shifted, 8192).copyTo(slab.buffer().position(123));
    Bytes slice = slab.bytes(123, 8192);
    slab.release();
    appender.write(0, slice, slice.crc32c()).await();
    slice.release();
    appender.commit(8192, content(shifted, 8192).crc32c());
    verify(volume, pool, shifted, 8192, 0, 8192);
  }

  @Test
  void aChunkMayEndBeforeItsReservation() {
    Volume volume = open(64 << 20);
    ChunkAppender appender = volume.append(id(1), GROUP, EPOCH, 8 << 20, Durability.REPLICATED);
    Bytes slice = content(id(1), 5000);
    appender.write(0, slice, slice.crc32c()).await();
    appender.commit(5000, slice.crc32c());
    verify(volume, pool, id(1), 5000, 0, 5000);
    assertThat(volume.usage().usedBytes()).isBetween(5000L, 8192L);
  }

  @Test
  void aCommitWithAnotherCrcOrLengthIsRefusedAndLeavesNothing() {
    Volume volume = open(64 << 20);
    ChunkAppender crc = append(volume, sources, id(1), GROUP, 9000, 4096);
    assertFails(
        ErrorCode.CHECKSUM_MISMATCH, () -> crc.commit(9000, content(id(1), 9000).crc32c() ^ 1));
    ChunkAppender length = append(volume, sources, id(2), GROUP, 9000, 4096);
    assertFails(
        ErrorCode.CHECKSUM_MISMATCH, () -> length.commit(8999, content(id(2), 9000).crc32c()));
    assertThat(volume.find(id(1))).isEmpty();
    assertThat(volume.groups()).isEmpty();
    awaitUsed(volume, 0);
    store(volume, 1, 9000);
    verify(volume, pool, id(1), 9000, 0, 9000);
  }

  @Test
  void anAbortFreesTheRoomAndEndsTheAppend() {
    Volume volume = open(64 << 20);
    ChunkAppender appender = append(volume, sources, id(1), GROUP, 1 << 20, SLAB_BYTES);
    assertThat(volume.find(id(1))).isEmpty();
    appender.abort();
    appender.abort();
    awaitUsed(volume, 0);
    assertFails(ErrorCode.CANCELLED, () -> appender.commit(1, 1));
    Bytes more = new Synthetic(1, 0, 1);
    assertFails(ErrorCode.CANCELLED, () -> appender.write(1 << 20, more, 0).await());
    StoredChunk kept = store(volume, 2, 10);
    appender.abort();
    assertThat(volume.find(id(2))).contains(kept);
  }

  @Test
  void aFullVolumeSaysSoAndTakesMoreAfterADelete() {
    Volume volume = open(12 << 20);
    for (int i = 1; i <= 3; i++) {
      store(volume, i, 4 << 20);
    }
    assertFails(
        ErrorCode.NO_SPACE,
        () -> volume.append(id(9), GROUP, EPOCH, 4 << 20, Durability.REPLICATED));
    volume.delete(List.of(id(2)));
    store(volume, 4, 4 << 20);
    verify(volume, pool, id(4), 4 << 20, 0, SLAB_BYTES);
    verify(volume, pool, id(3), 4 << 20, 0, SLAB_BYTES);
  }

  @Test
  void whatIsDeletedIsAbsentAndMayBeAppendedAgain() {
    Volume volume = open(64 << 20);
    store(volume, 1, 100_000);
    store(volume, 2, 100_000);
    volume.delete(List.of(id(1), id(5)));
    volume.delete(List.of(id(1)));
    assertThat(volume.find(id(1))).isEmpty();
    assertThat(volume.list(GROUP, Optional.empty(), 9))
        .extracting(StoredChunk::id)
        .containsExactly(id(2));
    assertFails(ErrorCode.CHUNK_ABSENT, () -> volume.read(id(1), 0, 1, pool));
    store(volume, 1, 100_000);
    verify(volume, pool, id(1), 100_000, 17, 80_000);
    volume.delete(List.of(id(1), id(2)));
    assertThat(volume.groups()).isEmpty();
    awaitUsed(volume, 0);
  }

  @Test
  void aGroupIsListedInOrderAndByPages() {
    Volume volume = open(64 << 20);
    for (int i : new int[] {5, 1, 4, 2, 3}) {
      store(volume, sources, id(i), new GroupId(2), 100, 100);
    }
    store(volume, sources, id(6), GROUP, 100, 100);
    assertThat(volume.groups()).containsExactly(GROUP, new GroupId(2));
    List<StoredChunk> first = volume.list(new GroupId(2), Optional.empty(), 3);
    assertThat(first).extracting(StoredChunk::id).containsExactly(id(1), id(2), id(3));
    assertThat(volume.list(new GroupId(2), Optional.of(id(3)), 3))
        .extracting(StoredChunk::id)
        .containsExactly(id(4), id(5));
    assertThat(volume.list(new GroupId(3), Optional.empty(), 3)).isEmpty();
  }

  @Test
  void ofTheSameChunkTwiceTheFirstStays() {
    Volume volume = open(64 << 20);
    ChunkAppender late = append(volume, sources, id(1), GROUP, 5000, 5000);
    StoredChunk first = store(volume, sources, id(1), new GroupId(2), 5000, 5000);
    long used = volume.usage().usedBytes();
    assertThat(late.commit(5000, content(id(1), 5000).crc32c())).isEqualTo(first);
    assertThat(volume.list(GROUP, Optional.empty(), 1)).isEmpty();
    assertThat(used).isPositive();
    volume.delete(List.of(id(1)));
    awaitUsed(volume, 0);
  }

  @Test
  void aReplacingCommitTakesThePlaceOfTheSameChunkAndOfNoOther() {
    Volume volume = open(64 << 20);
    StoredChunk first = store(volume, 1, 5000);
    ChunkAppender same = append(volume, sources, id(1), GROUP, 5000, 5000);
    assertThat(same.replace(5000, content(id(1), 5000).crc32c())).isEqualTo(first);
    verify(volume, pool, id(1), 5000, 0, 5000);
    assertThat(volume.list(GROUP, Optional.empty(), 9)).containsExactly(first);
    ChunkAppender other = append(volume, sources, id(1), GROUP, 4000, 4000);
    assertFails(
        ErrorCode.CHECKSUM_MISMATCH, () -> other.replace(4000, content(id(1), 4000).crc32c()));
    verify(volume, pool, id(1), 5000, 0, 5000);
    // One that is not held is kept as a commit would.
    append(volume, sources, id(2), GROUP, 4000, 4000).replace(4000, content(id(2), 4000).crc32c());
    verify(volume, pool, id(2), 4000, 0, 4000);
    volume.delete(List.of(id(1), id(2)));
    awaitUsed(volume, 0);
  }

  @Test
  void slicesOutOfOrderAndReadsOutsideOfTheChunkAreRefused() {
    Volume volume = open(64 << 20);
    ChunkAppender appender = volume.append(id(1), GROUP, EPOCH, 100, Durability.REPLICATED);
    Bytes slice = content(id(1), 60);
    appender.write(0, slice, slice.crc32c()).await();
    assertThatThrownBy(() -> appender.write(61, slice, 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> appender.write(60, slice, 0))
        .isInstanceOf(IllegalArgumentException.class);
    appender.commit(60, slice.crc32c());
    for (int[] range : new int[][] {{-1, 2}, {0, 0}, {59, 2}, {60, 1}}) {
      assertThatThrownBy(() -> volume.read(id(1), range[0], range[1], pool))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void writersReadersAndDeletersDoNotDisturbEachOther() throws InterruptedException {
    Volume volume = open(256 << 20);
    var failures = new ConcurrentLinkedQueue<Throwable>();
    var threads = new ArrayList<Thread>();
    for (int t = 0; t < 8; t++) {
      int base = 1 + t * 1000;
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                try {
                  var random = new Random(base);
                  for (int i = 0; i < 20; i++) {
                    ChunkId id = id(base + i);
                    int length = 1 + random.nextInt(300_000);
                    store(volume, sources, id, new GroupId(base), length, 50_000);
                    int from = random.nextInt(length);
                    verify(volume, pool, id, length, from, 1);
                    verify(volume, pool, id, length, 0, Math.min(length, SLAB_BYTES));
                    if (i % 2 == 1) {
                      volume.delete(List.of(id));
                    }
                  }
                } catch (Throwable failure) {
                  failures.add(failure);
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertThat(failures).isEmpty();
    assertThat(volume.usage().chunks()).isEqualTo(80);
    for (GroupId group : volume.groups()) {
      List<StoredChunk> held = volume.list(group, Optional.empty(), 100);
      assertThat(held).hasSize(10);
      for (StoredChunk chunk : held) {
        int crc = 0;
        for (int at = 0; at < chunk.lengthBytes(); at += SLAB_BYTES) {
          int count = Math.min(SLAB_BYTES, chunk.lengthBytes() - at);
          Bytes part = volume.read(chunk.id(), at, count, pool);
          crc = Crc32cCombiner.combine(crc, part.crc32c(), count);
          part.release();
        }
        assertThat(crc).isEqualTo(chunk.crc32c());
      }
    }
  }
}
