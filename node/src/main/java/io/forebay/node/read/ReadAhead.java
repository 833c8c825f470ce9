package io.forebay.node.read;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.net.Network;
import java.util.ArrayDeque;
import java.util.Optional;

/**
 * Reads one generation in order, some slices ahead; a jump ends the reading ahead until reads are
 * in order again. Used by one thread.
 */
public final class ReadAhead implements AutoCloseable {
  // 6 slices of 1 MiB hide a round trip and a disk read each; a reader's bound of memory.
  private static final int SLICES_AHEAD = 6;

  /** Where the bytes come from: {@link ManifestReader.Source#read}. */
  @FunctionalInterface
  public interface Origin {
    /** 1 byte to that many from an offset on; whoever takes them releases them. */
    Bytes read(long offset, int maxLengthBytes);
  }

  private record Slice(long offset, int length, Outcome<Bytes> outcome) {}

  private final Env env;
  private final Origin source;
  private final long lengthBytes;
  private final ArrayDeque<Slice> ahead = new ArrayDeque<>();
  private long nextOffset; // where read-ahead goes on

  public ReadAhead(Env env, Origin source, long lengthBytes) {
    this.env = env;
    this.source = source;
    this.lengthBytes = lengthBytes;
  }

  /**
   * Reads.
   *
   * @return 1 byte to {@code maxLengthBytes} bytes; the caller releases it
   */
  public Bytes read(long offset, int maxLengthBytes) {
    Optional<Slice> held = begun(offset);
    if (held.isEmpty() && offset != nextOffset) {
      // A random reader gets what it asked for and no more.
      drop();
      Bytes bytes = source.read(offset, maxLengthBytes);
      nextOffset = offset + bytes.length();
      return bytes;
    }
    Slice first = held.orElseGet(() -> begin(offset));
    while (ahead.size() < SLICES_AHEAD && nextOffset < lengthBytes) {
      begin(nextOffset);
    }
    ahead.remove(first);
    Bytes bytes = first.outcome().await();
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
      ahead.addFirst(slice(gap, first.length() - bytes.length()));
    }
    return part;
  }

  /** A client has several requests under way, and they may overtake each other. */
  private Optional<Slice> begun(long offset) {
    return ahead.stream()
        .filter(slice -> slice.offset() <= offset && offset < slice.offset() + slice.length())
        .findFirst();
  }

  private Slice begin(long offset) {
    // Slices end at multiples of 1 MiB, where chunks end too.
    int length =
        (int)
            Math.min(
                Network.MAX_PAYLOAD_BYTES - offset % Network.MAX_PAYLOAD_BYTES,
                lengthBytes - offset);
    Slice begun = slice(offset, length);
    ahead.add(begun);
    nextOffset = offset + length;
    return begun;
  }

  private Slice slice(long offset, int length) {
    var outcome = new Outcome<Bytes>(env);
    env.spawn(
        "read-ahead",
        () -> {
          try {
            Bytes bytes = source.read(offset, length);
            if (!outcome.complete(bytes)) {
              bytes.release();
            }
          } catch (Throwable failure) {
            outcome.fail(failure);
          }
        });
    return new Slice(offset, length, outcome);
  }

  private void drop() {
    for (Slice slice : ahead) {
      slice
          .outcome()
          .whenDone(done -> {
            if (done.failure().isEmpty()) {
              done.get().release();
            }
          });
    }
    ahead.clear();
  }

  @Override
  public void close() {
    drop();
  }
}
