package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.BucketId;
import io.forebay.core.namespace.Rows.UseRow;
import io.forebay.core.sorted.Overlay;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.TreeMap;

/**
 * How much each bucket holds, and how much it may.
 *
 * <p>A bucket <i>holds</i> the bytes that its generations and the parts of its uploads owe: they
 * are in no store, so nothing but their flush or their end makes room of them. A superseded
 * generation holds its bytes until its read grace is over, for so long they are on the disks; two
 * that share chunks hold them twice, but for a rename and a copy of an object onto itself, where
 * the newer takes them over.
 *
 * <p>Each row remembers what was counted of it, so that just that is given back. Not so rows of
 * before the log's level allowed quotas: its voters may have begun to count at different entries,
 * so those count nothing.
 */
final class Uses {
  private final Overlay out;
  private final Map<BucketId, Long> changes = new TreeMap<>();

  Uses(Overlay out) {
    this.out = out;
  }

  /** What a generation or part with this manifest holds. */
  static long heldBytes(Manifest manifest) {
    return switch (manifest) {
      case Manifest.Stored stored -> 0;
      case Manifest.None none -> 0;
      case Manifest.Joined joined ->
          joined.segments().stream()
              .filter(segment -> heldBytes(segment.manifest()) > 0)
              .mapToLong(Manifest.Segment::lengthBytes)
              .sum();
      case Manifest.Inline inline -> inline.lengthBytes();
      case Manifest.Extents list -> list.lengthBytes();
      case Manifest.InChunk hidden -> hidden.lengthBytes();
    };
  }

  /**
   * Counts anew, from nothing: what the generations and parts hold whose ids are greater.
   *
   * @param id the last one given out
   */
  static void countBeyond(long id, Overlay out) {
    var quotas = new TreeMap<BucketId, Long>();
    out.scan(
        Keys.kind(Keys.USE),
        Keys.behind(Keys.kind(Keys.USE)),
        (key, value) -> {
          quotas.put(
              new BucketId(Keys.longAt(key, 1)),
              RecordCodec.of(UseRow.class).decode(value).quotaBytes());
          return true;
        });
    quotas.forEach((bucket, quotaBytes) -> put(out, bucket, new UseRow(0, quotaBytes)));
    out.put(Keys.kind(Keys.UNCOUNTED), ByteBuffer.allocate(Long.BYTES).putLong(id).array());
  }

  /**
   * A generation or part has bytes held by its bucket from now on, or no more.
   *
   * @param bytes negative: no more
   */
  void add(BucketId bucket, long owner, long bytes) {
    if (bytes != 0 && owner > uncounted()) {
      changes.merge(bucket, bytes, Long::sum);
    }
  }

  /** The last id whose bytes do not count. */
  private long uncounted() {
    return out.get(Keys.kind(Keys.UNCOUNTED), value -> ByteBuffer.wrap(value).getLong()).orElse(0L);
  }

  /**
   * Counts what the command has changed.
   *
   * @throws Rows.Refusal QUOTA_EXCEEDED when it adds to a bucket that may not hold so much
   */
  void settle() {
    changes.forEach((bucket, bytes) -> {
      if (bytes == 0) {
        return;
      }
      UseRow use = of(out, bucket);
      long held = use.heldBytes() + bytes;
      if (bytes > 0 && use.quotaBytes() > 0 && held > use.quotaBytes()) {
        throw refuse(
            ErrorCode.QUOTA_EXCEEDED,
            "the bucket may hold "
                + use.quotaBytes()
                + " bytes that are in no store, and holds "
                + use.heldBytes()
                + "; this would add "
                + bytes);
      }
      put(out, bucket, new UseRow(held, use.quotaBytes()));
    });
  }

  void setQuota(BucketId bucket, long quotaBytes) {
    put(out, bucket, new UseRow(of(out, bucket).heldBytes(), quotaBytes));
  }

  private static void put(Overlay out, BucketId bucket, UseRow use) {
    byte[] key = Keys.of(Keys.USE, bucket.value());
    if (use.equals(UseRow.NONE)) {
      out.remove(key);
    } else {
      out.put(key, Rows.bytes(UseRow.class, use));
    }
  }

  static UseRow of(SortedMap.View view, BucketId bucket) {
    return Rows.get(view, Keys.of(Keys.USE, bucket.value()), UseRow.class).orElse(UseRow.NONE);
  }
}
