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
 * touching the disk, a commit takes time, and the judge sees each change when it happens.
 */
final class CheckedVolume implements Volume {
  private static final long SLOW_COMMIT_NANOS = 3_000_000L;

  private final SimEnv env;
  private final Volume volume;
  private final Judge judge;
  private long slowNanos;

  CheckedVolume(SimEnv env, Volume volume, Judge judge) {
    this.env = env;
    this.volume = volume;
    this.judge = judge;
  }

  /** Makes every commit take up to so long; 0 as before. */
  void slow(long nanos) {
    slowNanos = nanos;
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
      return appender.write(offset, slice, crc32c);
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
