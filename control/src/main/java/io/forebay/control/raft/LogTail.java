package io.forebay.control.raft;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The end of a Raft log after a power cut. Of entries whose sync was under way some sectors may be
 * on the disk and others not, in any order. None of them was acknowledged; but Ratis takes them for
 * a damaged log, and does not start. So the file is cut where the first such entry begins.
 *
 * <p>A file is filled with zeros before it is written, thus an entry that is torn has a sector of
 * zeros, or is not there to its end. One with a wrong checksum that has none is damaged: it may
 * have been acknowledged, and stays, for Ratis to refuse.
 *
 * <pre>
 * log_inprogress_N: "RaftLog1", entries, zeros.
 * Entry: length of the body (varint), body, CRC32C of both (4 bytes, big-endian).
 * </pre>
 */
final class LogTail {
  private static final Logger LOG = LoggerFactory.getLogger(LogTail.class);
  private static final int HEADER_BYTES = 8;
  private static final int SECTOR_BYTES = 512;
  private static final int MOST_VARINT_BYTES = 5;

  private LogTail() {}

  /**
   * Cuts what is torn off the logs of a voter that does not run.
   *
   * @param raft Ratis' directory
   */
  static void mend(Path raft) throws IOException {
    List<Path> written;
    try (Stream<Path> files = Files.walk(raft)) {
      written =
          files
              .filter(file -> file.getFileName().toString().startsWith("log_inprogress_"))
              .toList();
    }
    for (Path file : written) {
      OptionalLong torn = torn(ByteBuffer.wrap(Files.readAllBytes(file)));
      if (torn.isPresent()) {
        LOG.warn("{} was being written when the machine stopped: cut at {}", file, torn);
        cut(file, torn.getAsLong());
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

  /** Where the first torn entry begins. */
  private static OptionalLong torn(ByteBuffer log) {
    if (log.limit() < HEADER_BYTES || isZero(log, 0, HEADER_BYTES)) {
      return OptionalLong.of(0);
    }
    int at = HEADER_BYTES;
    while (at < log.limit() && log.get(at) != 0) {
      int end = end(log, at);
      if (end > log.limit() || !isWhole(log, at, end)) {
        return end > log.limit() || hasZeroSector(log, at, end)
            ? OptionalLong.of(at)
            : OptionalLong.empty();
      }
      at = end;
    }
    boolean over = at >= log.limit() || isZero(log, at, log.limit());
    return over || !isZero(log, at, sectorEnd(log, at))
        ? OptionalLong.empty()
        : OptionalLong.of(at);
  }

  /** Where an entry ends, checksum included; beyond the file when it says so or is cut short. */
  private static int end(ByteBuffer log, int start) {
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

  private static boolean isWhole(ByteBuffer log, int start, int end) {
    var crc = new CRC32C();
    crc.update(log.slice(start, end - Integer.BYTES - start));
    return (int) crc.getValue() == log.getInt(end - Integer.BYTES);
  }

  private static boolean hasZeroSector(ByteBuffer log, int start, int end) {
    for (int at = start; at < end; at = sectorEnd(log, at)) {
      if (isZero(log, at, Math.min(end, sectorEnd(log, at)))) {
        return true;
      }
    }
    return false;
  }

  private static int sectorEnd(ByteBuffer log, int at) {
    return Math.min(log.limit(), (at / SECTOR_BYTES + 1) * SECTOR_BYTES);
  }

  private static boolean isZero(ByteBuffer log, int from, int to) {
    for (int i = from; i < to; i++) {
      if (log.get(i) != 0) {
        return false;
      }
    }
    return true;
  }
}
