package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.PartInfo;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.UploadId;
import java.util.List;
import java.util.Optional;

/** What a namespace's log answers to a command. */
public sealed interface NamespaceResult {
  /** Done, or done before. */
  @Tag(1)
  record Done() implements NamespaceResult {}

  /** Nothing changed, and why. */
  @Tag(2)
  record Refused(ErrorCode code, String message) implements NamespaceResult {
    /** As it is to be thrown. */
    public ForebayException exception() {
      return new ForebayException(code, message);
    }
  }

  /** A new session; its chunks are numbered from 1. */
  @Tag(3)
  record SessionOpened(SessionId session) implements NamespaceResult {}

  /** The new generation. */
  @Tag(4)
  record Published(ObjectHead object) implements NamespaceResult {}

  /** Nothing changed: these chunks are not owed any more and must be written anew (rule G3). */
  @Tag(5)
  record NotOwed(List<ChunkRange> ranges) implements NamespaceResult {
    public NotOwed {
      ranges = List.copyOf(ranges);
    }
  }

  /** Whether there was an object. */
  @Tag(6)
  record Deleted(boolean existed) implements NamespaceResult {}

  /** One answer per key, in their order; a missing refusal is success. */
  @Tag(7)
  record DeletedMany(List<OneDeleted> keys) implements NamespaceResult {
    public DeletedMany {
      keys = List.copyOf(keys);
    }

    /** What became of one key. */
    public record OneDeleted(String key, boolean existed, Optional<Refused> refused) {}
  }

  /** How many objects were renamed one by one; 0: a directory was moved as a whole. */
  @Tag(8)
  record Renamed(int objects) implements NamespaceResult {}

  /** A new upload. */
  @Tag(9)
  record UploadCreated(UploadId upload) implements NamespaceResult {}

  /** The part as it is now. */
  @Tag(10)
  record PartLogged(PartInfo part) implements NamespaceResult {}

  /** An attempt is open: send. */
  @Tag(11)
  record FlushStarted(FlushTask task) implements NamespaceResult {}

  /** The HEAD decided; the record as it is now, empty when nothing is left to know. */
  @Tag(12)
  record FlushDecided(Optional<FlushRecord> record) implements NamespaceResult {}

  /** The open attempt's new lease. */
  @Tag(13)
  record FlushExtended(long leaseMillis) implements NamespaceResult {}

  /**
   * @param records how many were looked at
   * @param next the {@code startAfter} to go on with; empty: that was all
   */
  @Tag(14)
  record Hastened(int records, Optional<String> next) implements NamespaceResult {}

  /**
   * @param count how many things were let go
   * @param more whether more have run out
   */
  @Tag(15)
  record Expired(int count, boolean more) implements NamespaceResult {}
}
