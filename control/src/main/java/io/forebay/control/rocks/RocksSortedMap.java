package io.forebay.control.rocks;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.FlushOptions;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.ReadOptions;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.Slice;
import org.rocksdb.Snapshot;
import org.rocksdb.WriteBatch;
import org.rocksdb.WriteOptions;

/**
 * A {@link SortedMap} on RocksDB. The applied index is written in the same batch as what it has
 * applied. RocksDB's write-ahead log is on and never synced: a process that was killed finds the
 * map where it left it, and need not apply the Raft log again before it can lead; what a power cut
 * takes from its end, the Raft log, which is synced before an entry is applied, gives again.
 */
public final class RocksSortedMap implements SortedMap, AutoCloseable {
  /** The position up to which the log was applied. */
  public record Applied(long term, long index) {}

  // Above every key of a machine (those end at 0xF2).
  private static final byte[] APPLIED = {(byte) 0xFF};
  private static final long CACHE_BYTES = 32L << 20;
  private static final long MEMTABLE_BYTES = 16L << 20;
  private static final long ROW_BYTES = 16L << 20;
  private static final int WIPE_COUNT = 10_000;

  static {
    RocksDB.loadLibrary();
  }

  private final Path directory;
  private final Options options;
  private final LRUCache cache;
  private final BloomFilter filter;
  private final WriteOptions unsynced;
  private final RocksDB db;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition viewClosed = lock.newCondition();
  private final ReentrantLock writeLock = new ReentrantLock();
  private final RowCache rows = new RowCache(ROW_BYTES);
  private int openViews; // guarded by lock
  private boolean closed; // guarded by lock

  /**
   * Opens or makes the database of a directory.
   *
   * @throws ForebayException CONFIGURATION with the directory and what RocksDB said
   */
  public RocksSortedMap(Path directory) {
    this.directory = directory;
    cache = new LRUCache(CACHE_BYTES);
    filter = new BloomFilter(10);
    options =
        new Options()
            .setCreateIfMissing(true)
            .setWriteBufferSize(MEMTABLE_BYTES)
            .setMaxBackgroundJobs(2)
            .setKeepLogFileNum(2)
            .setTableFormatConfig(
                new BlockBasedTableConfig().setBlockCache(cache).setFilterPolicy(filter));
    unsynced = new WriteOptions().setSync(false);
    try {
      Files.createDirectories(directory);
      db = RocksDB.open(options, directory.toString());
    } catch (IOException | RocksDBException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          directory + " cannot be opened as the control plane's state: " + failure.getMessage(),
          failure);
    }
  }

  @Override
  public View view() {
    begin();
    return new SnapshotView();
  }

  /**
   * The map as it is, for the thread that writes: nothing may be written while it is open. Costs no
   * snapshot.
   */
  public View current() {
    begin();
    return new CurrentView(rows.version());
  }

  /** Without a snapshot, and with one when a write came between. */
  @Override
  public <T> T read(Function<View, T> reading) {
    long version = rows.version();
    if (RowCache.stands(version)) {
      begin();
      try (View view = new CurrentView(version)) {
        return reading.apply(view);
      } catch (Moved moved) {
        // again, below
      }
    }
    return SortedMap.super.read(reading);
  }

  private void begin() {
    lock.lock();
    try {
      if (closed) {
        throw new ForebayException(
            ErrorCode.UNAVAILABLE, directory + " is closed: this voter has stopped");
      }
      openViews++;
    } finally {
      lock.unlock();
    }
  }

  private void end() {
    lock.lock();
    try {
      openViews--;
      viewClosed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void write(Batch batch) {
    write(batch, Optional.empty());
  }

  /** Applies a batch together with the position that it brings the map to. */
  public void write(Batch batch, Optional<Applied> applied) {
    writeLock.lock();
    rows.beginWrite();
    try (WriteBatch out = new WriteBatch()) {
      for (Batch.Change change : batch.changes()) {
        rows.forget(change.key());
        if (change.value().isPresent()) {
          out.put(change.key(), change.value().get());
        } else {
          out.delete(change.key());
        }
      }
      if (applied.isPresent()) {
        out.put(
            APPLIED,
            ByteBuffer.allocate(16)
                .putLong(applied.get().term())
                .putLong(applied.get().index())
                .array());
      }
      db.write(unsynced, out);
    } catch (RocksDBException failure) {
      throw fault("written", failure);
    } finally {
      rows.endWrite();
      writeLock.unlock();
    }
  }

  /** The position up to which the log was applied, as far as it is known; empty in a new map. */
  public Optional<Applied> applied() {
    try {
      return Optional.ofNullable(db.get(APPLIED))
          .map(ByteBuffer::wrap)
          .map(bytes -> new Applied(bytes.getLong(), bytes.getLong()));
    } catch (RocksDBException failure) {
      throw fault("read", failure);
    }
  }

  /** Puts everything written so far on the device. */
  public void flush() {
    try (FlushOptions wait = new FlushOptions().setWaitForFlush(true)) {
      db.flush(wait);
    } catch (RocksDBException failure) {
      throw fault("flushed", failure);
    }
  }

  /** Removes everything. */
  public void wipe() {
    while (true) {
      var batch = new Batch();
      try (View all = view()) {
        all.scan(
            new byte[0],
            new byte[] {(byte) 0xFF, (byte) 0xFF},
            (key, value) -> {
              batch.remove(key);
              return batch.changes().size() < WIPE_COUNT;
            });
      }
      if (batch.changes().isEmpty()) {
        return;
      }
      write(batch);
    }
  }

  private ForebayException fault(String what, RocksDBException failure) {
    return new ForebayException(
        ErrorCode.IO_ERROR,
        directory + " cannot be " + what + ": " + failure.getMessage(),
        failure);
  }

  /** Waits for the views that are open, since native memory is freed under them. Idempotent. */
  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      while (openViews > 0) {
        viewClosed.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
    db.close();
    unsynced.close();
    options.close();
    filter.close();
    cache.close();
  }

  /** Thrown through a reading whose picture is gone. */
  private static final class Moved extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Moved() {
      super("the map has changed", null, false, false);
    }
  }

  /** The map itself, for as long as nothing is written. */
  private final class CurrentView implements View {
    private final long version;

    CurrentView(long version) {
      this.version = version;
    }

    @Override
    public Optional<byte[]> get(byte[] key) {
      try {
        Optional<byte[]> value = Optional.ofNullable(db.get(key));
        requireUnmoved();
        return value;
      } catch (RocksDBException failure) {
        throw fault("read", failure);
      }
    }

    @Override
    public <T> Optional<T> get(byte[] key, Function<byte[], T> decoding) {
      return rows.get(version, key, decoding, this::get);
    }

    private void requireUnmoved() {
      if (rows.version() != version) {
        throw new Moved();
      }
    }

    @Override
    public void scan(byte[] from, byte[] to, Visitor visitor) {
      try (Slice end = new Slice(to);
          ReadOptions bounded = new ReadOptions().setIterateUpperBound(end);
          RocksIterator entries = db.newIterator(bounded)) {
        // An iterator stays with the picture that it began with.
        requireUnmoved();
        visit(entries, from, visitor);
      } catch (RocksDBException failure) {
        throw fault("read", failure);
      }
    }

    @Override
    public void close() {
      end();
    }
  }

  private static void visit(RocksIterator entries, byte[] from, SortedMap.Visitor visitor)
      throws RocksDBException {
    for (entries.seek(from); entries.isValid(); entries.next()) {
      if (!visitor.visit(entries.key(), entries.value())) {
        return;
      }
    }
    entries.status();
  }

  /** What was, however much is written. */
  private final class SnapshotView implements View {
    private final long version;
    private final Snapshot snapshot;
    private final ReadOptions read;

    SnapshotView() {
      long before = rows.version();
      snapshot = db.getSnapshot();
      read = new ReadOptions().setSnapshot(snapshot);
      version = rows.version() == before ? before : RowCache.NEVER;
    }

    @Override
    public Optional<byte[]> get(byte[] key) {
      try {
        return Optional.ofNullable(db.get(read, key));
      } catch (RocksDBException failure) {
        throw fault("read", failure);
      }
    }

    @Override
    public <T> Optional<T> get(byte[] key, Function<byte[], T> decoding) {
      return rows.get(version, key, decoding, this::get);
    }

    @Override
    public void scan(byte[] from, byte[] to, Visitor visitor) {
      try (Slice end = new Slice(to);
          ReadOptions bounded = new ReadOptions().setSnapshot(snapshot).setIterateUpperBound(end);
          RocksIterator entries = db.newIterator(bounded)) {
        visit(entries, from, visitor);
      } catch (RocksDBException failure) {
        throw fault("read", failure);
      }
    }

    @Override
    public void close() {
      read.close();
      db.releaseSnapshot(snapshot);
      snapshot.close();
      end();
    }
  }
}
