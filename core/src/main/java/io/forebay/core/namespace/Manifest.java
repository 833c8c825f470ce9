package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Where the bytes of a generation or part are. Offsets inside begin at 0. */
public sealed interface Manifest {
  /** Longest body inside a manifest. */
  int MAX_INLINE_BYTES = 2 << 10;

  /** Longest encoding of {@link Extents} in a command; a longer list becomes a chunk. */
  int MAX_EXTENTS_BYTES = 4 << 10;

  /** How many bytes it describes. */
  long lengthBytes();

  /** The bytes themselves; the array is not to be changed. */
  @Tag(1)
  record Inline(byte[] body) implements Manifest {
    @Override
    public long lengthBytes() {
      return body.length;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Inline inline && Arrays.equals(body, inline.body);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(body);
    }
  }

  /** Extents, each beginning where the one before ends. */
  @Tag(2)
  record Extents(List<Extent> extents) implements Manifest {
    public Extents {
      extents = List.copyOf(extents);
      long offset = 0;
      for (Extent extent : extents) {
        if (extent.fileOffset() != offset) {
          throw new IllegalArgumentException(
              "an extent at " + extent.fileOffset() + " where " + offset + " comes next");
        }
        offset = extent.end();
      }
    }

    @Override
    public long lengthBytes() {
      return extents.isEmpty() ? 0 : extents.getLast().end();
    }
  }

  /**
   * A list that is a chunk itself: the encoding of an {@link Extents} record (without tag).
   *
   * @param list the chunk with the encoded list; file offset 0
   * @param ranges every chunk that the list names
   * @param lengthBytes bytes that the list describes
   */
  @Tag(3)
  record InChunk(Extent list, List<ChunkRange> ranges, long lengthBytes) implements Manifest {
    public InChunk {
      ranges = List.copyOf(ranges);
    }
  }

  /**
   * Bytes that are no longer owed and lie in the store.
   *
   * @param hint the chunks that held them, of which cached copies may be left; never {@code Stored}
   */
  @Tag(4)
  record Stored(StoreRef ref, Manifest hint) implements Manifest {
    @Override
    public long lengthBytes() {
      return ref.lengthBytes();
    }
  }

  /** No chunk is known; only as a hint. */
  @Tag(5)
  record None(long lengthBytes) implements Manifest {}

  /** Windows of other manifests, one behind the other; never nested. */
  @Tag(6)
  record Joined(List<Segment> segments) implements Manifest {
    public Joined {
      segments = List.copyOf(segments);
    }

    @Override
    public long lengthBytes() {
      long length = 0;
      for (Segment segment : segments) {
        length += segment.lengthBytes();
      }
      return length;
    }
  }

  /**
   * A window of a manifest.
   *
   * @param offset of its first byte in the manifest
   */
  record Segment(long offset, long lengthBytes, Manifest manifest) {
    public Segment {
      if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > manifest.lengthBytes()) {
        throw new IllegalArgumentException(
            "window " + offset + "+" + lengthBytes + " of " + manifest.lengthBytes());
      }
    }
  }

  /** What a reader has to fetch for a stretch of a file, in order, without gaps. */
  sealed interface Piece {
    /** Length of this piece. */
    long lengthBytes();

    /** The bytes are here: {@code body[offset, offset + lengthBytes)}. */
    record Body(byte[] body, int offset, long lengthBytes) implements Piece {}

    /** Bytes {@code [offset, offset + lengthBytes)} of the extent (counted from its beginning). */
    record OfExtent(Extent extent, int offset, long lengthBytes) implements Piece {}

    /**
     * Fetch the list, decode it as {@link Extents} and ask it for {@code pieces(offset,
     * lengthBytes)}.
     */
    record OfList(Extent list, long offset, long lengthBytes) implements Piece {}

    /**
     * Bytes of a store object; cached copies may be found under {@code hint.pieces(hintOffset)}.
     */
    record OfStore(StoreRef ref, Manifest hint, long hintOffset) implements Piece {
      @Override
      public long lengthBytes() {
        return ref.lengthBytes();
      }
    }

    /** Nothing is known; only when a hint is asked. */
    record Nothing(long lengthBytes) implements Piece {}
  }

  /** The store objects that it refers to. */
  default List<StoreRef> refs() {
    return Stores.refs(this);
  }

  /** The pieces of {@code [offset, offset + lengthBytes)}, which must lie inside. */
  default List<Piece> pieces(long offset, long lengthBytes) {
    if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > lengthBytes()) {
      throw new IllegalArgumentException(
          "pieces " + offset + "+" + lengthBytes + " of " + lengthBytes());
    }
    if (lengthBytes == 0) {
      return List.of();
    }
    return switch (this) {
      case Inline inline -> List.of(new Piece.Body(inline.body, (int) offset, lengthBytes));
      case Extents list -> piecesOf(list, offset, lengthBytes);
      case InChunk hidden -> List.of(new Piece.OfList(hidden.list, offset, lengthBytes));
      case Stored stored -> List.of(part(stored, offset, lengthBytes));
      case None none -> List.of(new Piece.Nothing(lengthBytes));
      case Joined joined -> {
        var pieces = new ArrayList<Piece>();
        for (Segment window : joined.window(offset, lengthBytes)) {
          pieces.addAll(window.manifest.pieces(window.offset, window.lengthBytes));
        }
        yield pieces;
      }
    };
  }

  /** The stretch as windows of manifests that are not {@code Joined}. */
  default List<Segment> window(long offset, long lengthBytes) {
    if (!(this instanceof Joined joined)) {
      return List.of(new Segment(offset, lengthBytes, this));
    }
    var windows = new ArrayList<Segment>();
    long begin = 0;
    for (Segment segment : joined.segments) {
      long end = begin + segment.lengthBytes;
      long from = Math.max(offset, begin);
      long to = Math.min(offset + lengthBytes, end);
      if (from < to) {
        windows.add(new Segment(segment.offset + (from - begin), to - from, segment.manifest));
      }
      begin = end;
    }
    return windows;
  }

  private static Piece part(Stored stored, long offset, long lengthBytes) {
    StoreRef ref = stored.ref;
    return new Piece.OfStore(
        new StoreRef(ref.bucket(), ref.key(), ref.etag(), ref.offset() + offset, lengthBytes),
        stored.hint,
        offset);
  }

  private static List<Piece> piecesOf(Extents list, long offset, long lengthBytes) {
    int low = 0;
    int high = list.extents.size() - 1;
    while (low < high) { // the first extent that ends behind the offset
      int middle = (low + high) >>> 1;
      if (list.extents.get(middle).end() > offset) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    var pieces = new ArrayList<Piece>();
    long end = offset + lengthBytes;
    for (int i = low; i < list.extents.size() && list.extents.get(i).fileOffset() < end; i++) {
      Extent extent = list.extents.get(i);
      long from = Math.max(offset, extent.fileOffset());
      long to = Math.min(end, extent.end());
      pieces.add(new Piece.OfExtent(extent, (int) (from - extent.fileOffset()), to - from));
    }
    return pieces;
  }
}
