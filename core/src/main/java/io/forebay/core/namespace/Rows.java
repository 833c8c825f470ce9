package io.forebay.core.namespace;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.codec.Tag;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.InodeId;
import io.forebay.core.id.NodeId;
import io.forebay.core.sorted.SortedMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The values of the map. */
final class Rows {
  private Rows() {}

  record SessionRow(NodeId node, long openedMillis, long lowWater, long answeredBelow) {}

  record BucketRow(InodeId root, boolean sealed) {}

  /**
   * What a bucket holds in this shard; no row: nothing, and no quota.
   *
   * @param heldBytes the sum of its generations' and parts'
   * @param quotaBytes 0: none
   */
  record UseRow(long heldBytes, long quotaBytes) {
    static final UseRow NONE = new UseRow(0, 0);
  }

  /** The policies of a bucket; no row: none. */
  record PoliciesRow(List<PrefixPolicy> policies) {}

  sealed interface Entry {
    @Tag(1)
    record Directory(InodeId inode) implements Entry {}

    @Tag(2)
    record File(InodeId inode, Generation generation) implements Entry {}
  }

  /**
   * A generation, live or superseded.
   *
   * @param clean final once true (rule R13)
   * @param storeEtag set when it turns clean
   * @param heldBytes what its bucket's use counts of it; 0 once it is clean, or another generation
   *     took its bytes over
   */
  record GenerationRow(
      BucketId bucket,
      InodeId inode,
      long lengthBytes,
      String etag,
      ObjectMetadata metadata,
      long modifiedMillis,
      boolean clean,
      Optional<String> storeEtag,
      long heldBytes) {
    GenerationRow cleanUnder(Optional<String> etagOfStore) {
      return new GenerationRow(
          bucket, inode, lengthBytes, etag, metadata, modifiedMillis, true, etagOfStore, 0);
    }

    GenerationRow with(ObjectMetadata changed) {
      return new GenerationRow(
          bucket, inode, lengthBytes, etag, changed, modifiedMillis, clean, storeEtag, heldBytes);
    }

    GenerationRow uncounted() {
      return new GenerationRow(
          bucket, inode, lengthBytes, etag, metadata, modifiedMillis, clean, storeEtag, 0);
    }
  }

  /**
   * A flush record and where it stands in the queue.
   *
   * @param queuedMillis -1: nowhere
   */
  record FlushRow(FlushRecord record, long queuedMillis) {}

  record UploadRow(
      BucketId bucket,
      String key,
      ObjectMetadata metadata,
      long createdMillis,
      long expiresMillis) {}

  /**
   * A part of an upload.
   *
   * @param heldBytes what its bucket's use counts of it
   */
  record PartRow(
      long owner,
      long lengthBytes,
      String etag,
      long modifiedMillis,
      Map<String, String> headers,
      long heldBytes) {}

  /** A part that a generation was made of; its number is in the key. */
  record MadePartRow(long offset, long lengthBytes, Map<String, String> headers) {}

  record CompletedRow(BucketId bucket, String key, Generation generation) {}

  static <T> Optional<T> get(SortedMap.View view, byte[] key, Class<T> type) {
    return view.get(key, RecordCodec.of(type)::decode);
  }

  static <T> byte[] bytes(Class<T> type, T value) {
    return RecordCodec.of(type).encode(value);
  }

  /** Ends a command without a change. */
  static final class Refusal extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final transient NamespaceResult result;

    Refusal(NamespaceResult result) {
      super("", null, false, false);
      this.result = result;
    }

    NamespaceResult result() {
      return result;
    }
  }

  static Refusal refuse(ErrorCode code, String message) {
    return new Refusal(new NamespaceResult.Refused(code, message));
  }
}
