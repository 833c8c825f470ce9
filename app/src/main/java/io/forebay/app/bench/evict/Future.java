package io.forebay.app.bench.evict;

import java.util.Arrays;
import java.util.TreeSet;

/**
 * The bound that nobody reaches: what is read again latest goes, be it the newcomer (Belady's MIN).
 */
final class Future implements Policy {
  private static final int NEVER = Integer.MAX_VALUE;

  private final int most;
  private final int[] nextRead; // by access: of its chunk, before it is dropped
  private final int[] until; // by chunk: its next read, of those that are there; else -1
  private final TreeSet<Long> order = new TreeSet<>(); // next read, chunk
  private int access = -1;

  Future(int most, Trace trace) {
    this.most = most;
    this.nextRead = new int[trace.length()];
    this.until = new int[trace.chunks()];
    var next = new int[trace.chunks()];
    Arrays.fill(next, NEVER);
    Arrays.fill(until, -1);
    for (int i = trace.length() - 1; i >= 0; i--) {
      int chunk = trace.chunk(i);
      nextRead[i] = next[chunk];
      switch (trace.kind(i)) {
        case READ -> next[chunk] = i;
        case DROP -> next[chunk] = NEVER;
        case WRITE -> {}
      }
    }
  }

  private static long entry(int read, int chunk) {
    return (long) read << 32 | chunk;
  }

  private void put(int chunk, int read) {
    until[chunk] = read;
    order.add(entry(read, chunk));
  }

  @Override
  public boolean use(int chunk) {
    access++;
    if (until[chunk] < 0) {
      return false;
    }
    order.remove(entry(until[chunk], chunk));
    put(chunk, nextRead[access]);
    return true;
  }

  @Override
  public void add(int chunk) {
    put(chunk, nextRead[access]);
    if (order.size() > most) {
      int last = (int) (order.removeLast() & 0xffff_ffffL);
      until[last] = -1;
    }
  }

  @Override
  public void drop(int chunk) {
    access++;
    if (until[chunk] >= 0) {
      order.remove(entry(until[chunk], chunk));
      until[chunk] = -1;
    }
  }
}
