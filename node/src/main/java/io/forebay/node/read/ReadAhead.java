package io.forebay.node.read;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.net.Network;
import java.util.ArrayDeque;

/**
 * Reads one generation in order, some slices ahead; a jump ends the reading ahead until reads are
 * in order again. Used by one thread.
 */
public final class ReadAhead implements AutoCloseable {
  // 6 slices of 1 MiB hide a round trip and a disk read each; a reader's bound of memory.
  private static final int SLICES_AHEAD = 6;

  private record Slice(long offset, int length, Outcome<Bytes> outcome) {}

  private final Env env;
  private final ManifestReader.Source source;
  private final long lengthBytes;
  private final ArrayDeque<Slice> ahead = new ArrayDeque<>();
  private long expectedOffset;

  public ReadAhead(Env env, ManifestReader.Source source, long lengthBytes) {
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
    boolean inOrder = offset == expectedOffset;
    if (!inOrder) {
      // A random reader gets what it asked for and no more.
      drop();
      Bytes bytes = source.read(offset, maxLengthBytes);
      expectedOffset = offset + bytes.length();
      return bytes;
    }
    if (ahead.isEmpty()) {
      begin(offset);
    }
    while (ahead.size() < SLICES_AHEAD) {
      Slice last = ahead.getLast();
      if (last.offset() + last.length() >= lengthBytes) {
        break;
      }
      begin(last.offset() + last.length());
    }
    Slice first = ahead.remove();
    Bytes bytes = first.outcome().await();
    int skip = (int) (offset - first.offset());
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
    expectedOffset = offset + length;
    return part;
  }

  private void begin(long offset) {
    // Slices end at multiples of 1 MiB, where chunks end too.
    int length =
        (int)
            Math.min(
                Network.MAX_PAYLOAD_BYTES - offset % Network.MAX_PAYLOAD_BYTES,
                lengthBytes - offset);
    ahead.add(slice(offset, length));
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
