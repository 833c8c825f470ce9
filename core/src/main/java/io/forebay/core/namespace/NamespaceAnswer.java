package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.ObjectPart;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.UploadInfo;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a namespace answers to a query. */
public sealed interface NamespaceAnswer {
  /** Not answered, and why. */
  @Tag(1)
  record Refused(ErrorCode code, String message) implements NamespaceAnswer {
    /** As it is to be thrown. */
    public ForebayException exception() {
      return new ForebayException(code, message);
    }
  }

  /** An object and where its bytes are. */
  @Tag(2)
  record Found(ObjectHead object, Manifest manifest) implements NamespaceAnswer {}

  /** There is none. */
  @Tag(3)
  record Absent() implements NamespaceAnswer {}

  /**
   * A page.
   *
   * @param next the {@code startAfter} of the next page; empty: this was the last
   */
  @Tag(4)
  record Listing(List<ObjectHead> objects, List<String> commonPrefixes, Optional<String> next)
      implements NamespaceAnswer {
    public Listing {
      objects = List.copyOf(objects);
      commonPrefixes = List.copyOf(commonPrefixes);
    }
  }

  /** A page of uploads. */
  @Tag(5)
  record Uploads(List<UploadInfo> uploads, boolean more) implements NamespaceAnswer {
    public Uploads {
      uploads = List.copyOf(uploads);
    }
  }

  /**
   * A page of parts.
   *
   * @param headers of each part, in their order
   * @param uploadHeaders those that the upload was begun with
   */
  @Tag(6)
  record Parts(
      List<PartInfo> parts,
      boolean more,
      List<Map<String, String>> headers,
      Map<String, String> uploadHeaders)
      implements NamespaceAnswer {
    public Parts {
      parts = List.copyOf(parts);
      headers = List.copyOf(headers);
    }
  }

  /** One state per chunk, in their order. */
  @Tag(7)
  record Chunks(List<ChunkState> states) implements NamespaceAnswer {
    public Chunks {
      states = List.copyOf(states);
    }
  }

  /** What a flusher may take up. */
  @Tag(8)
  record Work(List<FlushItem> items) implements NamespaceAnswer {
    public Work {
      items = List.copyOf(items);
    }
  }

  /** The record; empty: the store neither has the key nor is to get it. */
  @Tag(9)
  record OfKey(Optional<FlushRecord> record) implements NamespaceAnswer {}

  /**
   * Counts over the records looked at.
   *
   * @param flushed objects that the store has
   * @param waiting objects and deletions on their way, troubled ones included
   * @param troubled failed, in conflict or blocked; at most 1,000
   * @param next the {@code startAfter} to go on with; empty: that was all
   */
  @Tag(10)
  record Status(
      long flushed,
      long waiting,
      long waitingBytes,
      List<FlushEntry> troubled,
      Optional<String> next)
      implements NamespaceAnswer {
    public Status {
      troubled = List.copyOf(troubled);
    }
  }

  /** Conflicts by key. */
  @Tag(11)
  record Conflicting(List<ConflictEntry> conflicts, Optional<String> next)
      implements NamespaceAnswer {
    public Conflicting {
      conflicts = List.copyOf(conflicts);
    }
  }

  /** Open sessions by id. */
  @Tag(12)
  record OpenSessions(List<SessionEntry> sessions) implements NamespaceAnswer {
    public OpenSessions {
      sessions = List.copyOf(sessions);
    }
  }

  /** A page of the parts that a generation was made of; empty when it came otherwise. */
  @Tag(13)
  record MadeParts(List<ObjectPart> parts, boolean more) implements NamespaceAnswer {
    public MadeParts {
      parts = List.copyOf(parts);
    }
  }

  /** What a bucket holds, and how much it may. */
  @Tag(14)
  record Use(BucketUse use) implements NamespaceAnswer {}

  /** The policies of each bucket that has any. */
  @Tag(17)
  record Policies(List<BucketPolicies> buckets) implements NamespaceAnswer {
    public Policies {
      buckets = List.copyOf(buckets);
    }
  }
}
