package io.forebay.core.sorted;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * A view with changes on top that nobody else sees yet: what a state machine writes into while it
 * applies an entry. Overlays stack; one that is dropped changed nothing. Used by one thread.
 */
public final class Overlay implements SortedMap.View {
  private final SortedMap.View base;
  private final TreeMap<byte[], Optional<byte[]>> changes = new TreeMap<>(Arrays::compareUnsigned);

  /** Nothing changed yet. The base stays the caller's to close. */
  public Overlay(SortedMap.View base) {
    this.base = base;
  }

  /** Sets a key. The arrays must not be changed afterwards. */
  public void put(byte[] key, byte[] value) {
    changes.put(key, Optional.of(value));
  }

  /** Removes a key, present or not. */
  public void remove(byte[] key) {
    changes.put(key, Optional.empty());
  }

  @Override
  public Optional<byte[]> get(byte[] key) {
    Optional<byte[]> changed = changes.get(key);
    return changed == null ? base.get(key) : changed.map(byte[]::clone);
  }

  @Override
  public <T> Optional<T> get(byte[] key, Function<byte[], T> decoding) {
    Optional<byte[]> changed = changes.get(key);
    return changed == null ? base.get(key, decoding) : changed.map(decoding);
  }

  /** What is written while a scan runs may or may not be visited by it. */
  @Override
  public void scan(byte[] from, byte[] to, SortedMap.Visitor visitor) {
    List<Map.Entry<byte[], Optional<byte[]>>> mine = new ArrayList<>();
    changes.subMap(from, true, to, false).forEach((k, v) -> mine.add(Map.entry(k, v)));
    var merge = new Merge(mine, visitor);
    base.scan(from, to, merge);
    merge.rest();
  }

  /** Writes all changes, in the order of the keys. */
  public void writeTo(Batch batch) {
    changes.forEach((key, value) ->
        value.ifPresentOrElse(bytes -> batch.put(key, bytes), () -> batch.remove(key)));
  }

  /** Writes all changes into another overlay. */
  public void writeTo(Overlay other) {
    other.changes.putAll(changes);
  }

  /** Does nothing: the base is the caller's. */
  @Override
  public void close() {}

  private static final class Merge implements SortedMap.Visitor {
    private final List<Map.Entry<byte[], Optional<byte[]>>> mine;
    private final SortedMap.Visitor visitor;
    private int next;
    private boolean stopped;

    Merge(List<Map.Entry<byte[], Optional<byte[]>>> mine, SortedMap.Visitor visitor) {
      this.mine = mine;
      this.visitor = visitor;
    }

    @Override
    public boolean visit(byte[] key, byte[] value) {
      while (next < mine.size()) {
        int order = Arrays.compareUnsigned(mine.get(next).getKey(), key);
        if (order > 0) {
          break;
        }
        if (!takeMine()) {
          return false;
        }
        if (order == 0) {
          return true;
        }
      }
      stopped = !visitor.visit(key, value);
      return !stopped;
    }

    void rest() {
      while (!stopped && next < mine.size()) {
        takeMine();
      }
    }

    private boolean takeMine() {
      Map.Entry<byte[], Optional<byte[]>> entry = mine.get(next++);
      if (entry.getValue().isPresent()) {
        stopped = !visitor.visit(entry.getKey().clone(), entry.getValue().get().clone());
      }
      return !stopped;
    }
  }
}
