package io.forebay.node.collect;

import io.forebay.core.volume.StoredChunk;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;

/**
 * Of all chunks that are offered, those that were used least recently, as many as make so much
 * room; of those that were never used since the start the oldest ones. Keeps no more of them than
 * that takes, and no more than a bound: then another pass follows.
 */
final class Coldest {
  private static final int MOST = 1 << 16;

  private record Candidate(long usedNanos, StoredChunk chunk) {
    static final Comparator<Candidate> ORDER =
        Comparator.comparingLong(Candidate::usedNanos)
            .thenComparing(candidate -> candidate.chunk().id());
  }

  private final long wantedBytes;
  private final TreeSet<Candidate> coldest = new TreeSet<>(Candidate.ORDER);
  private long heldBytes;

  /**
   * @param wantedBytes room that is to be made; 0: nothing is kept
   */
  Coldest(long wantedBytes) {
    this.wantedBytes = wantedBytes;
  }

  /** A chunk that may go. */
  void offer(StoredChunk chunk, long usedNanos) {
    coldest.add(new Candidate(usedNanos, chunk));
    heldBytes += chunk.lengthBytes();
    while (!coldest.isEmpty()
        && (coldest.size() > MOST
            || heldBytes - coldest.last().chunk().lengthBytes() >= wantedBytes)) {
      heldBytes -= coldest.last().chunk().lengthBytes();
      coldest.removeLast();
    }
  }

  /** The coldest ones that make at least so much room, or all; the coldest first. */
  List<StoredChunk> first(long bytes) {
    var first = new ArrayList<StoredChunk>();
    long left = bytes;
    for (Candidate candidate : coldest) {
      if (left <= 0) {
        break;
      }
      first.add(candidate.chunk());
      left -= candidate.chunk().lengthBytes();
    }
    return first;
  }
}
