package io.forebay.core.volume;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/**
 * A {@link Volume} in memory, for simulations and tests: keeps the slices as they came, so
 * synthetic content takes no room. A disk outlives its process: the simulator hands the same {@link
 * Disk} to the next run, whose volume drops what the one before had not committed.
 */
public final class MemoryVolume implements Volume {
  /** What is on the disk; survives the process. */
  public static final class Disk {
    private final VolumeId id;
    private final long capacityBytes;
    private final ReentrantLock lock = new ReentrantLock();
    // All guarded by lock.
    private Incarnation incarnation;
    private final Map<ChunkId, Held> chunks = new TreeMap<>();
    private final Map<GroupId, TreeMap<ChunkId, Held>> groups = new TreeMap<>();
    private long usedBytes;
    private boolean full;
    private boolean failsNextWrite;
    private boolean broken;
    private final Set<MemoryAppender> unended = new LinkedHashSet<>();

    /**
     * An empty disk.
     *
     * @param capacityBytes what it may hold
     */
    public Disk(VolumeId id, Incarnation incarnation, long capacityBytes) {
      this.id = id;
      this.incarnation = incarnation;
      this.capacityBytes = capacityBytes;
    }

    /**
     * The machine was rebooted, or lost power: a new incarnation; what it holds is what was kept.
     */
    public void reboot(long boot, boolean losesEverything) {
      lock.lock();
      try {
        incarnation = new Incarnation(incarnation.disk(), boot);
        if (losesEverything) {
          clear();
        }
      } finally {
        lock.unlock();
      }
    }

    /**
     * The power was cut: a new incarnation; of the chunks that were not synced those go that the
     * caller chooses.
     *
     * @param tears which of these are torn: held until the volume is settled, but not whole
     * @return how many went
     */
    public int powerCut(long boot, Predicate<StoredChunk> loses, Predicate<StoredChunk> tears) {
      lock.lock();
      try {
        incarnation = new Incarnation(incarnation.disk(), boot);
        List<Held> lost =
            chunks.values().stream()
                .filter(held -> held.durability != Durability.SYNCED && loses.test(held.chunk))
                .toList();
        for (Held held : lost) {
          if (tears.test(held.chunk)) {
            held.torn = true;
            held.corrupt = true;
          } else {
            drop(held);
          }
        }
        return lost.size();
      } finally {
        lock.unlock();
      }
    }

    /** Which life of the disk this is. */
    public Incarnation incarnation() {
      lock.lock();
      try {
        return incarnation;
      } finally {
        lock.unlock();
      }
    }

    /** The chunk, if it is held and good. For invariants. */
    public Optional<StoredChunk> find(ChunkId chunk) {
      lock.lock();
      try {
        return Optional.ofNullable(chunks.get(chunk))
            .filter(held -> !held.corrupt)
            .map(held -> held.chunk);
      } finally {
        lock.unlock();
      }
    }

    /** Loses one chunk's good bytes: reads find it corrupt from now on. */
    public void corrupt(ChunkId chunk) {
      lock.lock();
      try {
        Held held = chunks.get(chunk);
        if (held != null) {
          held.corrupt = true;
        }
      } finally {
        lock.unlock();
      }
    }

    /** What is held and was made corrupt since, ascending. For invariants. */
    public List<StoredChunk> corrupt() {
      lock.lock();
      try {
        return chunks.values().stream()
            .filter(held -> held.corrupt)
            .map(held -> held.chunk)
            .toList();
      } finally {
        lock.unlock();
      }
    }

    /** Whether the chunk is held, good or corrupt, and not torn. For invariants. */
    public boolean holds(ChunkId chunk) {
      lock.lock();
      try {
        Held held = chunks.get(chunk);
        return held != null && !held.torn;
      } finally {
        lock.unlock();
      }
    }

    /** Refuses appends as a full disk does, or takes them again. */
    public void full(boolean on) {
      lock.lock();
      try {
        full = on;
      } finally {
        lock.unlock();
      }
    }

    /** Makes the next slice that is written fail with IO_ERROR. */
    public void failNextWrite() {
      lock.lock();
      try {
        failsNextWrite = true;
      } finally {
        lock.unlock();
      }
    }

    /** Fails every write from now on, as a disk does that is at its end; reads work. */
    public void breakWrites() {
      lock.lock();
      try {
        broken = true;
      } finally {
        lock.unlock();
      }
    }

    /** Every chunk that is held, ascending. For invariants. */
    public List<StoredChunk> all() {
      lock.lock();
      try {
        return chunks.values().stream().map(held -> held.chunk).toList();
      } finally {
        lock.unlock();
      }
    }

    private void drop(Held held) {
      chunks.remove(held.chunk.id());
      TreeMap<ChunkId, Held> group = groups.get(held.chunk.group());
      if (group != null) {
        group.remove(held.chunk.id());
        if (group.isEmpty()) {
          groups.remove(held.chunk.group());
        }
      }
      usedBytes -= held.chunk.lengthBytes();
      held.slices.forEach(Bytes::release);
    }

    private void clear() {
      List.copyOf(unended).forEach(MemoryAppender::abort);
      chunks.values().forEach(held -> held.slices.forEach(Bytes::release));
      chunks.clear();
      groups.clear();
      usedBytes = 0;
    }
  }

  private static final class Held {
    final StoredChunk chunk;
    final List<Bytes> slices;
    final Durability durability;
    boolean corrupt;
    boolean torn;

    Held(StoredChunk chunk, List<Bytes> slices, Durability durability) {
      this.durability = durability;
      this.chunk = chunk;
      this.slices = slices;
    }
  }

  private final Env env;
  private final Disk disk;

  /** The volume of a disk for one run of its process; ends the appends of the run before. */
  public MemoryVolume(Env env, Disk disk) {
    this.env = env;
    this.disk = disk;
    disk.lock.lock();
    try {
      List.copyOf(disk.unended).forEach(MemoryAppender::abort);
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public VolumeId id() {
    return disk.id;
  }

  @Override
  public Incarnation incarnation() {
    disk.lock.lock();
    try {
      return disk.incarnation;
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public VolumeUsage usage() {
    disk.lock.lock();
    try {
      return new VolumeUsage(disk.capacityBytes, disk.usedBytes, disk.chunks.size(), 0);
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public Optional<String> fault() {
    disk.lock.lock();
    try {
      return disk.broken ? Optional.of("writes fail") : Optional.empty();
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public ChunkAppender append(
      ChunkId id, GroupId group, Epoch epoch, int maxLengthBytes, Durability durability) {
    disk.lock.lock();
    try {
      if (disk.broken) {
        throw new ForebayException(
            ErrorCode.IO_ERROR, "volume " + disk.id + " is turned out: writes fail");
      }
      if (disk.full || disk.usedBytes + maxLengthBytes > disk.capacityBytes) {
        throw new ForebayException(
            ErrorCode.NO_SPACE,
            "volume "
                + disk.id
                + " has no room for "
                + maxLengthBytes
                + " bytes: "
                + disk.usedBytes
                + " of "
                + disk.capacityBytes
                + " are used");
      }
      disk.usedBytes += maxLengthBytes;
      var appender = new MemoryAppender(id, group, epoch, maxLengthBytes, durability);
      disk.unended.add(appender);
      return appender;
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public Optional<StoredChunk> find(ChunkId id) {
    disk.lock.lock();
    try {
      return Optional.ofNullable(disk.chunks.get(id)).map(held -> held.chunk);
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public List<StoredChunk> list(GroupId group, Optional<ChunkId> after, int max) {
    disk.lock.lock();
    try {
      TreeMap<ChunkId, Held> chunks = disk.groups.get(group);
      if (chunks == null) {
        return List.of();
      }
      return after
          .map(id -> (Map<ChunkId, Held>) chunks.tailMap(id, false))
          .orElse(chunks)
          .values()
          .stream()
          .limit(max)
          .map(held -> held.chunk)
          .toList();
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public void settle(GroupId group) {
    disk.lock.lock();
    try {
      TreeMap<ChunkId, Held> chunks = disk.groups.get(group);
      if (chunks != null) {
        List.copyOf(chunks.values()).stream().filter(held -> held.torn).forEach(disk::drop);
      }
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public List<GroupId> groups() {
    disk.lock.lock();
    try {
      return List.copyOf(disk.groups.keySet());
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public Bytes read(ChunkId id, int offset, int length, SlabPool pool) {
    disk.lock.lock();
    try {
      Held held = disk.chunks.get(id);
      if (held == null) {
        throw new ForebayException(
            ErrorCode.CHUNK_ABSENT, "volume " + disk.id + " does not hold " + id);
      }
      if (held.corrupt) {
        throw new ForebayException(
            ErrorCode.CORRUPT, "chunk " + id + " on volume " + disk.id + " has another CRC32C");
      }
      if (offset < 0 || length < 1 || offset > held.chunk.lengthBytes() - length) {
        throw new IllegalArgumentException(
            "read "
                + offset
                + "+"
                + length
                + " of chunk "
                + id
                + " of "
                + held.chunk.lengthBytes());
      }
      int start = 0;
      for (Bytes slice : held.slices) {
        if (offset >= start && offset + length <= start + slice.length()) {
          return slice.slice(offset - start, length);
        }
        start += slice.length();
      }
      return gather(held, offset, length, pool);
    } finally {
      disk.lock.unlock();
    }
  }

  private static Bytes gather(Held held, int offset, int length, SlabPool pool) {
    var slab = pool.take();
    try {
      var buffer = slab.buffer();
      int start = 0;
      for (Bytes slice : held.slices) {
        int from = Math.max(offset, start);
        int to = Math.min(offset + length, start + slice.length());
        if (from < to) {
          Bytes part = slice.slice(from - start, to - from);
          part.copyTo(buffer);
          part.release();
        }
        start += slice.length();
      }
      return slab.bytes(0, length);
    } finally {
      slab.release();
    }
  }

  @Override
  public void delete(Collection<ChunkId> ids) {
    disk.lock.lock();
    try {
      for (ChunkId id : ids) {
        Held held = disk.chunks.get(id);
        if (held != null) {
          disk.drop(held);
        }
      }
    } finally {
      disk.lock.unlock();
    }
  }

  @Override
  public void close() {}

  private final class MemoryAppender implements ChunkAppender {
    private final ChunkId id;
    private final GroupId group;
    private final Epoch epoch;
    private final int reservedBytes;
    private final Durability durability;
    private final List<Bytes> slices = new ArrayList<>();
    private int lengthBytes;
    private int crc32c;
    private boolean ended;
    private boolean failed;

    MemoryAppender(
        ChunkId id, GroupId group, Epoch epoch, int reservedBytes, Durability durability) {
      this.durability = durability;
      this.id = id;
      this.group = group;
      this.epoch = epoch;
      this.reservedBytes = reservedBytes;
    }

    @Override
    public Outcome<Void> write(int offset, Bytes slice, int crc) {
      disk.lock.lock();
      try {
        if (ended) {
          return Outcome.failed(env, new ForebayException(ErrorCode.CANCELLED, "append was ended"));
        }
        if (offset != lengthBytes || offset + slice.length() > reservedBytes) {
          throw new IllegalArgumentException(
              "slice at "
                  + offset
                  + "+"
                  + slice.length()
                  + " after "
                  + lengthBytes
                  + " of "
                  + reservedBytes);
        }
        if (disk.failsNextWrite || disk.broken) {
          disk.failsNextWrite = false;
          failed = true;
        }
        if (failed) {
          return Outcome.failed(env, ioError());
        }
        keep(slice);
        crc32c = Crc32cCombiner.combine(crc32c, crc, slice.length());
        lengthBytes += slice.length();
        var written = new Outcome<Void>(env);
        @SuppressWarnings("NullAway")
        boolean completed = written.complete(null);
        assert completed;
        return written;
      } finally {
        disk.lock.unlock();
      }
    }

    /** What is computed and goes on where the last slice ended is one slice with it. */
    private void keep(Bytes slice) {
      if (slice instanceof Synthetic(long seed, long from, int length)
          && !slices.isEmpty()
          && slices.getLast() instanceof Synthetic(long lastSeed, long lastFrom, int lastLength)
          && seed == lastSeed
          && from == lastFrom + lastLength) {
        slices.set(slices.size() - 1, new Synthetic(seed, lastFrom, lastLength + length));
      } else {
        slices.add(slice.retain());
      }
    }

    private ForebayException ioError() {
      return new ForebayException(
          ErrorCode.IO_ERROR, "writing chunk " + id + " on volume " + disk.id + " failed");
    }

    @Override
    public StoredChunk commit(int length, int crc) {
      return end(length, crc, false);
    }

    @Override
    public StoredChunk replace(int length, int crc) {
      return end(length, crc, true);
    }

    private StoredChunk end(int length, int crc, boolean replaces) {
      disk.lock.lock();
      try {
        if (ended) {
          throw new ForebayException(ErrorCode.CANCELLED, "append of " + id + " was ended before");
        }
        if (failed) {
          abort();
          throw ioError();
        }
        if (length != lengthBytes || crc != crc32c) {
          abort();
          throw new ForebayException(
              ErrorCode.CHECKSUM_MISMATCH,
              "chunk "
                  + id
                  + " was sent as "
                  + length
                  + " bytes and arrived as "
                  + lengthBytes
                  + ", or with another CRC32C");
        }
        Held before = disk.chunks.get(id);
        if (before != null && !replaces && !before.torn) {
          abort();
          return before.chunk;
        }
        if (before != null) {
          if (before.chunk.lengthBytes() != length || before.chunk.crc32c() != crc) {
            abort();
            throw new ForebayException(
                ErrorCode.CHECKSUM_MISMATCH,
                "chunk " + id + " is held on volume " + disk.id + " as other bytes");
          }
          delete(List.of(id));
        }
        ended = true;
        disk.unended.remove(this);
        var held =
            new Held(
                new StoredChunk(id, group, epoch, length, crc), List.copyOf(slices), durability);
        disk.chunks.put(id, held);
        disk.groups.computeIfAbsent(group, any -> new TreeMap<>()).put(id, held);
        disk.usedBytes += length - reservedBytes;
        return held.chunk;
      } finally {
        disk.lock.unlock();
      }
    }

    @Override
    public void abort() {
      disk.lock.lock();
      try {
        if (!ended) {
          ended = true;
          disk.unended.remove(this);
          slices.forEach(Bytes::release);
          slices.clear();
          disk.usedBytes -= reservedBytes;
        }
      } finally {
        disk.lock.unlock();
      }
    }
  }
}
