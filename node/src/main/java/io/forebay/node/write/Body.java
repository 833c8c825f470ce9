package io.forebay.node.write;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPart;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.EntityTag;
import io.forebay.core.namespace.ChunkRange;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.net.Network;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Cuts a body into chunks and sends them, a few at a time: slices go on as they come, and the next
 * chunk begins while the one before waits for its acknowledgements. Used by one thread.
 */
public final class Body implements AutoCloseable {
  // So that groups whose nodes are busy with others' chunks do not hold up the rest; and a bound
  // for memory. With 3 the NICs are a tenth less busy while all nodes write (docs/benchmarks.md).
  private static final int CHUNKS_UNDER_WAY = 6;
  // Who waits for memory looks so often whether chunks wait for room.
  private static final long GATE_NANOS = 1_000_000_000L;
  // How often, while nobody is given any, before it is refused: those who have it all may have
  // clients that take hours over their chunks.
  private static final int GATES = 30;
  // And so often at most, though others go on: what it wants is more than is ever free at once.
  private static final int ALL_GATES = 600;
  private static final RecordCodec<Manifest.Extents> LISTS = RecordCodec.of(Manifest.Extents.class);

  private record UnderWay(
      long fileOffset,
      long reservedBytes,
      ChunkSend send,
      Outcome<ChunkSend.Acknowledged> outcome) {}

  private final Env env;
  private final ChunkSender sender;
  private final SlabPool pool;
  private final WriteMemory memory;
  private final Session.Ticket ticket;
  private final Bucket bucket;
  private final OptionalLong expectedLengthBytes;
  private final @Nullable MessageDigest md5;
  private final ByteArrayOutputStream small = new ByteArrayOutputStream();
  private final ArrayDeque<UnderWay> underWay = new ArrayDeque<>();
  private final List<Extent> extents = new ArrayList<>();
  private Optional<ChunkSend> open = Optional.empty();
  private long openOffset;
  private int openReserved;
  private int nextReserved; // for the chunk that is not open yet; 0: nothing
  private long heldBytes;
  private long lengthBytes;
  private int crc32c;
  private boolean closed;

  /**
   * @param memory bytes that all bodies of the node may keep until they are acknowledged
   * @param computeMd5 whether to compute the MD5 for as long as the body is short enough
   */
  public Body(
      Env env,
      ChunkSender sender,
      SlabPool pool,
      WriteMemory memory,
      Session.Ticket ticket,
      Bucket bucket,
      OptionalLong expectedLengthBytes,
      boolean computeMd5) {
    this.env = env;
    this.sender = sender;
    this.pool = pool;
    this.memory = memory;
    this.ticket = ticket;
    this.bucket = bucket;
    this.expectedLengthBytes = expectedLengthBytes;
    boolean wanted =
        computeMd5
            && (expectedLengthBytes.isEmpty()
                || expectedLengthBytes.getAsLong() <= EntityTag.MD5_MAX_BYTES);
    this.md5 = wanted ? newMd5() : null;
  }

  private static MessageDigest newMd5() {
    try {
      return MessageDigest.getInstance("MD5");
    } catch (NoSuchAlgorithmException failure) {
      throw new IllegalStateException(failure);
    }
  }

  /** Bytes taken so far. */
  public long lengthBytes() {
    return lengthBytes;
  }

  /** Reserves the memory of the next chunk if more bytes begin one; blocks. */
  public void awaitRoom(int moreBytes) {
    requireOpen();
    boolean small = open.isEmpty() && lengthBytes + moreBytes <= Manifest.MAX_INLINE_BYTES;
    if (open.isEmpty() && nextReserved == 0 && !small) {
      nextReserved = reserve();
    }
  }

  /**
   * Appends; blocks while too much is under way.
   *
   * @param bytes retained for as long as needed; the caller keeps its own reference
   * @throws ForebayException UNAVAILABLE, NO_SPACE: the body is then useless
   */
  public void write(Bytes bytes) {
    requireOpen();
    if (bytes.length() == 0) {
      return;
    }
    digest(bytes);
    if (open.isEmpty() && lengthBytes == small.size()) {
      if (small.size() + bytes.length() <= Manifest.MAX_INLINE_BYTES) {
        small.writeBytes(bytes.toArray());
        int crc = bytes.crc32c();
        crc32c = Crc32cCombiner.combine(crc32c, crc, bytes.length());
        lengthBytes += bytes.length();
        return;
      }
      if (small.size() > 0) {
        byte[] held = small.toByteArray();
        lengthBytes = 0;
        crc32c = 0;
        small.reset();
        Slab slab = pool.take();
        slab.buffer().put(held);
        Bytes copy = slab.bytes(0, held.length);
        slab.release();
        try {
          cut(copy);
        } finally {
          copy.release();
        }
      }
    }
    cut(bytes);
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the body is closed");
    }
  }

  private void digest(Bytes bytes) {
    if (md5 != null && lengthBytes + bytes.length() <= EntityTag.MD5_MAX_BYTES) {
      if (bytes instanceof SlabPart part) {
        md5.update(part.buffer());
      } else {
        md5.update(bytes.toArray());
      }
    }
  }

  private void cut(Bytes bytes) {
    int done = 0;
    while (done < bytes.length()) {
      if (open.isEmpty()) {
        openOffset = lengthBytes;
        openReserved = nextReserved > 0 ? nextReserved : reserve();
        nextReserved = 0;
        open = Optional.of(sender.begin(ticket, bucket, openReserved));
      }
      ChunkSend send = open.get();
      int room = openReserved - send.lengthBytes();
      int length = Math.min(Math.min(room, bytes.length() - done), Network.MAX_PAYLOAD_BYTES);
      Bytes slice = bytes.slice(done, length);
      try {
        int crc = slice.crc32c();
        send.add(slice, crc);
        crc32c = Crc32cCombiner.combine(crc32c, crc, length);
      } finally {
        slice.release();
      }
      done += length;
      lengthBytes += length;
      if (send.lengthBytes() == openReserved) {
        finishOpen();
      }
    }
  }

  /**
   * Reserves the memory of a whole chunk before its first byte. Whoever waits here, be it for
   * memory or because chunks before it wait for room on full disks, holds nothing that only it
   * could give back: its own chunks are settled first. So bodies cannot wait for each other in a
   * circle.
   *
   * @throws ForebayException BUSY when others keep the memory for too long: half a minute in which
   *     nobody of its family of groups is given any, or some ten minutes whatever others are given
   */
  private int reserve() {
    long left = expectedLengthBytes.isEmpty() ? 0 : expectedLengthBytes.getAsLong() - lengthBytes;
    int length = left <= 0 ? bucket.chunkBytes() : (int) Math.min(bucket.chunkBytes(), left);
    WriteMemory.Turn turn = memory.turn();
    try {
      reserve(length, turn);
    } finally {
      memory.leave(turn);
    }
    heldBytes += length;
    return length;
  }

  private void reserve(int length, WriteMemory.Turn turn) {
    int gates = 0;
    int allGates = 0;
    long grants = memory.grants(bucket.family());
    while (true) {
      if (underWay.isEmpty()) {
        long now = memory.grants(bucket.family());
        if (now != grants) {
          grants = now;
          gates = 0;
        }
        if (gates++ == GATES || allGates++ == ALL_GATES) {
          throw new ForebayException(
              ErrorCode.BUSY,
              "other writers of this node have kept the memory for chunks for "
                  + Math.max(gates - 1, allGates - 1) * GATE_NANOS / 1_000_000_000
                  + " s; try again later, or give the node a larger 'memory'");
        }
        if (sender.rooms().waits(bucket.family())) {
          memory.leave(turn); // nobody stands behind one that has no use for it now
          sender.rooms().awaitNone(bucket);
        }
        // Not for long: chunks that wait for room may have the memory, and will be refused.
        if (memory.acquire(bucket.family(), length, turn, env.nanoTime() + GATE_NANOS)) {
          return;
        }
      } else if (!sender.rooms().waits(bucket.family())
          && memory.tryAcquire(bucket.family(), length)) {
        return;
      } else {
        settleOldest();
      }
    }
  }

  private void finishOpen() {
    ChunkSend send = open.orElseThrow();
    open = Optional.empty();
    var outcome = new Outcome<ChunkSend.Acknowledged>(env);
    env.spawn(
        "chunk-finish",
        () -> {
          try {
            outcome.complete(send.finish());
          } catch (Throwable failure) {
            outcome.fail(failure);
          }
        });
    underWay.add(new UnderWay(openOffset, openReserved, send, outcome));
    while (underWay.size() >= CHUNKS_UNDER_WAY) {
      settleOldest();
    }
  }

  private void settleOldest() {
    UnderWay oldest = underWay.remove();
    ChunkSend.Acknowledged chunk;
    try {
      chunk = oldest.outcome().await();
    } catch (ForebayException failure) {
      if (!oldest.outcome().isDone()) {
        underWay.addFirst(oldest);
      } else {
        free(oldest.reservedBytes());
      }
      throw failure;
    }
    free(oldest.reservedBytes());
    extents.add(
        new Extent(
            oldest.fileOffset(),
            chunk.lengthBytes(),
            chunk.id(),
            0,
            chunk.group().id(),
            chunk.group().epoch(),
            chunk.crc32c()));
  }

  private void free(long length) {
    memory.release(bucket.family(), length);
    heldBytes -= length;
  }

  /**
   * Waits until everything is acknowledged.
   *
   * @throws ForebayException UNAVAILABLE, NO_SPACE
   */
  public WrittenBody finish() {
    Optional<String> digest =
        md5 != null && lengthBytes <= EntityTag.MD5_MAX_BYTES
            ? Optional.of(HexFormat.of().formatHex(md5.digest()))
            : Optional.empty();
    if (small.size() > 0 || lengthBytes == 0) {
      return new WrittenBody(lengthBytes, crc32c, digest, new Manifest.Inline(small.toByteArray()));
    }
    if (open.isPresent()) {
      finishOpen();
    }
    while (!underWay.isEmpty()) {
      settleOldest();
    }
    var list = new Manifest.Extents(extents);
    byte[] encoded = LISTS.encode(list);
    Manifest manifest =
        encoded.length <= Manifest.MAX_EXTENTS_BYTES
            ? list
            : new Manifest.InChunk(writeList(encoded), ranges(), lengthBytes);
    return new WrittenBody(lengthBytes, crc32c, digest, manifest);
  }

  private Extent writeList(byte[] encoded) {
    ChunkSend send = sender.begin(ticket, bucket, Math.max(encoded.length, 1));
    for (int done = 0; done < encoded.length; ) {
      Slab slab = pool.take();
      int length = Math.min(encoded.length - done, slab.capacity());
      ByteBuffer buffer = slab.buffer();
      buffer.put(encoded, done, length);
      Bytes bytes = slab.bytes(0, length);
      slab.release();
      try {
        send.add(bytes, bytes.crc32c());
      } finally {
        bytes.release();
      }
      done += length;
    }
    ChunkSend.Acknowledged chunk = send.finish();
    return new Extent(
        0,
        encoded.length,
        chunk.id(),
        0,
        chunk.group().id(),
        chunk.group().epoch(),
        chunk.crc32c());
  }

  /** The chunks of the body as ranges; a re-homed chunk left a hole. */
  private List<ChunkRange> ranges() {
    long[] sequences =
        extents.stream().mapToLong(extent -> extent.chunk().sequence()).sorted().toArray();
    var ranges = new ArrayList<ChunkRange>();
    int begin = 0;
    for (int i = 1; i <= sequences.length; i++) {
      if (i == sequences.length || sequences[i] != sequences[i - 1] + 1) {
        ranges.add(new ChunkRange(ticket.session(), sequences[begin], sequences[i - 1] + 1));
        begin = i;
      }
    }
    return ranges;
  }

  /** Gives up what was not finished. Idempotent. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    open.ifPresent(ChunkSend::abort);
    open = Optional.empty();
    for (UnderWay each : underWay) {
      // It ends by itself, and releases its slices then; only for room it waits no more.
      each.send().giveUp();
      long length = each.reservedBytes();
      heldBytes -= length;
      each.outcome().whenDone(done -> memory.release(bucket.family(), length));
    }
    underWay.clear();
    if (heldBytes > 0) {
      memory.release(bucket.family(), heldBytes);
      heldBytes = 0;
    }
  }
}
