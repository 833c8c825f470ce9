package io.forebay.app.bench.evict;

import java.util.LinkedHashSet;

/** What came first goes first. */
final class Arrival implements Policy {
  private final LinkedHashSet<Integer> chunks = new LinkedHashSet<>();
  private final int most;

  Arrival(int most) {
    this.most = most;
  }

  @Override
  public boolean use(int chunk) {
    return chunks.contains(chunk);
  }

  @Override
  public void add(int chunk) {
    if (chunks.size() == most) {
      chunks.removeFirst();
    }
    chunks.add(chunk);
  }

  @Override
  public void drop(int chunk) {
    chunks.remove(chunk);
  }
}
