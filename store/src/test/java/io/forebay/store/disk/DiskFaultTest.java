package io.forebay.store.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
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
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a volume does when its disk is full, or fails, or is slow. */
final class DiskFaultTest {
  private static final int MIB = 1 << 20;
  private static final DiskSettings SETTINGS = new DiskSettings(256 << 20, 16 << 20, 3, true);
  private static final GroupId GROUP = new GroupId(1);

  @TempDir Path directory;
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, MIB, 8);
  private final FailingDisk disk = new FailingDisk();

  @AfterEach
  void everyBufferIsBack() {
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  private static ChunkId id(long sequence) {
    return new ChunkId(new SessionId(3), sequence);
  }

  private static ChunkAppender begin(DiskVolume volume, long sequence, int length) {
    return volume.append(id(sequence), GROUP, new Epoch(1), length, Durability.SYNCED);
  }

  private static ChunkAppender write(ChunkAppender appender, long sequence, int length) {
    for (int at = 0; at < length; at += MIB) {
      Bytes slice = new Synthetic(sequence, at, Math.min(MIB, length - at));
      appender.write(at, slice, slice.crc32c()).await();
    }
    return appender;
  }

  private static StoredChunk store(DiskVolume volume, long sequence, int length) {
    ChunkAppender appender = begin(volume, sequence, length);
    try {
      write(appender, sequence, length);
      return appender.commit(length, new Synthetic(sequence, 0, length).crc32c());
    } finally {
      appender.abort();
    }
  }

  private void verify(DiskVolume volume, long sequence, int length) {
    for (int at = 0; at < length; at += MIB) {
      int count = Math.min(MIB, length - at);
      Bytes part = volume.read(id(sequence), at, count, pool);
      assertThat(part.crc32c()).isEqualTo(new Synthetic(sequence, at, count).crc32c());
      part.release();
    }
  }

  private static ForebayException failure(Runnable what) {
    try {
      what.run();
    } catch (ForebayException failure) {
      return failure;
    }
    throw new AssertionError("nothing failed");
  }

  private static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as(what).isLessThan(end);
      Thread.onSpinWait();
    }
  }

  // A full disk.

  /** A file system of 64 MiB of its own; whoever may not mount one is told, and skips the test. */
  private final class SmallDisk implements AutoCloseable {
    private final Path mount = directory.resolve("mount");

    SmallDisk(boolean ext4) throws IOException {
      Files.createDirectories(mount);
      boolean mounted;
      if (ext4) {
        Path image = directory.resolve("image");
        mounted =
            run("truncate", "-s", "64M", image.toString())
                && run("mkfs.ext4", "-q", "-m", "0", image.toString())
                && run("mount", "-o", "loop", image.toString(), mount.toString());
      } else {
        mounted = run("mount", "-t", "tmpfs", "-o", "size=64m", "none", mount.toString());
      }
      Assumptions.assumeTrue(
          mounted, "a small file system needs root, mkfs.ext4 and loop devices; not tested here");
    }

    private static boolean run(String... command) {
      try {
        return new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor()
            == 0;
      } catch (IOException absent) {
        return false;
      } catch (InterruptedException stopped) {
        Thread.currentThread().interrupt();
        return false;
      }
    }

    @Override
    public void close() {
      assertThat(run("umount", mount.toString())).isTrue();
    }
  }

  @Test
  void aFullFileSystemIsRefusedByNameKeepsItsReserveAndLosesNothing() throws Exception {
    try (var small = new SmallDisk(true)) {
      fillsUpAndGoesOn(small.mount);
    }
  }

  @Test
  void aFullFileSystemInMemoryToo() throws Exception {
    try (var small = new SmallDisk(false)) {
      fillsUpAndGoesOn(small.mount);
    }
  }

  private void fillsUpAndGoesOn(Path mount) throws IOException {
    FileStore files = Files.getFileStore(mount);
    var kept = new ArrayList<StoredChunk>();
    try (DiskVolume volume = DiskVolume.open(env, mount, SETTINGS)) {
      ForebayException full =
          failure(() -> {
            for (int i = 1; i < 100; i++) {
              kept.add(store(volume, i, 3 * MIB));
            }
          });
      assertThat(full.code()).isEqualTo(ErrorCode.NO_SPACE);
      assertThat(full.getMessage()).contains(mount.toString(), "to spare", "reserve");
      assertThat(files.getUsableSpace()).isGreaterThan(files.getTotalSpace() / 50);
      assertThat(kept).hasSizeGreaterThan(10);
      assertThat(volume.fault()).isEmpty();

      // Its own room is as good as before: deleted, and written again.
      volume.delete(List.of(id(2), id(3)));
      StoredChunk again = store(volume, 200, 6 * MIB);
      kept.removeIf(chunk -> List.of(id(2), id(3)).contains(chunk.id()));
      kept.add(again);
      assertThat(failure(() -> store(volume, 201, 3 * MIB)).code()).isEqualTo(ErrorCode.NO_SPACE);
      verifyAll(volume, kept);
    }
    try (DiskVolume volume = DiskVolume.open(env, mount, SETTINGS)) {
      verifyAll(volume, kept);
    }
  }

  @Test
  void spaceThatSomebodyElseTakesInTheMiddleOfAChunkCostsThatChunkOnly() throws Exception {
    try (var small = new SmallDisk(true);
        DiskVolume volume = DiskVolume.open(env, small.mount, SETTINGS)) {
      var kept = new ArrayList<StoredChunk>();
      kept.add(store(volume, 1, 5 * MIB));
      ChunkAppender caught = begin(volume, 2, 8 * MIB);
      Path other = small.mount.resolve("other");
      fill(other);
      ForebayException full = failure(() -> write(caught, 2, 8 * MIB));
      assertThat(full.code()).isEqualTo(ErrorCode.NO_SPACE);
      assertThat(full.getMessage()).contains(small.mount.toString(), id(2).toString());
      assertThat(failure(() -> caught.commit(8 * MIB, 0)).code()).isEqualTo(ErrorCode.NO_SPACE);
      assertThat(volume.find(id(2))).isEmpty();
      assertThat(failure(() -> store(volume, 3, MIB)).code()).isEqualTo(ErrorCode.NO_SPACE);
      // What is there can be read, and deleted, on a disk without a byte to spare.
      verifyAll(volume, kept);
      assertThat(volume.fault()).isEmpty();
      volume.delete(List.of(id(1)));
      kept.clear();

      Files.delete(other);
      kept.add(store(volume, 2, 8 * MIB));
      kept.add(store(volume, 3, 5 * MIB));
      verifyAll(volume, kept);
      await("all room is back", () -> volume.usage().usedBytes() == 13L * MIB);
    }
  }

  private static void fill(Path file) throws IOException {
    try (FileChannel out =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (int size = MIB; size >= 512; size /= 2) {
        ByteBuffer bytes = ByteBuffer.allocate(size);
        try {
          while (true) {
            out.write(bytes.clear());
            out.force(true);
          }
        } catch (IOException full) {
          assertThat(full.getMessage()).contains("No space left");
        }
      }
    }
  }

  private void verifyAll(DiskVolume volume, List<StoredChunk> chunks) {
    assertThat(volume.list(GROUP, Optional.empty(), 1000))
        .containsExactlyInAnyOrderElementsOf(chunks);
    chunks.forEach(chunk -> verify(volume, chunk.id().sequence(), chunk.lengthBytes()));
  }

  // A disk that fails.

  private DiskVolume open() {
    return DiskVolume.open(env, directory.resolve("disk"), SETTINGS, disk);
  }

  @Test
  void aVolumeThatCannotWriteAcknowledgesNothingMoreAndCanBeRead() {
    try (DiskVolume volume = open()) {
      store(volume, 1, 3 * MIB);
      ChunkAppender open = write(begin(volume, 2, MIB), 2, MIB);
      assertThat(volume.fault()).isEmpty();
      disk.failsWrites = true;
      ForebayException failed = failure(() -> store(volume, 3, MIB));
      assertThat(failed.code()).isEqualTo(ErrorCode.IO_ERROR);
      assertThat(failed.getMessage()).contains(directory.toString(), "Input/output error");
      assertThat(volume.fault().orElseThrow()).contains("writing " + id(3));
      assertThat(failure(() -> open.commit(MIB, new Synthetic(2, 0, MIB).crc32c())).code())
          .isEqualTo(ErrorCode.IO_ERROR);
      disk.failsWrites = false; // it stays turned out
      ForebayException out = failure(() -> begin(volume, 4, MIB));
      assertThat(out.code()).isEqualTo(ErrorCode.IO_ERROR);
      assertThat(out.getMessage()).contains("turned out");
      assertThat(volume.find(id(2))).isEmpty();
      verify(volume, 1, 3 * MIB);
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.list(GROUP, Optional.empty(), 9)).hasSize(1);
      verify(volume, 1, 3 * MIB);
    }
  }

  @Test
  void aSyncThatFailsIsNoAcknowledgement() {
    try (DiskVolume volume = open()) {
      ChunkAppender appender = write(begin(volume, 1, MIB), 1, MIB);
      disk.failsSyncs = true;
      assertThat(failure(() -> appender.commit(MIB, new Synthetic(1, 0, MIB).crc32c())).code())
          .isEqualTo(ErrorCode.IO_ERROR);
      assertThat(volume.find(id(1))).isEmpty();
      assertThat(volume.fault()).isPresent();
    }
  }

  /** What the failed one covered may be gone, though the next one succeeds. */
  @Test
  void noSyncCountsAfterOneThatFailed() {
    try (DiskVolume volume = open()) {
      ChunkAppender first = write(begin(volume, 1, MIB), 1, MIB);
      ChunkAppender second = write(begin(volume, 2, MIB), 2, MIB);
      disk.failsSyncs = true;
      assertThat(failure(() -> first.commit(MIB, new Synthetic(1, 0, MIB).crc32c())).code())
          .isEqualTo(ErrorCode.IO_ERROR);
      disk.failsSyncs = false;
      assertThat(failure(() -> second.commit(MIB, new Synthetic(2, 0, MIB).crc32c())).code())
          .isEqualTo(ErrorCode.IO_ERROR);
      assertThat(volume.find(id(2))).isEmpty();
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.list(GROUP, Optional.empty(), 9)).isEmpty();
    }
  }

  /** Some file systems say so only then; what it covered is gone all the same. */
  @Test
  void aSyncThatLacksRoomTurnsTheVolumeOutToo() {
    try (DiskVolume volume = open()) {
      ChunkAppender first = write(begin(volume, 1, MIB), 1, MIB);
      ChunkAppender second = write(begin(volume, 2, MIB), 2, MIB);
      disk.lacksRoomInSyncs = true;
      assertThat(failure(() -> first.commit(MIB, new Synthetic(1, 0, MIB).crc32c())).code())
          .isEqualTo(ErrorCode.IO_ERROR);
      disk.lacksRoomInSyncs = false;
      assertThat(failure(() -> second.commit(MIB, new Synthetic(2, 0, MIB).crc32c())).code())
          .isEqualTo(ErrorCode.IO_ERROR);
      assertThat(volume.find(id(2))).isEmpty();
    }
  }

  @Test
  void aShortageOfOpenFilesRefusesChunksAndTurnsNoVolumeOut() {
    try (DiskVolume volume = open()) {
      store(volume, 1, 14 * MIB);
      disk.lacksFiles = true;
      assertThat(failure(() -> store(volume, 2, 14 * MIB)).getMessage())
          .contains("Too many open files");
      assertThat(volume.fault()).isEmpty();
      disk.lacksFiles = false;
      store(volume, 2, 14 * MIB);
      verify(volume, 2, 14 * MIB);
    }
  }

  @Test
  void aShortageOfMemoryFailsTheChunkAndGivesItsRoomBack() {
    try (DiskVolume volume = open()) {
      ChunkAppender appender = begin(volume, 1, 2 * MIB);
      disk.lacksMemory = true;
      Bytes slice = new Synthetic(1, 0, MIB);
      Outcome<Void> written = appender.write(0, slice, slice.crc32c());
      assertThatThrownBy(written::await).hasStackTraceContaining("Cannot reserve");
      disk.lacksMemory = false;
      appender.abort();
      assertThat(volume.usage().queuedBytes()).isZero();
      await("its room is back", () -> volume.usage().usedBytes() == 0);
      store(volume, 1, 2 * MIB);
      verify(volume, 1, 2 * MIB);
    }
  }

  @Test
  void aReadThatFailsIsAnErrorAndNoReasonToTurnTheVolumeOut() {
    try (DiskVolume volume = open()) {
      store(volume, 1, MIB);
      disk.failsReads = true;
      assertThat(failure(() -> volume.read(id(1), 0, 10, pool)).code())
          .isEqualTo(ErrorCode.IO_ERROR);
      disk.failsReads = false;
      assertThat(volume.fault()).isEmpty();
      verify(volume, 1, MIB);
      store(volume, 2, MIB);
    }
  }

  // A damaged copy.

  @Test
  void aDamagedCopyIsReplacedByAGoodOneAlsoForTheNextStart() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 3 * MIB);
      store(volume, 2, MIB);
      flipEveryByteOf(volume, 1, 3 * MIB);
      assertThat(failure(() -> volume.read(id(1), 0, 10, pool)).code())
          .isEqualTo(ErrorCode.CORRUPT);
      ChunkAppender good = write(begin(volume, 1, 3 * MIB), 1, 3 * MIB);
      good.replace(3 * MIB, new Synthetic(1, 0, 3 * MIB).crc32c());
      verify(volume, 1, 3 * MIB);
      await("the old copy's room is free", () -> volume.usage().usedBytes() == 4L * MIB);
      verify(volume, 2, MIB);
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.list(GROUP, Optional.empty(), 9)).hasSize(2);
      verify(volume, 1, 3 * MIB);
      verify(volume, 2, MIB);
    }
  }

  /** A list of what its group holds that lacks it would let another copy be called whole. */
  @Test
  void aCopyThatIsReplacedIsHeldAllTheWhile() throws InterruptedException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 4096);
      int crc = new Synthetic(1, 0, 4096).crc32c();
      var stop = new AtomicBoolean();
      var missed = new AtomicInteger();
      Thread looker =
          Thread.ofPlatform()
              .start(() -> {
                while (!stop.get()) {
                  if (volume.find(id(1)).isEmpty()
                      || volume.list(GROUP, Optional.empty(), 9).isEmpty()) {
                    missed.incrementAndGet();
                  }
                }
              });
      for (int i = 0; i < 300; i++) {
        ChunkAppender good = write(begin(volume, 1, 4096), 1, 4096);
        good.replace(4096, crc);
      }
      stop.set(true);
      looker.join();
      assertThat(missed).hasValue(0);
      verify(volume, 1, 4096);
    }
  }

  private void flipEveryByteOf(DiskVolume volume, long sequence, int length) throws IOException {
    assertThat(volume.find(id(sequence))).isPresent();
    Path segment = directory.resolve("disk/segments/00000000.seg");
    byte[] all = Files.readAllBytes(segment);
    // The first chunk's data begin behind the table of 256 slots.
    ByteBuffer data = ByteBuffer.wrap(all, 256 * 4096, length).slice();
    assertThat(sequence).isEqualTo(1);
    for (int i = 0; i < length; i++) {
      data.put(i, (byte) ~data.get(i));
    }
    try (FileChannel file = FileChannel.open(segment, StandardOpenOption.WRITE)) {
      file.write(data, 256 * 4096);
      file.force(true);
    }
  }

  // A slow disk.

  @Test
  void writersThatCommitAtOnceShareTheirSyncs() throws InterruptedException {
    int writers = 16;
    try (DiskVolume volume = open()) {
      var open = new ArrayList<ChunkAppender>();
      for (int i = 1; i <= writers; i++) {
        open.add(write(begin(volume, i, 4096), i, 4096));
      }
      disk.syncs.set(0);
      var gate = new CountDownLatch(1);
      disk.gate = gate;
      var done = new ArrayList<Outcome<StoredChunk>>();
      for (int i = 1; i <= writers; i++) {
        ChunkAppender appender = open.get(i - 1);
        int crc = new Synthetic(i, 0, 4096).crc32c();
        var outcome = new Outcome<StoredChunk>(env);
        done.add(outcome);
        env.spawn(
            "commit",
            () -> {
              try {
                outcome.complete(appender.commit(4096, crc));
              } catch (ForebayException failure) {
                outcome.fail(failure);
              }
            });
        // The first has its sync under way before the others ask for theirs.
        int asked = i - 1;
        await(
            "commit " + i + " waits",
            () -> disk.syncs.get() == 1 && volume.syncsWaiting() == asked);
      }
      gate.countDown();
      done.forEach(Outcome::await);
      assertThat(disk.syncs.get())
          .as("syncs of data and slots of %s chunks", writers)
          .isBetween(3, writers);
      for (int i = 1; i <= writers; i++) {
        verify(volume, i, 4096);
      }
    }
  }

  @Test
  void whatWaitsForTheDiskIsBoundedAndNewChunksAreRefusedByName() {
    try (DiskVolume volume = open()) {
      var gate = new CountDownLatch(1);
      ChunkAppender first = begin(volume, 1, 14 * MIB);
      var chunks = new ArrayList<>(List.of(first));
      for (int i = 2; i <= 6; i++) {
        chunks.add(begin(volume, i, 14 * MIB));
      }
      disk.gate = gate;
      var written = new ArrayList<Outcome<Void>>();
      for (int i = 0; i < chunks.size(); i++) {
        for (int at = 0; at < 12 * MIB; at += MIB) {
          Bytes slice = new Synthetic(i + 1, at, MIB);
          written.add(chunks.get(i).write(at, slice, slice.crc32c()));
        }
      }
      ForebayException busy = failure(() -> begin(volume, 9, MIB));
      assertThat(busy.code()).isEqualTo(ErrorCode.BUSY);
      assertThat(busy.getMessage()).contains(directory.toString(), "waiting to be written");
      gate.countDown();
      written.forEach(Outcome::await);
      assertThat(volume.usage().queuedBytes()).isZero();
      store(volume, 9, MIB);
      verify(volume, 9, MIB);
      chunks.forEach(ChunkAppender::abort);
      await("room is back", () -> volume.usage().usedBytes() == MIB);
    }
  }

  @Test
  void aCommitOnAClosedVolumeSaysSo() {
    DiskVolume volume = open();
    ChunkAppender appender = write(begin(volume, 1, MIB), 1, MIB);
    volume.close();
    assertThatThrownBy(() -> appender.commit(MIB, new Synthetic(1, 0, MIB).crc32c()))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.UNAVAILABLE));
    assertThat(volume.fault()).isEmpty();
  }
}
