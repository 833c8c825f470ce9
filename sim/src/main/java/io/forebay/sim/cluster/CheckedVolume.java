package io.forebay.sim.cluster;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.Outcome;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeUsage;
import io.forebay.sim.world.SimEnv;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * A process's volume as the simulation sees it: a killed process's threads end here instead of
 * touching the disk, a commit takes time, and so do reads and writes where the disk has a speed;
 * the judge sees each change when it happens.
 */
final class CheckedVolume implements Volume {
  private static final long SECOND = 1_000_000_000L;
  private static final long SLOW_COMMIT_NANOS = 3_000_000L;

  private final SimEnv env;
  private final Volume volume;
  private final Judge judge;
  private long slowNanos;
  private long bytesPerSecond; // 0: as fast as may be
  private long busyUntilNanos;

  CheckedVolume(SimEnv env, Volume volume, Judge judge) {
    this.env = env;
    this.volume = volume;
    this.judge = judge;
  }

  /** Makes every commit take up to so long; 0 as before. */
  void slow(long nanos) {
    slowNanos = nanos;
  }

  /** Makes reads and writes stand in one line for a disk of that speed; 0: as fast as may be. */
  void speed(long perSecond) {
    bytesPerSecond = perSecond;
  }

  /** Gives the disk something more to do; returns in how many nanoseconds that will be done. */
  private long standInLine(int bytes) {
    long now = env.nanoTime();
    busyUntilNanos = Math.max(now, busyUntilNanos) + bytes * SECOND / bytesPerSecond;
    return busyUntilNanos - now;
  }

  @Override
  public VolumeId id() {
    env.checkAlive();
    return volume.id();
  }

  @Override
  public Incarnation incarnation() {
    env.checkAlive();
    return volume.incarnation();
  }

  @Override
  public VolumeUsage usage() {
    env.checkAlive();
    return volume.usage();
  }

  @Override
  public Optional<String> fault() {
    env.checkAlive();
    return volume.fault();
  }

  @Override
  public ChunkAppender append(
      ChunkId id, GroupId group, Epoch epoch, int maxLengthBytes, Durability durability) {
    env.checkAlive();
    judge.appending(group, durability);
    return new Appender(volume.append(id, group, epoch, maxLengthBytes, durability));
  }

  @Override
  public Optional<StoredChunk> find(ChunkId id) {
    env.checkAlive();
    return volume.find(id);
  }

  @Override
  public List<StoredChunk> list(GroupId group, Optional<ChunkId> after, int max) {
    env.checkAlive();
    return volume.list(group, after, max);
  }

  @Override
  public void settle(GroupId group) {
    env.checkAlive();
    volume.settle(group);
  }

  @Override
  public List<GroupId> groups() {
    env.checkAlive();
    return volume.groups();
  }

  @Override
  public Bytes read(ChunkId id, int offset, int length, SlabPool pool) {
    env.checkAlive();
    if (bytesPerSecond > 0) {
      env.sleep(standInLine(length));
    }
    return volume.read(id, offset, length, pool);
  }

  @Override
  public void delete(Collection<ChunkId> ids) {
    env.checkAlive();
    if (!ids.isEmpty()) {
      judge.deleting(volume.id(), volume.incarnation(), ids);
      volume.delete(ids);
    }
  }

  @Override
  public void close() {}

  private final class Appender implements ChunkAppender {
    private final ChunkAppender appender;

    Appender(ChunkAppender appender) {
      this.appender = appender;
    }

    @Override
    public Outcome<Void> write(int offset, Bytes slice, int crc32c) {
      env.checkAlive();
      Outcome<Void> taken = appender.write(offset, slice, crc32c);
      if (bytesPerSecond == 0) {
        return taken;
      }
      var written = new Outcome<Void>(env);
      env.schedule(
          standInLine(slice.length()), () -> taken.whenDone(done -> settle(written, done)));
      return written;
    }

    @SuppressWarnings("NullAway") // a Void outcome is completed with null
    private static void settle(Outcome<Void> written, Outcome<Void> taken) {
      taken.failure().ifPresentOrElse(written::fail, () -> written.complete(null));
    }

    @Override
    public StoredChunk commit(int lengthBytes, int crc32c) {
      takeTime();
      StoredChunk stored = appender.commit(lengthBytes, crc32c);
      judge.stored(volume.id(), volume.incarnation(), stored);
      return stored;
    }

    @Override
    public StoredChunk replace(int lengthBytes, int crc32c) {
      takeTime();
      StoredChunk stored = appender.replace(lengthBytes, crc32c);
      judge.stored(volume.id(), volume.incarnation(), stored);
      return stored;
    }

    private void takeTime() {
      env.checkAlive();
      long most = Math.max(slowNanos, env.random().nextInt(4) == 0 ? SLOW_COMMIT_NANOS : 0);
      if (most > 0) {
        env.sleep(env.random().nextLong(most));
        env.checkAlive();
      }
    }

    @Override
    public void abort() {
      // A dead process's appends are ended by the disk's next owner.
      if (!env.killed()) {
        appender.abort();
      }
    }
  }
}
