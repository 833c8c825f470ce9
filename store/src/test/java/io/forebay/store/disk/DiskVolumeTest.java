package io.forebay.store.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.SessionId;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a volume's directory survives, and what it says of what it does not. */
final class DiskVolumeTest {
  private static final int SEGMENT_BYTES = 16 << 20;
  private static final DiskSettings SETTINGS = new DiskSettings(64 << 20, SEGMENT_BYTES, 3, true);
  private static final GroupId GROUP = new GroupId(1);
  // Of a segment of 16 MiB: 256 slots.
  private static final long DATA_START = 256 * 4096;

  @TempDir Path directory;
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 256 << 10, 16);

  @AfterEach
  void everyBufferIsBack() {
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  private DiskVolume open() {
    return DiskVolume.open(env, directory, SETTINGS);
  }

  private static ChunkId id(long sequence) {
    return new ChunkId(new SessionId(3), sequence);
  }

  private static Bytes content(long sequence, int length) {
    return new Synthetic(sequence, 0, length);
  }

  private static ChunkAppender append(DiskVolume volume, long sequence, int length) {
    ChunkAppender appender =
        volume.append(id(sequence), GROUP, new Epoch(1), length, Durability.REPLICATED);
    Bytes slice = content(sequence, length);
    appender.write(0, slice, slice.crc32c()).await();
    return appender;
  }

  private static StoredChunk store(DiskVolume volume, long sequence, int length) {
    return append(volume, sequence, length).commit(length, content(sequence, length).crc32c());
  }

  private void verify(DiskVolume volume, long sequence, int length) {
    for (int at = 0; at < length; at += pool.slabBytes()) {
      int count = Math.min(pool.slabBytes(), length - at);
      Bytes part = volume.read(id(sequence), at, count, pool);
      try {
        assertThat(part.crc32c()).isEqualTo(content(sequence, length).slice(at, count).crc32c());
      } finally {
        part.release();
      }
    }
  }

  private Path segment(int number) {
    return directory.resolve("segments").resolve(String.format("%08d.seg", number));
  }

  private void flip(long position) throws IOException {
    try (FileChannel file =
        FileChannel.open(segment(0), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      ByteBuffer one = ByteBuffer.allocate(1);
      file.read(one, position);
      file.write(ByteBuffer.wrap(new byte[] {(byte) (one.get(0) ^ 4)}), position);
    }
  }

  private static void assertFails(ErrorCode code, Runnable what, String... says) {
    assertThatThrownBy(what::run)
        .isInstanceOfSatisfying(
            ForebayException.class, failure -> assertThat(failure.code()).isEqualTo(code))
        .satisfies(failure ->
            assertThat(failure.getMessage()).contains(says.length == 0 ? new String[] {""} : says));
  }

  @Test
  void aReopenedVolumeHasWhatWasCommittedAndNothingElse() {
    var kept = new ArrayList<StoredChunk>();
    DiskVolume first = open();
    try (first) {
      kept.add(store(first, 1, 1));
      kept.add(store(first, 2, 5 << 20));
      store(first, 3, 70_000);
      kept.add(store(first, 4, 14 << 20)); // a second segment
      append(first, 5, 70_000);
      append(first, 6, 70_000).abort();
      first.delete(List.of(id(3)));
    }
    try (DiskVolume again = open()) {
      assertThat(again.id()).isEqualTo(first.id());
      assertThat(again.incarnation()).isEqualTo(first.incarnation());
      assertThat(again.list(GROUP, Optional.empty(), 9)).isEqualTo(kept);
      assertThat(again.usage().usedBytes()).isEqualTo(4096 + (19 << 20));
      verify(again, 1, 1);
      verify(again, 2, 5 << 20);
      verify(again, 4, 14 << 20);
      store(again, 3, 80_000);
      verify(again, 3, 80_000);
      verify(again, 2, 5 << 20);
    }
  }

  @Test
  void aFlippedBitInDataIsCorruptAndOnlyThere() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 200_000);
      flip(DATA_START + 70_000);
      assertFails(
          ErrorCode.CORRUPT,
          () -> volume.read(id(1), 66_000, 10, pool),
          directory.toString(),
          id(1).toString(),
          "65536 to 131072");
      Bytes before = volume.read(id(1), 0, 65_536, pool);
      before.release();
      Bytes after = volume.read(id(1), 131_072, 60_000, pool);
      after.release();
    }
  }

  @Test
  void aFlippedBitInASlotLosesThatChunkOnly() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 200_000);
      store(volume, 2, 200_000);
    }
    long disk = VolumeMeta.read(directory).disk();
    flip(53);
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isNotEqualTo(disk);
      assertThat(volume.find(id(1))).isEmpty();
      disk = volume.incarnation().disk();
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isEqualTo(disk);
      verify(volume, 2, 200_000);
      store(volume, 1, 200_000);
      verify(volume, 1, 200_000);
    }
  }

  @Test
  void aTruncatedSegmentLosesWhatLayBehindItsEnd() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 4096);
      store(volume, 2, 200_000);
    }
    try (FileChannel file = FileChannel.open(segment(0), StandardOpenOption.WRITE)) {
      file.truncate(DATA_START + 4096 + 1000);
    }
    long disk = VolumeMeta.read(directory).disk();
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isNotEqualTo(disk);
      verify(volume, 1, 4096);
      assertFails(ErrorCode.CORRUPT, () -> volume.read(id(2), 0, 1, pool), id(2).toString());
    }
  }

  @Test
  void aVolumeThatLostASegmentIsAnotherIncarnationOnce() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 14 << 20);
      store(volume, 2, 14 << 20);
    }
    long disk = VolumeMeta.read(directory).disk();
    Files.delete(segment(0));
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isNotEqualTo(disk);
      assertThat(volume.find(id(1))).isEmpty();
      verify(volume, 2, 14 << 20);
      disk = volume.incarnation().disk();
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isEqualTo(disk);
      store(volume, 1, 14 << 20);
      verify(volume, 2, 14 << 20);
    }
  }

  @Test
  void aVolumeThatLostItsLastSegmentsIsAnotherIncarnationToo() throws IOException {
    long disk;
    try (DiskVolume volume = open()) {
      store(volume, 1, 14 << 20);
      store(volume, 2, 14 << 20);
      disk = volume.incarnation().disk();
    }
    Files.delete(segment(1));
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isNotEqualTo(disk);
      assertThat(volume.find(id(2))).isEmpty();
      verify(volume, 1, 14 << 20);
      disk = volume.incarnation().disk();
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isEqualTo(disk);
    }
    Files.delete(segment(0));
    Files.delete(segment(1));
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isNotEqualTo(disk);
      store(volume, 3, 14 << 20);
      verify(volume, 3, 14 << 20);
    }
  }

  @Test
  void segmentsWithoutTheirMetaAreNotFormattedOver() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 5000);
    }
    Path meta = directory.resolve("volume.meta");
    byte[] text = Files.readAllBytes(meta);
    Files.delete(meta);
    assertFails(ErrorCode.CORRUPT, this::open, directory.toString(), "volume.meta");
    Files.write(meta, text);
    try (DiskVolume volume = open()) {
      verify(volume, 1, 5000);
    }
  }

  @Test
  void garbageInTheHeaderTableIsFreeRoom() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 5000);
    }
    byte[] garbage = new byte[(int) DATA_START - 4096];
    new Random(5).nextBytes(garbage);
    try (FileChannel file = FileChannel.open(segment(0), StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap(garbage), 4096);
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.usage().chunks()).isEqualTo(1);
      for (int i = 2; i <= 256; i++) {
        store(volume, i, 5000);
      }
      verify(volume, 1, 5000);
      verify(volume, 256, 5000);
    }
  }

  @Test
  void slotsThatClaimTheSameRoomAreBothDroppedForEver() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 8192);
      store(volume, 2, 8192);
      store(volume, 3, 8192);
    }
    var stored = new StoredChunk(id(9), GROUP, new Epoch(1), 4096, 77);
    ByteBuffer slot = ByteBuffer.allocate(4096);
    new Slot(stored, false, 256 + 1, 64 << 10, new int[] {77}).write(slot);
    try (FileChannel file = FileChannel.open(segment(0), StandardOpenOption.WRITE)) {
      file.write(slot.flip(), 7 * 4096);
    }
    for (int i = 0; i < 2; i++) {
      try (DiskVolume volume = open()) {
        assertThat(volume.list(GROUP, Optional.empty(), 9))
            .extracting(StoredChunk::id)
            .containsExactly(id(2), id(3));
        assertThat(volume.usage().usedBytes()).isEqualTo(2 * 8192);
      }
    }
  }

  @Test
  void aChunkThatStandsInTwoSlotsIsKeptOnce() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 1, 8192);
    }
    byte[] slot = new byte[4096];
    try (FileChannel file =
        FileChannel.open(segment(0), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      file.read(ByteBuffer.wrap(slot), 0);
      ByteBuffer other = ByteBuffer.allocate(4096);
      Slot read = Slot.read(ByteBuffer.wrap(slot), 0).orElseThrow();
      new Slot(read.chunk(), false, 256 + 10, 64 << 10, read.blockCrcs()).write(other);
      file.write(other.flip(), 5 * 4096);
    }
    try (DiskVolume volume = open()) {
      verify(volume, 1, 8192);
      volume.delete(List.of(id(1)));
    }
    try (DiskVolume volume = open()) {
      assertThat(volume.usage().chunks()).isZero();
    }
  }

  @Test
  void ofAChunkInTwoSlotsTheOneWithItsDataStays() throws IOException {
    try (DiskVolume volume = open()) {
      store(volume, 2, 8192);
      store(volume, 1, 8192);
      volume.delete(List.of(id(2)));
    }
    ByteBuffer slot = ByteBuffer.allocate(4096);
    try (FileChannel file =
        FileChannel.open(segment(0), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      file.read(slot, 4096);
      ByteBuffer stale = ByteBuffer.allocate(4096);
      Slot read = Slot.read(slot, 0).orElseThrow();
      new Slot(read.chunk(), false, 256, 64 << 10, read.blockCrcs()).write(stale);
      file.write(stale.flip(), 0);
    }
    for (int i = 0; i < 2; i++) {
      try (DiskVolume volume = open()) {
        verify(volume, 1, 8192);
        assertThat(volume.usage().usedBytes()).isEqualTo(8192);
        assertThat(volume.list(GROUP, Optional.empty(), 9)).hasSize(1);
      }
    }
  }

  private DiskVolume openInBoot(long boot) {
    return DiskVolume.open(env, directory, SETTINGS, FileChannel::open, boot);
  }

  @Test
  void whatABootOfTheMachineHasTornIsHeldNoMoreOnceItIsSettled() throws IOException {
    try (DiskVolume volume = openInBoot(1)) {
      store(volume, 1, 8192);
      store(volume, 2, 8192);
    }
    notInOrder();
    flip(DATA_START);
    try (DiskVolume volume = openInBoot(2)) {
      volume.settle(GROUP);
      assertThat(volume.find(id(1))).isEmpty();
      verify(volume, 2, 8192);
      store(volume, 1, 8192);
      verify(volume, 1, 8192);
      while (!meta().contains("boot=2\n")) {
        Thread.onSpinWait();
      }
    }
    notInOrder();
    // The process alone begins anew: nothing is looked at again.
    flip(DATA_START + 8192);
    try (DiskVolume volume = openInBoot(2)) {
      volume.settle(GROUP);
      assertThat(volume.find(id(2))).isPresent();
    }
  }

  @Test
  void afterAnEndInOrderTheNextBootLooksAtNothing() throws IOException {
    try (DiskVolume volume = openInBoot(1)) {
      store(volume, 1, 8192);
    }
    flip(DATA_START);
    for (long boot = 2; boot < 4; boot++) {
      try (DiskVolume volume = openInBoot(boot)) {
        volume.settle(GROUP);
        assertThat(volume.find(id(1))).isPresent();
        assertThat(meta()).contains("closed=false").contains("boot=" + boot + "\n");
      }
      assertThat(meta()).contains("closed=true");
    }
  }

  private String meta() throws IOException {
    return Files.readString(directory.resolve("volume.meta"));
  }

  /** As if the machine had stopped. */
  private void notInOrder() throws IOException {
    Files.writeString(
        directory.resolve("volume.meta"), meta().replace("closed=true", "closed=false"));
  }

  @Test
  void aSlotHasTheBytesThatTheFormatPageDraws() {
    var chunk = new StoredChunk(id(0x0102), new GroupId(5), new Epoch(6), 70_000, 0x0A0B0C0D);
    ByteBuffer slot = ByteBuffer.allocate(4096);
    new Slot(chunk, false, 300, 64 << 10, new int[] {0x11223344, 0x55667788}).write(slot);
    assertThat(HexFormat.of().formatHex(slot.array(), 0, 60))
        .isEqualTo(
            "4642534c"
                + "0001"
                + "0000"
                + "0000000000000003"
                + "0000000000000102"
                + "00000005"
                + "00011170"
                + "0000000000000006"
                + "0000012c"
                + "0a0b0c0d"
                + "00000002"
                + "11223344"
                + "55667788");
    var crc = new java.util.zip.CRC32C();
    crc.update(slot.array(), 0, 60);
    assertThat(slot.getInt(60)).isEqualTo((int) crc.getValue());
    assertThat(slot.slice(64, 4032)).isEqualTo(ByteBuffer.allocate(4032));
    Slot read = Slot.read(slot, 0).orElseThrow();
    assertThat(read.chunk()).isEqualTo(chunk);
    assertThat(read.offsetBlocks()).isEqualTo(300);
    assertThat(read.blockCrcs()).containsExactly(0x11223344, 0x55667788);
  }

  @Test
  void anotherFormatIsRefusedAndADamagedMetaSaysSo() throws IOException {
    open().close();
    Path meta = directory.resolve("volume.meta");
    String text = Files.readString(meta);
    Files.writeString(meta, text.replace("format=1", "format=2"));
    assertFails(ErrorCode.WRONG_VERSION, this::open, meta.toString(), "2");
    Files.writeString(meta, "nonsense");
    assertFails(ErrorCode.CORRUPT, this::open, meta.toString());
    Files.writeString(meta, text);
    open().close();
  }

  @Test
  void aVolumeBelongsToOneCluster() {
    try (DiskVolume volume = open()) {
      volume.bindCluster("one");
      volume.bindCluster("one");
    }
    try (DiskVolume volume = open()) {
      assertFails(
          ErrorCode.WRONG_CLUSTER,
          () -> volume.bindCluster("two"),
          directory.toString(),
          "one",
          "two");
    }
  }

  @Test
  void aDirectoryIsOpenOnce() {
    try (DiskVolume volume = open()) {
      assertFails(ErrorCode.CONFIGURATION, this::open, directory.toString(), "in use");
      store(volume, 1, 10);
    }
    open().close();
  }

  @Test
  void aDirectoryThatIsAFileIsRefusedWithItsPath() throws IOException {
    Path file = Files.createFile(directory.resolve("file"));
    assertFails(
        ErrorCode.CONFIGURATION, () -> DiskVolume.open(env, file, SETTINGS), file.toString());
  }

  @Test
  void aFileSystemInMemoryWorksToo() throws IOException {
    Path shm = Path.of("/dev/shm");
    Assumptions.assumeTrue(Files.isWritable(shm));
    Path there = Files.createTempDirectory(shm, "forebay-disk-test");
    try {
      try (DiskVolume volume = DiskVolume.open(env, there, SETTINGS)) {
        store(volume, 1, 300_001);
        verify(volume, 1, 300_001);
      }
      try (DiskVolume volume = DiskVolume.open(env, there, SETTINGS)) {
        verify(volume, 1, 300_001);
      }
    } finally {
      try (var files = Files.walk(there)) {
        for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  @Test
  void aClosedVolumeSaysSoAndKeepsNoBuffer() {
    DiskVolume volume = open();
    store(volume, 1, 10);
    ChunkAppender appender = append(volume, 2, 10);
    volume.close();
    assertFails(ErrorCode.UNAVAILABLE, () -> volume.read(id(1), 0, 1, pool));
    assertFails(ErrorCode.UNAVAILABLE, () -> store(volume, 3, 1));
    assertFails(ErrorCode.UNAVAILABLE, () -> appender.commit(10, content(2, 10).crc32c()));
    appender.abort();
    volume.close();
  }

  @Test
  void aChunkThatNoSegmentHoldsIsRefusedAndMakesNone() {
    try (DiskVolume volume = open()) {
      assertThatThrownBy(
              () -> volume.append(id(1), GROUP, new Epoch(1), SEGMENT_BYTES, Durability.REPLICATED))
          .isInstanceOfSatisfying(
              ForebayException.class,
              refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION))
          .hasMessageContaining("smaller chunks");
      assertThat(segment(0)).doesNotExist();
    }
  }

  @Test
  void anInterruptedReadKeepsNoBuffer() {
    try (DiskVolume volume = open()) {
      store(volume, 1, 200_000);
      for (int i = 0; i < 200; i++) {
        Thread.currentThread().interrupt();
        try {
          volume.read(id(1), 0, 200_000, pool).release();
        } catch (ForebayException cancelled) {
          assertThat(cancelled.code()).isEqualTo(ErrorCode.CANCELLED);
        } finally {
          assertThat(Thread.interrupted()).isTrue();
        }
      }
    }
  }

  @Test
  void anInterruptedCommitLeavesAllOrNothing() {
    var committed = new ArrayList<Long>();
    try (DiskVolume volume = open()) {
      for (long i = 1; i <= 100; i++) {
        ChunkAppender appender = append(volume, i, 5000);
        Thread.currentThread().interrupt();
        try {
          appender.commit(5000, content(i, 5000).crc32c());
          committed.add(i);
        } catch (ForebayException cancelled) {
          assertThat(cancelled.code()).isEqualTo(ErrorCode.CANCELLED);
        } finally {
          assertThat(Thread.interrupted()).isTrue();
        }
      }
      assertThat(volume.list(GROUP, Optional.empty(), 1000))
          .extracting(chunk -> chunk.id().sequence())
          .isEqualTo(committed);
    }
    try (DiskVolume volume = open()) {
      committed.forEach(sequence -> verify(volume, sequence, 5000));
      // A cancelled commit that met the close may be there too: then it is whole.
      for (StoredChunk chunk : volume.list(GROUP, Optional.empty(), 1000)) {
        verify(volume, chunk.id().sequence(), 5000);
      }
    }
  }

  @Tag("e2e")
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void whatAKilledProcessAcknowledgedIsBack(long seed) throws Exception {
    var random = new Random(seed);
    int acknowledgements = 20 + random.nextInt(400);
    var held = new java.util.TreeMap<Long, Integer>();
    var gone = new java.util.TreeSet<Long>();
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                DiskVolumeChild.class.getName(),
                directory.toString(),
                Long.toString(seed))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader lines = child.inputReader()) {
      String line;
      int seen = 0;
      while ((line = lines.readLine()) != null) {
        if (!line.endsWith(" .")) {
          continue; // cut short by the kill
        }
        String[] words = line.split(" ", -1);
        long sequence = Long.parseLong(words[1]);
        switch (words[0]) {
          case "kept" -> held.put(sequence, Integer.parseInt(words[2]));
          case "deleting" -> held.remove(sequence);
          case "deleted" -> gone.add(sequence);
          default -> throw new AssertionError(line);
        }
        if (++seen == acknowledgements) {
          // SIGKILL. By its handle, which leaves the pipe open: the rest is read on to the end.
          child.toHandle().destroyForcibly();
        }
      }
    } finally {
      child.destroyForcibly().waitFor();
    }
    assertThat(child.exitValue()).isEqualTo(137);
    assertThat(held).isNotEmpty();
    long disk = VolumeMeta.read(directory).disk();
    try (DiskVolume volume = open()) {
      assertThat(volume.incarnation().disk()).isEqualTo(disk); // a kill is no damage
      held.forEach((sequence, length) -> verify(volume, sequence, length));
      gone.forEach(sequence -> assertThat(volume.find(id(sequence))).isEmpty());
      for (StoredChunk chunk : volume.list(GROUP, Optional.empty(), 100_000)) {
        // Not acknowledged, yet there: then it is whole.
        verify(volume, chunk.id().sequence(), chunk.lengthBytes());
      }
    }
  }
}
