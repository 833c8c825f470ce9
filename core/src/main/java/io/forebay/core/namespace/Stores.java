package io.forebay.core.namespace;

import io.forebay.core.id.BucketId;
import io.forebay.core.namespace.Manifest.Segment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Manifests and the store: what refers to it, and what becomes a reference (rule R13). */
final class Stores {
  private Stores() {}

  /** Whether everything is in the manifest itself, so that nothing is ever owed or referred to. */
  static boolean isInline(Manifest manifest) {
    return switch (manifest) {
      case Manifest.Inline inline -> true;
      case Manifest.Joined joined ->
          joined.segments().stream().allMatch(segment -> isInline(segment.manifest()));
      case Manifest.Extents list -> list.extents().isEmpty();
      case Manifest.InChunk hidden -> false;
      case Manifest.Stored stored -> false;
      case Manifest.None none -> false;
    };
  }

  static List<StoreRef> refs(Manifest manifest) {
    return switch (manifest) {
      case Manifest.Stored stored -> List.of(stored.ref());
      case Manifest.Joined joined ->
          joined.segments().stream().flatMap(s -> refs(s.manifest()).stream()).toList();
      case Manifest.Inline inline -> List.of();
      case Manifest.Extents list -> List.of();
      case Manifest.InChunk hidden -> List.of();
      case Manifest.None none -> List.of();
    };
  }

  /** What takes over the bytes of a clean generation. */
  static Manifest taken(Manifest manifest, BucketId bucket, String key, String etag) {
    if (isInline(manifest)) {
      return manifest;
    }
    return new Manifest.Stored(
        new StoreRef(bucket, key, etag, 0, manifest.lengthBytes()), hint(manifest));
  }

  /** The manifest of a generation that is now in the store itself: references lead to it. */
  static Manifest settled(Manifest manifest, BucketId bucket, String key, String etag) {
    return led(manifest, bucket, key, etag, ref -> true);
  }

  /** The same of the references to other versions of this very key. */
  static Manifest repointed(Manifest manifest, BucketId bucket, String key, String etag) {
    return led(
        manifest,
        bucket,
        key,
        etag,
        ref -> ref.bucket().equals(bucket) && ref.key().equals(key) && !ref.etag().equals(etag));
  }

  private static Manifest led(
      Manifest manifest, BucketId bucket, String key, String etag, Predicate<StoreRef> which) {
    return switch (manifest) {
      case Manifest.Stored stored ->
          which.test(stored.ref())
              ? new Manifest.Stored(
                  new StoreRef(bucket, key, etag, 0, stored.lengthBytes()), stored.hint())
              : stored;
      case Manifest.Joined joined -> {
        var segments = new ArrayList<Segment>();
        long offset = 0;
        for (Segment segment : joined.segments()) {
          if (segment.manifest() instanceof Manifest.Stored stored && which.test(stored.ref())) {
            var here = new StoreRef(bucket, key, etag, offset, segment.lengthBytes());
            Manifest hint = window(stored.hint(), segment.offset(), segment.lengthBytes());
            segments.add(new Segment(0, segment.lengthBytes(), new Manifest.Stored(here, hint)));
          } else {
            segments.add(segment);
          }
          offset += segment.lengthBytes();
        }
        yield new Manifest.Joined(segments);
      }
      case Manifest.Inline inline -> inline;
      case Manifest.Extents list -> list;
      case Manifest.InChunk hidden -> hidden;
      case Manifest.None none -> none;
    };
  }

  static Manifest window(Manifest manifest, long offset, long lengthBytes) {
    return offset == 0 && lengthBytes == manifest.lengthBytes()
        ? manifest
        : new Manifest.Joined(manifest.window(offset, lengthBytes));
  }

  /**
   * As {@link #window}, of which what refers to the store keeps the chunks of its own stretch only:
   * an object that is copied in a thousand parts would else name all of them a thousand times.
   */
  static Manifest stretch(Manifest manifest, long offset, long lengthBytes) {
    if (offset == 0 && lengthBytes == manifest.lengthBytes()) {
      return manifest;
    }
    var segments = new ArrayList<Segment>();
    for (Segment segment : manifest.window(offset, lengthBytes)) {
      if (segment.manifest() instanceof Manifest.Stored(var ref, var hint)) {
        var part =
            new StoreRef(
                ref.bucket(),
                ref.key(),
                ref.etag(),
                ref.offset() + segment.offset(),
                segment.lengthBytes());
        segments.add(
            new Segment(
                0,
                segment.lengthBytes(),
                new Manifest.Stored(part, cut(hint, segment.offset(), segment.lengthBytes()))));
      } else {
        segments.add(segment);
      }
    }
    return new Manifest.Joined(segments);
  }

  /** As {@link #window}, and lists of chunks keep only those that the window touches. */
  private static Manifest cut(Manifest hint, long offset, long lengthBytes) {
    if (offset == 0 && lengthBytes == hint.lengthBytes()) {
      return hint;
    }
    var segments = new ArrayList<Segment>();
    for (Segment segment : hint.window(offset, lengthBytes)) {
      segments.add(
          segment.manifest() instanceof Manifest.Extents list
              ? touched(list, segment.offset(), segment.lengthBytes())
              : segment);
    }
    return new Manifest.Joined(segments);
  }

  private static Segment touched(Manifest.Extents list, long offset, long lengthBytes) {
    List<Extent> touched =
        list.extents().stream()
            .filter(each -> each.end() > offset && each.fileOffset() < offset + lengthBytes)
            .toList();
    long begin = touched.isEmpty() ? offset : touched.getFirst().fileOffset();
    List<Extent> moved =
        touched.stream()
            .map(each ->
                new Extent(
                    each.fileOffset() - begin,
                    each.lengthBytes(),
                    each.chunk(),
                    each.chunkOffset(),
                    each.group(),
                    each.epoch(),
                    each.crc32c()))
            .toList();
    return new Segment(offset - begin, lengthBytes, new Manifest.Extents(moved));
  }

  private static Manifest hint(Manifest manifest) {
    return switch (manifest) {
      case Manifest.Stored stored -> stored.hint();
      case Manifest.Joined joined -> {
        var segments = new ArrayList<Segment>();
        for (Segment segment : joined.segments()) {
          segments.addAll(hint(segment.manifest()).window(segment.offset(), segment.lengthBytes()));
        }
        yield new Manifest.Joined(segments);
      }
      case Manifest.Inline inline -> inline;
      case Manifest.Extents list -> list;
      case Manifest.InChunk hidden -> hidden;
      case Manifest.None none -> none;
    };
  }
}
