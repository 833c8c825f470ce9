package io.forebay.app.bench.evict;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/** What was used least often since it came goes; of several, what was used least recently. */
final class Frequency implements Policy {
  private record Rank(long uses, long atAccess) implements Comparable<Rank> {
    @Override
    public int compareTo(Rank other) {
      int order = Long.compare(uses, other.uses);
      return order != 0 ? order : Long.compare(atAccess, other.atAccess);
    }
  }

  private final Map<Integer, Rank> ranks = new HashMap<>();
  private final TreeMap<Rank, Integer> chunks = new TreeMap<>();
  private final int most;
  private long accesses;

  Frequency(int most) {
    this.most = most;
  }

  private void put(int chunk, long uses) {
    var rank = new Rank(uses, ++accesses);
    ranks.put(chunk, rank);
    chunks.put(rank, chunk);
  }

  @Override
  public boolean use(int chunk) {
    Rank rank = ranks.get(chunk);
    if (rank == null) {
      return false;
    }
    chunks.remove(rank);
    put(chunk, rank.uses + 1);
    return true;
  }

  @Override
  public void add(int chunk) {
    if (ranks.size() == most) {
      ranks.remove(chunks.pollFirstEntry().getValue());
    }
    put(chunk, 1);
  }

  @Override
  public void drop(int chunk) {
    Rank rank = ranks.remove(chunk);
    if (rank != null) {
      chunks.remove(rank);
    }
  }
}
