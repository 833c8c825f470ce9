package io.forebay.control.raft;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.apache.ratis.proto.RaftProtos.LogEntryProto;
import org.apache.ratis.proto.RaftProtos.MetadataProto;
import org.apache.ratis.proto.RaftProtos.StateMachineLogEntryProto;
import org.apache.ratis.thirdparty.com.google.protobuf.ByteString;
import org.apache.ratis.thirdparty.com.google.protobuf.CodedOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which ends of a log are cut off, and which are not. */
class LogTailTest {
  private static final int FIRST = 40;
  private static final int SECTOR = 512;
  private static final int TORN = 3; // place of the entry that tests damage

  @TempDir private Path group;
  private Path file;
  private final List<Integer> starts = new ArrayList<>();
  private final ByteArrayOutputStream written = new ByteArrayOutputStream();

  @BeforeEach
  void begin() {
    file = group.resolve("log_inprogress_" + FIRST);
    written.writeBytes("RaftLog1".getBytes(US_ASCII));
    for (int i = 0; i <= TORN; i++) {
      add(LogEntryProto.newBuilder(), 2_000);
    }
  }

  private void add(LogEntryProto.Builder entry, int payloadBytes) {
    byte[] payload = new byte[payloadBytes];
    var random = new Random(starts.size());
    for (int i = 0; i < payload.length; i++) {
      payload[i] = (byte) random.nextInt(1, 128);
    }
    if (!entry.hasMetadataEntry()) {
      entry.setStateMachineLogEntry(
          StateMachineLogEntryProto.newBuilder().setLogData(ByteString.copyFrom(payload)));
    }
    byte[] body = entry.setTerm(1).setIndex(FIRST + starts.size()).build().toByteArray();
    starts.add(written.size());
    var bytes = new ByteArrayOutputStream();
    try {
      CodedOutputStream out = CodedOutputStream.newInstance(bytes);
      out.writeUInt32NoTag(body.length);
      out.flush();
    } catch (IOException impossible) {
      throw new AssertionError(impossible);
    }
    bytes.writeBytes(body);
    var crc = new CRC32C();
    crc.update(bytes.toByteArray());
    written.writeBytes(bytes.toByteArray());
    written.writeBytes(ByteBuffer.allocate(4).putInt((int) crc.getValue()).array());
  }

  /** The log with a sector of the torn entry not written. */
  private byte[] torn() {
    byte[] log = written.toByteArray();
    int from = (starts.get(TORN) / SECTOR + 2) * SECTOR;
    Arrays.fill(log, from, from + SECTOR, (byte) 0);
    return log;
  }

  /** The log with another length of the torn entry, in the same two bytes. */
  private byte[] withLength(int length) {
    byte[] log = written.toByteArray();
    int at = starts.get(TORN);
    log[at] = (byte) (length | 0x80);
    log[at + 1] = (byte) (length >> 7);
    return log;
  }

  private void mend(byte[] log, long applied) throws IOException {
    Files.write(file, log);
    LogTail.mend(group, applied, false);
  }

  private void isCut(byte[] log) throws IOException {
    mend(log, FIRST + TORN - 1);
    assertThat(Files.readAllBytes(file)).isEqualTo(Arrays.copyOf(log, starts.get(TORN)));
  }

  private void isRefused(byte[] log, long applied, String sign) throws IOException {
    assertThatThrownBy(() -> mend(log, applied))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CORRUPT))
        .hasMessageContaining("entry " + (FIRST + TORN) + " begins")
        .hasMessageContaining(sign);
    assertThat(Files.readAllBytes(file)).isEqualTo(log);
  }

  @Test
  void anEntryWithASectorOfZerosIsCut() throws IOException {
    isCut(torn());
  }

  @Test
  void soIsOneBeforeOthersOfTheSameSync() throws IOException {
    for (int i = 1; i < LogTail.MOST_UNSYNCED; i++) {
      add(LogEntryProto.newBuilder(), 30);
    }
    isCut(torn());
  }

  @Test
  void oneThatRunsPastTheEndIsCut() throws IOException {
    isCut(Arrays.copyOf(written.toByteArray(), written.size() - 700));
  }

  @Test
  void whatTheMapHasAppliedIsNotCut() throws IOException {
    isRefused(torn(), FIRST + TORN, "has applied it");
    isRefused(
        Arrays.copyOf(written.toByteArray(), written.size() - 700), FIRST + TORN + 9, "applied");
  }

  @Test
  void theOnlyVotersLogDoesNotEndBeforeItsMap() throws IOException {
    byte[] log = Arrays.copyOf(written.toByteArray(), written.size() + 3 * SECTOR);
    Arrays.fill(log, starts.get(TORN), log.length, (byte) 0);
    Files.write(file, log);
    assertThatThrownBy(() -> LogTail.mend(group, FIRST + TORN, true))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CORRUPT))
        .hasMessageContaining("ends before entry " + (FIRST + TORN));
    LogTail.mend(group, FIRST + TORN - 1, true);
    LogTail.mend(group, FIRST + TORN, false); // the others have it
    assertThat(Files.readAllBytes(file)).isEqualTo(log);
  }

  @Test
  void whatALaterEntryCallsCommittedIsNotCut() throws IOException {
    add(
        LogEntryProto.newBuilder()
            .setMetadataEntry(MetadataProto.newBuilder().setCommitIndex(FIRST + TORN)),
        0);
    isRefused(torn(), -1, "committed");
  }

  @Test
  void whatALaterEntryDoesNotCallCommittedIsCut() throws IOException {
    add(
        LogEntryProto.newBuilder()
            .setMetadataEntry(MetadataProto.newBuilder().setCommitIndex(FIRST + TORN - 1)),
        0);
    isCut(torn());
  }

  @Test
  void whatTooManyEntriesFollowIsNotCut() throws IOException {
    for (int i = 0; i < LogTail.MOST_UNSYNCED; i++) {
      add(LogEntryProto.newBuilder(), 30);
    }
    isRefused(torn(), -1, "too many");
  }

  @Test
  void anEntryWhoseLengthIsDamagedIsNotCut() throws IOException {
    add(LogEntryProto.newBuilder(), 100);
    isRefused(withLength(16_000), -1, "begins before its end"); // past the end
    add(LogEntryProto.newBuilder(), 3_000);
    byte[] preallocated = Arrays.copyOf(withLength(8_000), 1 << 16);
    isRefused(preallocated, -1, "begins before its end"); // in zeros that nothing was written to
  }

  @Test
  void aFileWithoutItsHeaderIsCutOnlyWhereNothingOfItWasApplied() throws IOException {
    byte[] log = written.toByteArray();
    Arrays.fill(log, 0, SECTOR, (byte) 0);
    assertThatThrownBy(() -> mend(log, FIRST)).hasMessageContaining("has applied it");
    mend(log, FIRST - 1);
    assertThat(file).doesNotExist();
  }

  @Test
  void aFewZerosAtTheBeginningOfASectorAreNoLostSector() throws IOException {
    // The entry is damaged, and ends with zeros that are its own.
    byte[] log = written.toByteArray();
    int start = starts.get(TORN);
    log[start + 10] ^= 1;
    int lastSector = (log.length - 1) / SECTOR * SECTOR;
    byte[] longer = Arrays.copyOf(log, lastSector + SECTOR);
    Arrays.fill(longer, lastSector, log.length, (byte) 0);
    Arrays.fill(longer, log.length, longer.length, (byte) 1); // the next one
    mend(longer, -1);
    assertThat(Files.readAllBytes(file)).isEqualTo(longer);
  }
}
