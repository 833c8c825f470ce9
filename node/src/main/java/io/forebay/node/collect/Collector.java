package io.forebay.node.collect;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.GroupId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeUsage;
import io.forebay.node.replica.Replica;
import io.forebay.node.replica.Volumes;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Frees room: goes over everything that this node's volumes hold, for ever (rule G7), and deletes
 * what the namespace calls garbage (rule G5), what belongs to groups that the volume has left and
 * that are at full strength without it, and, when a volume fills up, what is clean (rule G6).
 */
public final class Collector {
  private static final double EVICT_ABOVE = 0.85;
  private static final double EVICT_TO = 0.75;

  private final Env env;
  private final Volumes volumes;
  private final Replica replica;
  private final ControlPlane plane;
  private final long pauseNanos;
  private final AtomicLong garbageBytes = new AtomicLong();
  private final AtomicLong evictedBytes = new AtomicLong();

  /**
   * @param pauseNanos between two rounds
   */
  public Collector(Env env, Volumes volumes, Replica replica, ControlPlane plane, long pauseNanos) {
    this.env = env;
    this.volumes = volumes;
    this.replica = replica;
    this.plane = plane;
    this.pauseNanos = pauseNanos;
  }

  /** Bytes of garbage deleted since the start. */
  public long garbageBytes() {
    return garbageBytes.get();
  }

  /** Bytes of clean chunks evicted since the start. */
  public long evictedBytes() {
    return evictedBytes.get();
  }

  /** Round after round, until interrupted. */
  public void run() {
    while (true) {
      env.sleep(pauseNanos);
      try {
        round();
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // Nobody answers for the namespace now: nothing is deleted, and the next round asks again.
      }
    }
  }

  /** One round over all volumes. */
  public void round() {
    for (Volume volume : volumes.all()) {
      if (volume.fault().isPresent()) {
        continue; // nothing can be deleted there any more
      }
      VolumeUsage usage = volume.usage();
      long toEvict =
          usage.usedBytes() > usage.capacityBytes() * EVICT_ABOVE
              ? (long) (usage.usedBytes() - usage.capacityBytes() * EVICT_TO)
              : 0;
      for (GroupId group : volume.groups()) {
        toEvict -= collect(volume, group, toEvict);
      }
    }
  }

  private long collect(Volume volume, GroupId group, long toEvict) {
    long evicted = 0;
    Optional<ChunkId> after = Optional.empty();
    while (true) {
      List<StoredChunk> page = volume.list(group, after, NamespaceQuery.MAX_CHUNKS);
      if (page.isEmpty()) {
        return evicted;
      }
      var query = new NamespaceQuery.ChunkStates(page.stream().map(StoredChunk::id).toList());
      if (!(plane.query(query) instanceof NamespaceAnswer.Chunks(var states))) {
        return evicted;
      }
      var delete = new ArrayList<ChunkId>();
      var kept = new ArrayList<StoredChunk>();
      for (int i = 0; i < page.size(); i++) {
        StoredChunk chunk = page.get(i);
        ChunkState state = states.get(i);
        if (state == ChunkState.GARBAGE) {
          delete.add(chunk.id());
          garbageBytes.addAndGet(chunk.lengthBytes());
        } else if (state == ChunkState.CLEAN && evicted < toEvict) {
          delete.add(chunk.id());
          evicted += chunk.lengthBytes();
          evictedBytes.addAndGet(chunk.lengthBytes());
        } else {
          kept.add(chunk);
        }
      }
      volume.delete(delete);
      // Membership may have come back while the namespace was asked: looked at again where neither
      // a commit nor the re-sync of a newer epoch can come between the look and the deletion.
      replica.alone(
          group,
          () -> {
            if (hasLeft(volume, group)) {
              volume.delete(kept.stream().map(StoredChunk::id).toList());
              kept.forEach(chunk -> garbageBytes.addAndGet(chunk.lengthBytes()));
            }
          });
      if (page.size() < NamespaceQuery.MAX_CHUNKS) {
        return evicted;
      }
      after = Optional.of(page.getLast().id());
    }
  }

  /** Whether the group has all its copies elsewhere and this volume is no member any more. */
  private boolean hasLeft(Volume volume, GroupId id) {
    ClusterImage image = plane.image();
    Optional<Group> group = image.group(id);
    return group.isPresent()
        && group.get().member(volume.id()).isEmpty()
        && !group.get().reviving()
        && group.get().in(MemberState.IN_SYNC).size() >= group.get().family().replicas();
  }
}
