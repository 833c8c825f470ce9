package io.forebay.node.read;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.StoreRef;
import io.forebay.core.net.Network;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/** Finds the bytes of a manifest, wherever its pieces are. */
public final class ManifestReader {
  private static final RecordCodec<Manifest.Extents> LISTS = RecordCodec.of(Manifest.Extents.class);

  // A generation moves at most from chunks to a source to its own object; more says who is told.
  private static final int MAX_MOVES = 4;

  private final ChunkReader chunks;
  private final StoreReads store;
  private final SlabPool pool;

  public ManifestReader(ChunkReader chunks, StoreReads store, SlabPool pool) {
    this.chunks = chunks;
    this.store = store;
    this.pool = pool;
  }

  /**
   * Where the bytes of a generation are.
   *
   * @param flushed its own store object, once there is one
   */
  public record Place(Manifest manifest, Optional<StoreRef> flushed) {}

  /** Finds a generation again whose bytes are no longer where they were when it was opened. */
  @FunctionalInterface
  public interface Whereabouts {
    /**
     * Where the bytes are by now. Empty: nothing better is known than this place.
     *
     * @param storeChanged a store object is not what it was: may wait while an attempt of our own
     *     is not recorded yet, for it may be our doing (F9)
     */
    Optional<Place> after(Place failed, boolean storeChanged);
  }

  /** The bytes of one generation as they lie now. For any number of threads. */
  public Source open(Manifest manifest, Optional<StoreRef> flushed) {
    return open(new Place(manifest, flushed), (failed, storeChanged) -> Optional.empty());
  }

  /**
   * The bytes of one generation, wherever they go while it is open: flushed and evicted, copied to
   * another key. For any number of threads.
   */
  public Source open(Place place, Whereabouts whereabouts) {
    return new Source(place, whereabouts);
  }

  /** One generation's bytes. */
  public final class Source implements ReadAhead.Origin {
    private final Whereabouts whereabouts;
    private volatile Place place;
    private final ReentrantLock lock = new ReentrantLock();
    private final Map<ChunkId, Manifest.Extents> lists = new TreeMap<>(); // guarded by lock

    private Source(Place place, Whereabouts whereabouts) {
      this.place = place;
      this.whereabouts = whereabouts;
    }

    @Override
    public Bytes read(long offset, int maxLengthBytes) {
      Place at = place;
      for (int moves = 0; ; moves++) {
        try {
          return read(at, offset, maxLengthBytes);
        } catch (ForebayException failure) {
          boolean storeChanged = failure.code() == ErrorCode.GENERATION_GONE;
          Optional<Place> next =
              (storeChanged || failure.code() == ErrorCode.CHUNK_ABSENT) && moves < MAX_MOVES
                  ? whereabouts.after(at, storeChanged)
                  : Optional.empty();
          if (next.isEmpty()) {
            throw failure;
          }
          at = next.get();
          place = at;
        }
      }
    }

    @Override
    public Optional<Bytes> inMemory(long offset, int maxLengthBytes) {
      return piece(place, offset, maxLengthBytes)
              instanceof Manifest.Piece.OfExtent(var extent, int from, long length)
          ? chunks.inMemory(extent.chunk(), extent.chunkOffset() + from, (int) length)
          : Optional.empty();
    }

    private static Manifest.Piece piece(Place at, long offset, int maxLengthBytes) {
      return at.manifest().pieces(offset, length(at, offset, maxLengthBytes)).getFirst();
    }

    private static int length(Place at, long offset, int maxLengthBytes) {
      long left = at.manifest().lengthBytes() - offset;
      // Not across a slice's end: what is in memory is there slice by slice (MemoryTier).
      long ofSlice = Network.MAX_PAYLOAD_BYTES - offset % Network.MAX_PAYLOAD_BYTES;
      return (int) Math.min(Math.min(maxLengthBytes, ofSlice), left);
    }

    private Bytes read(Place at, long offset, int maxLengthBytes) {
      try {
        return read(piece(at, offset, maxLengthBytes), at.flushed().isPresent());
      } catch (ForebayException failure) {
        if (at.flushed().isEmpty() || failure.code() != ErrorCode.CHUNK_ABSENT) {
          throw failure;
        }
        // C9: whatever is known to be flushed is read straight from the store.
        StoreRef ref = at.flushed().get();
        return fromStore(
            ref,
            ref.offset() + offset,
            length(at, offset, maxLengthBytes),
            () -> read(piece(at, offset, maxLengthBytes), false));
      }
    }

    /**
     * Reads from the store.
     *
     * @param elsewhere tried where the store does not answer: who was not waited for may have it
     */
    private Bytes fromStore(StoreRef ref, long offset, int length, Supplier<Bytes> elsewhere) {
      try {
        return store.read(ref.bucket(), ref.key(), ref.etag(), offset, length);
      } catch (ForebayException away) {
        switch (away.code()) {
          case STORE_UNREACHABLE, STORE_THROTTLED, TIMEOUT -> {
            try {
              return elsewhere.get();
            } catch (ForebayException neither) {
              if (neither.code() == ErrorCode.CANCELLED) {
                throw neither;
              }
              throw away;
            }
          }
          default -> throw away;
        }
      }
    }

    /**
     * @param stored whether the store has these bytes, too
     */
    private Bytes read(Manifest.Piece piece, boolean stored) {
      return switch (piece) {
        case Manifest.Piece.Body(var body, int from, long length) -> copy(body, from, (int) length);
        case Manifest.Piece.OfExtent(var extent, int from, long length) ->
            read(extent, from, (int) length, stored);
        case Manifest.Piece.OfList(var list, long from, long length) ->
            read(listOf(list, stored).pieces(from, length).getFirst(), stored);
        case Manifest.Piece.OfStore(var ref, var hint, long hintOffset) -> {
          Optional<Bytes> cached = cached(hint, hintOffset, ref.lengthBytes());
          yield cached.isPresent()
              ? cached.get()
              : fromStore(
                  ref,
                  ref.offset(),
                  (int) Math.min(ref.lengthBytes(), Network.MAX_PAYLOAD_BYTES),
                  () -> read(hint.pieces(hintOffset, ref.lengthBytes()).getFirst(), false));
        }
        case Manifest.Piece.Nothing _ ->
            throw new ForebayException(ErrorCode.CHUNK_ABSENT, "no chunk is known for these bytes");
      };
    }

    private Optional<Bytes> cached(Manifest hint, long offset, long length) {
      try {
        return Optional.of(read(hint.pieces(offset, length).getFirst(), true));
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CHUNK_ABSENT) {
          return Optional.empty();
        }
        throw failure;
      }
    }

    private Bytes read(Extent extent, int from, int length, boolean stored) {
      int offset = extent.chunkOffset() + from;
      return stored
          ? chunks.readCached(extent.chunk(), extent.group(), extent.epoch(), offset, length)
          : chunks.read(extent.chunk(), extent.group(), extent.epoch(), offset, length);
    }

    private Bytes copy(byte[] body, int from, int length) {
      Slab slab = pool.take();
      try {
        slab.buffer().put(body, from, length);
        return slab.bytes(0, length);
      } finally {
        slab.release();
      }
    }

    private Manifest.Extents listOf(Extent list, boolean stored) {
      lock.lock();
      try {
        Manifest.Extents known = lists.get(list.chunk());
        if (known != null) {
          return known;
        }
      } finally {
        lock.unlock();
      }
      ByteBuffer encoded = ByteBuffer.allocate(list.lengthBytes());
      while (encoded.hasRemaining()) {
        Bytes part =
            read(
                list,
                encoded.position(),
                Math.min(encoded.remaining(), Network.MAX_PAYLOAD_BYTES),
                stored);
        part.copyTo(encoded);
        part.release();
      }
      Manifest.Extents decoded = LISTS.decode(encoded.array());
      lock.lock();
      try {
        lists.put(list.chunk(), decoded);
      } finally {
        lock.unlock();
      }
      return decoded;
    }
  }

  /** Every extent of a manifest, lists of lists resolved; for status and flush. */
  public List<Extent> extents(Manifest manifest) {
    return switch (manifest) {
      case Manifest.Extents list -> list.extents();
      case Manifest.InChunk hidden ->
          open(manifest, Optional.empty()).listOf(hidden.list(), false).extents();
      case Manifest.Joined joined ->
          joined.segments().stream().flatMap(part -> extents(part.manifest()).stream()).toList();
      case Manifest.Inline _, Manifest.None _, Manifest.Stored _ -> List.of();
    };
  }

  /** The store object of a flushed generation. */
  public static StoreRef flushed(BucketId bucket, String key, String etag, long lengthBytes) {
    return new StoreRef(bucket, key, etag, 0, lengthBytes);
  }
}
