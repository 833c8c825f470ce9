package io.forebay.core.sorted;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A {@link SortedMap} in memory, for one-process tests and simulations. A view holds writers off
 * until closed.
 */
public final class MemorySortedMap implements SortedMap {
  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  private final TreeMap<byte[], byte[]> entries =
      new TreeMap<>(Arrays::compareUnsigned); // guarded by lock

  @Override
  public View view() {
    lock.readLock().lock();
    return new MemoryView();
  }

  @Override
  public void write(Batch batch) {
    lock.writeLock().lock();
    try {
      for (Batch.Change change : batch.changes()) {
        if (change.value().isPresent()) {
          entries.put(change.key(), change.value().get());
        } else {
          entries.remove(change.key());
        }
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  private final class MemoryView implements View {
    @Override
    public Optional<byte[]> get(byte[] key) {
      return Optional.ofNullable(entries.get(key)).map(byte[]::clone);
    }

    @Override
    public void scan(byte[] from, byte[] to, Visitor visitor) {
      for (Map.Entry<byte[], byte[]> entry : entries.subMap(from, true, to, false).entrySet()) {
        if (!visitor.visit(entry.getKey().clone(), entry.getValue().clone())) {
          return;
        }
      }
    }

    @Override
    public void close() {
      lock.readLock().unlock();
    }
  }
}
