package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.BucketId;
import io.forebay.core.namespace.Rows.UseRow;
import io.forebay.core.sorted.Overlay;
import io.forebay.core.sorted.SortedMap;
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
 * <p>Each row remembers what was counted of it, so that just that is given back, whatever an older
 * version had counted, which was nothing.
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

  /** A bucket holds more bytes than before the command, or less. */
  void add(BucketId bucket, long bytes) {
    changes.merge(bucket, bytes, Long::sum);
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
      put(bucket, new UseRow(held, use.quotaBytes()));
    });
  }

  void setQuota(BucketId bucket, long quotaBytes) {
    put(bucket, new UseRow(of(out, bucket).heldBytes(), quotaBytes));
  }

  private void put(BucketId bucket, UseRow use) {
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
