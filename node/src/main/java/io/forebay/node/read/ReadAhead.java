package io.forebay.node.read;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ForebayException;
import io.forebay.core.net.Network;
import java.util.ArrayDeque;
import java.util.Optional;

/**
 * Reads one generation in order, some slices ahead as far as memory allows; a jump ends the reading
 * ahead until reads are in order again. Used by one thread.
 */
public final class ReadAhead implements AutoCloseable {
  // 6 slices of 1 MiB hide a round trip and a disk read each; a reader's bound of memory.
  private static final int SLICES_AHEAD = 6;

  // Up to here one read is faster than two that end at a multiple of 1 MiB between them.
  private static final int ONE_READ_BYTES = Network.MAX_PAYLOAD_BYTES / 2;
  private static final long NOWHERE = -1;

  /** Where the bytes come from. */
  @FunctionalInterface
  public interface Origin {
    /**
     * Reads from an offset on.
     *
     * @param maxLengthBytes at least 1
     * @return 1 byte to min(max, 1 MiB) bytes; the caller releases it
     */
    Bytes read(long offset, int maxLengthBytes);

    /** The same of what can be had without waiting; empty: {@link #read} it. */
    default Optional<Bytes> inMemory(long offset, int maxLengthBytes) {
      return Optional.empty();
    }
  }

  /**
   * A piece that was begun.
   *
   * @param own whether it has a place of its own in the node's memory; else it has the reader's
   */
  private record Slice(long offset, int length, Outcome<Bytes> outcome, boolean own) {}

  private final Env env;
  private final Origin source;
  private final long lengthBytes;
  private final ReadMemory memory;
  private final ArrayDeque<Slice> ahead = new ArrayDeque<>();
  private long nextOffset; // where read-ahead goes on, or NOWHERE
  private long endOffset; // where it ends
  // Whether this reader has its place in the node's memory: for what it hands out.
  private boolean placed;
  private boolean closed;

  public ReadAhead(Env env, Origin source, long lengthBytes, ReadMemory memory) {
    this.env = env;
    this.source = source;
    this.lengthBytes = lengthBytes;
    this.memory = memory;
    this.endOffset = lengthBytes;
  }

  /** Reads will go from one offset to another, in order, and end there. */
  public void expect(long offset, long end) {
    drop();
    nextOffset = end - offset <= ONE_READ_BYTES ? NOWHERE : offset;
    endOffset = Math.min(end, lengthBytes);
  }

  /**
   * Takes the reader's place in the node's memory, as the first read does. Who takes memory for
   * writing, too, takes the place first: one that had the former and waited for the latter would
   * wait for those who have it the other way round.
   *
   * @throws io.forebay.core.error.ForebayException BUSY when other readers hold all memory
   */
  public void place() {
    if (!placed) {
      memory.take();
      placed = true;
    }
  }

  /**
   * Reads. What was handed out before should have been released by now, or soon.
   *
   * @return 1 byte to {@code maxLengthBytes} bytes; the caller releases it
   * @throws io.forebay.core.error.ForebayException BUSY when other readers hold all memory
   */
  public Bytes read(long offset, int maxLengthBytes) {
    if (closed) {
      throw new IllegalStateException("the reader is closed");
    }
    place();
    Optional<Slice> held = begun(offset);
    if (held.isEmpty() && offset != nextOffset) {
      // A random reader gets what it asked for and no more.
      drop();
      Bytes bytes = source.read(offset, maxLengthBytes);
      nextOffset = offset + bytes.length();
      return bytes;
    }
    if (offset >= endOffset) {
      endOffset = lengthBytes; // reads go on where they were expected to end
    }
    // What nobody has begun is read by the reader itself, once what follows is under way.
    Slice first = held.orElseGet(() -> next(offset, false));
    int more = held.isPresent() ? SLICES_AHEAD : SLICES_AHEAD - 1;
    while (ahead.size() < more && nextOffset < endOffset && memory.tryAhead()) {
      Slice slice = next(nextOffset, true);
      ahead.add(slice);
      fetch(slice);
    }
    ahead.remove(first);
    if (first.own()) {
      memory.release(); // it is what this reader hands out now, and has its place
      first = new Slice(first.offset(), first.length(), first.outcome(), false);
    }
    if (held.isEmpty()) {
      first.outcome().complete(source.read(offset, first.length()));
    }
    Bytes bytes;
    try {
      bytes = first.outcome().await();
    } catch (ForebayException failure) {
      if (!first.outcome().isDone()) {
        ahead.addFirst(first); // the wait was cancelled: the bytes are released when they come
      }
      throw failure;
    }
    int skip = (int) (offset - first.offset());
    if (skip >= bytes.length()) {
      // The piece ended early, and whoever reads its end has overtaken who reads its beginning.
      ahead.addFirst(first);
      return source.read(offset, maxLengthBytes);
    }
    int length = Math.min(maxLengthBytes, bytes.length() - skip);
    Bytes part;
    if (skip == 0 && length == bytes.length()) {
      part = bytes;
    } else {
      part = bytes.slice(skip, length);
      if (skip + length < bytes.length()) {
        ahead.addFirst(first);
      } else {
        bytes.release();
      }
    }
    if (skip + length == bytes.length() && bytes.length() < first.length()) {
      // A piece ended early: what was begun behind it is at the right place all the same, but a gap
      // is left.
      long gap = first.offset() + bytes.length();
      int rest = first.length() - bytes.length();
      ahead.addFirst(fetch(new Slice(gap, rest, new Outcome<>(env), false)));
    }
    return part;
  }

  /** A client has several requests under way, and they may overtake each other. */
  private Optional<Slice> begun(long offset) {
    return ahead.stream()
        .filter(slice -> slice.offset() <= offset && offset < slice.offset() + slice.length())
        .findFirst();
  }

  /** The slice from an offset on; what follows it is behind it. */
  private Slice next(long offset, boolean own) {
    // Slices end at multiples of 1 MiB, where chunks end too.
    int length =
        (int)
            Math.min(
                Network.MAX_PAYLOAD_BYTES - offset % Network.MAX_PAYLOAD_BYTES, endOffset - offset);
    nextOffset = offset + length;
    return new Slice(offset, length, new Outcome<>(env), own);
  }

  private Slice fetch(Slice slice) {
    Optional<Bytes> found = source.inMemory(slice.offset(), slice.length());
    if (found.isPresent()) {
      slice.outcome().complete(found.get());
      return slice;
    }
    env.spawn(
        "read-ahead",
        () -> {
          try {
            Bytes bytes = source.read(slice.offset(), slice.length());
            if (!slice.outcome().complete(bytes)) {
              bytes.release();
            }
          } catch (Throwable failure) {
            slice.outcome().fail(failure);
          }
        });
    return slice;
  }

  private void drop() {
    for (Slice slice : ahead) {
      slice
          .outcome()
          .whenDone(done -> {
            if (done.failure().isEmpty()) {
              done.get().release();
            }
            if (slice.own()) {
              memory.release();
            }
          });
    }
    ahead.clear();
  }

  /** Gives back what was read ahead, and the place in memory: nothing will be read for a while. */
  public void pause() {
    drop();
    nextOffset = NOWHERE;
    if (placed) {
      placed = false;
      memory.release();
    }
  }

  @Override
  public void close() {
    closed = true;
    pause();
  }
}
