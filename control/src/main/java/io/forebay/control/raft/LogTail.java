package io.forebay.control.raft;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.apache.ratis.proto.RaftProtos.LogEntryProto;
import org.apache.ratis.thirdparty.com.google.protobuf.InvalidProtocolBufferException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The end of a Raft log after a power cut. Of entries whose sync was under way some sectors may be
 * on the disk and others not, in any order. None of them was acknowledged by this voter; but Ratis
 * takes them for a damaged log, and does not start. So the file is cut where the first such entry
 * begins.
 *
 * <p>A file is filled with zeros before it is written, thus an entry that is torn has a sector of
 * zeros, or is not there to its end. One with a wrong checksum that has none is damaged: it may
 * have been acknowledged, and stays, for Ratis to refuse.
 *
 * <p>What looks torn may be damage, too: a length with a wrong bit, a sector that reads as zeros.
 * An entry that was synced once must not go: this voter may have been one of the majority that has
 * it. It was, and nothing is cut, where
 *
 * <ul>
 *   <li>the map has applied it. (A leader may apply what a majority of the others has synced before
 *       itself; that its map has kept this through a power cut and its log has not is not to be
 *       expected, and costs a person's look.)
 *   <li>a whole entry begins before its length says that it ends: a length that was not written
 *       reads as zeros, never as too much;
 *   <li>a later entry says that it is committed;
 *   <li>more entries follow than are ever written between two syncs.
 * </ul>
 *
 * <p>What is left is a sector of zeros among the last entries, of which no sign says that they were
 * synced.
 *
 * <pre>
 * log_inprogress_N: "RaftLog1", entries from index N on, zeros.
 * Entry: length of the body (varint), body, CRC32C of both (4 bytes, big-endian).
 * </pre>
 */
final class LogTail {
  /** Most entries that Ratis writes between two syncs. */
  static final int MOST_UNSYNCED = 128;

  private static final Logger LOG = LoggerFactory.getLogger(LogTail.class);
  private static final String WRITTEN = "log_inprogress_";
  private static final int HEADER_BYTES = 8;
  private static final int SECTOR_BYTES = 512;
  private static final int MOST_VARINT_BYTES = 5;
  private static final byte TERM = LogEntryProto.TERM_FIELD_NUMBER << 3; // as a varint

  private final Path file;
  private final ByteBuffer log;
  private long index;

  /** Where a torn entry begins, and ends by what it says; the same where it says nothing. */
  private record Torn(int start, int end) {}

  private LogTail(Path file) throws IOException {
    this.file = file;
    this.log = ByteBuffer.wrap(Files.readAllBytes(file));
    this.index = Long.parseLong(file.getFileName().toString().substring(WRITTEN.length()));
  }

  /**
   * Cuts what is torn off the log of a voter that does not run.
   *
   * @param group Ratis' directory of the log
   * @param applied index up to which the voter's map has applied it; -1: nothing
   * @param alone whether there is no other voter, who would have what this log has lost
   * @throws ForebayException CORRUPT for what looks torn and may have been acknowledged, and where
   *     the log of the only voter ends before its map; nothing is changed then
   */
  static void mend(Path group, long applied, boolean alone) throws IOException {
    List<Path> written;
    try (Stream<Path> files = Files.walk(group)) {
      written = files.filter(file -> file.getFileName().toString().startsWith(WRITTEN)).toList();
    }
    for (Path file : written) {
      var tail = new LogTail(file);
      Optional<Torn> torn = tail.torn();
      if (torn.isPresent()) {
        tail.requireNeverSynced(torn.get(), applied);
        LOG.warn(
            "{} was being written when the machine stopped: cut at {}", file, torn.get().start());
        cut(file, torn.get().start());
      } else if (alone && tail.index <= applied) {
        // What is logged next would have the number of what is applied, and be passed over.
        throw new ForebayException(
            ErrorCode.CORRUPT,
            file
                + " ends before entry "
                + tail.index
                + ", and this voter, the only one, has applied all up to "
                + applied
                + ": the log has lost what it had; bring the file back");
      }
    }
  }

  /** What is cut down to its header, or less, has no entry: another is made in its place. */
  private static void cut(Path file, long lengthBytes) throws IOException {
    if (lengthBytes <= HEADER_BYTES) {
      Files.delete(file);
      return;
    }
    try (FileChannel log = FileChannel.open(file, StandardOpenOption.WRITE)) {
      log.truncate(lengthBytes);
    }
    Fsync.of(file);
  }

  /** The first torn entry; {@link #index} is its. */
  private Optional<Torn> torn() {
    if (log.limit() < HEADER_BYTES || isZero(0, HEADER_BYTES)) {
      return Optional.of(new Torn(0, 0));
    }
    int at = HEADER_BYTES;
    while (at < log.limit() && log.get(at) != 0) {
      int end = end(at);
      if (!isWhole(at, end)) {
        return end > log.limit() || hasZeroSector(at, end)
            ? Optional.of(new Torn(at, end))
            : Optional.empty();
      }
      at = end;
      index++;
    }
    boolean over = at >= log.limit() || isZero(at, log.limit());
    return over || !isZero(at, sectorEnd(at)) ? Optional.empty() : Optional.of(new Torn(at, at));
  }

  private void requireNeverSynced(Torn torn, long applied) {
    if (index <= applied) {
      throw damaged(torn, "this voter has applied it");
    }
    int at = torn.start() + 1;
    while (at < log.limit()) {
      Optional<LogEntryProto> later = laterAt(at);
      if (later.isEmpty()) {
        at++;
        continue;
      }
      LogEntryProto entry = later.get();
      if (at < torn.end()) {
        throw damaged(torn, "entry " + entry.getIndex() + " begins before its end");
      }
      if (entry.hasMetadataEntry() && entry.getMetadataEntry().getCommitIndex() >= index) {
        throw damaged(torn, "entry " + entry.getIndex() + " says that it is committed");
      }
      if (entry.getIndex() - index >= MOST_UNSYNCED) {
        throw damaged(torn, "too many follow, up to entry " + entry.getIndex());
      }
      at = end(at);
    }
  }

  private ForebayException damaged(Torn torn, String sign) {
    return new ForebayException(
        ErrorCode.CORRUPT,
        file
            + " is damaged at byte "
            + torn.start()
            + ", where entry "
            + index
            + " begins; it was synced once ("
            + sign
            + "), and may have been acknowledged, so it is not cut off: bring the file back; or,"
            + " when a majority of the other voters runs, move this voter's directory away, and it"
            + " is filled by them; until it has caught up, end no other voter, for this one votes"
            + " before it knows what was acknowledged");
  }

  /** A whole entry with a later index than the torn one's, if one begins here. */
  private Optional<LogEntryProto> laterAt(int start) {
    int end = end(start);
    int body = bodyOf(start);
    if (end > log.limit() || body >= end || log.get(body) != TERM || !isWhole(start, end)) {
      return Optional.empty();
    }
    try {
      return Optional.of(LogEntryProto.parseFrom(log.slice(body, end - Integer.BYTES - body)))
          .filter(entry -> entry.getIndex() > index);
    } catch (InvalidProtocolBufferException none) {
      return Optional.empty();
    }
  }

  /** Where an entry's body begins. */
  private int bodyOf(int start) {
    int at = start;
    while (at < log.limit() && log.get(at) < 0) {
      at++;
    }
    return at + 1;
  }

  /** Where an entry ends, checksum included; beyond the file when it says so or is cut short. */
  private int end(int start) {
    long length = 0;
    for (int i = 0; i < MOST_VARINT_BYTES && start + i < log.limit(); i++) {
      byte next = log.get(start + i);
      length |= (long) (next & 0x7F) << (7 * i);
      if (next >= 0) {
        return (int) Math.min(Integer.MAX_VALUE, start + i + 1 + length + Integer.BYTES);
      }
    }
    return Integer.MAX_VALUE;
  }

  private boolean isWhole(int start, int end) {
    if (end > log.limit()) {
      return false;
    }
    var crc = new CRC32C();
    crc.update(log.slice(start, end - Integer.BYTES - start));
    return (int) crc.getValue() == log.getInt(end - Integer.BYTES);
  }

  /** Whether nothing of a sector is there, from where the entry begins in it. */
  private boolean hasZeroSector(int start, int end) {
    for (int at = start; at < end; at = sectorEnd(at)) {
      if (isZero(at, sectorEnd(at))) {
        return true;
      }
    }
    return false;
  }

  private int sectorEnd(int at) {
    return Math.min(log.limit(), (at / SECTOR_BYTES + 1) * SECTOR_BYTES);
  }

  private boolean isZero(int from, int to) {
    for (int i = from; i < to; i++) {
      if (log.get(i) != 0) {
        return false;
      }
    }
    return true;
  }
}
