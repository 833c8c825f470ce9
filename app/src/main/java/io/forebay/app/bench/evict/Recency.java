package io.forebay.app.bench.evict;

import java.util.LinkedHashMap;

/** What was used least recently goes: one by one, or many at once as the disks do it. */
final class Recency implements Policy {
  private final LinkedHashMap<Integer, Boolean> chunks = new LinkedHashMap<>(16, 0.75f, true);
  private final int most;
  private final int left;

  /**
   * @param most chunks, of which none more are kept
   * @param left how many of them an eviction leaves
   */
  Recency(int most, int left) {
    this.most = most;
    this.left = left;
  }

  @Override
  public boolean use(int chunk) {
    return chunks.get(chunk) != null;
  }

  @Override
  public void add(int chunk) {
    chunks.put(chunk, true);
    if (chunks.size() > most) {
      while (chunks.size() > left) {
        chunks.pollFirstEntry();
      }
    }
  }

  @Override
  public void drop(int chunk) {
    chunks.remove(chunk);
  }
}
