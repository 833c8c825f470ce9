package io.forebay.node.collect;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Network;
import io.forebay.core.rule.Rule;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeUsage;
import io.forebay.node.replica.ChunkLists;
import io.forebay.node.replica.Fill;
import io.forebay.node.replica.Recency;
import io.forebay.node.replica.Replica;
import io.forebay.node.replica.Volumes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Frees room: goes over everything that this node's volumes hold, for ever (rule G7), and deletes
 * what the namespace calls garbage (rule G5), and what belongs to groups that the volume has left
 * and that are at full strength without it: what may be owed only where a member has it, too. Where
 * that leaves a volume above its high watermark, clean chunks are evicted (rule G6) down to the low
 * one: those that were used least recently, whichever group they are of.
 *
 * <p>A round comes every few seconds. Between two of them a volume is looked at alone when room is
 * wanted there ({@link Fill}). Each look asks the namespace about every chunk, so between two there
 * is a pause that leaves the namespace most of its time for others.
 */
public final class Collector {
  private static final long LEAST_PAUSE_NANOS = 500_000_000L;
  // A look may take up a fifth of the time.
  private static final int PAUSE_TIMES = 4;
  // Deletions that a volume is given at once: what writes wait for in between.
  private static final int DELETE_AT_ONCE = 256;

  private final Env env;
  private final Volumes volumes;
  private final Replica replica;
  private final ControlPlane plane;
  private final ChunkLists lists;
  private final Fill fill;
  private final Recency recency;
  private final long pauseNanos;
  // Did not answer since the last round began.
  private final Set<NodeId> silent = new ConcurrentSkipListSet<>();
  private long waitedNanos; // for other nodes, in this look
  private final AtomicLong garbageBytes = new AtomicLong();
  private final AtomicLong evictedBytes = new AtomicLong();

  /**
   * @param pauseNanos between two rounds
   */
  public Collector(
      Env env,
      Volumes volumes,
      Replica replica,
      ControlPlane plane,
      Network network,
      Fill fill,
      Recency recency,
      long pauseNanos) {
    this.env = env;
    this.volumes = volumes;
    this.replica = replica;
    this.plane = plane;
    this.lists = new ChunkLists(network);
    this.fill = fill;
    this.recency = recency;
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

  /** Round after round, and whenever room is wanted, until interrupted. */
  public void run() {
    long dueNanos = env.nanoTime() + pauseNanos;
    while (true) {
      fill.awaitWanted(dueNanos);
      waitedNanos = 0;
      long beganNanos = env.nanoTime();
      boolean due = beganNanos - dueNanos >= 0;
      try {
        if (due) {
          round();
        } else {
          makeRoom();
        }
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // Nobody answers for the namespace now: nothing is deleted, and the next round asks again.
      }
      long endedNanos = env.nanoTime();
      dueNanos = due ? endedNanos + pauseNanos : dueNanos;
      env.sleep(Math.max(LEAST_PAUSE_NANOS, PAUSE_TIMES * (endedNanos - beganNanos - waitedNanos)));
    }
  }

  /** One round over all volumes. */
  public void round() {
    Map<VolumeId, Fill.Want> wants = fill.takeWants();
    silent.clear();
    for (Volume volume : volumes.all()) {
      look(volume, wants.get(volume.id()) == Fill.Want.REFUSED);
    }
  }

  private void makeRoom() {
    fill.takeWants()
        .forEach((id, want) ->
            volumes.volume(id).ifPresent(volume -> look(volume, want == Fill.Want.REFUSED)));
  }

  /**
   * @param refused whether it had no room for a chunk: then what it holds is what it can hold
   */
  private void look(Volume volume, boolean refused) {
    if (volume.fault().isPresent()) {
      return; // nothing can be deleted there any more
    }
    long beganNanos = env.nanoTime();
    VolumeUsage usage = volume.usage();
    long fullBytes =
        refused ? Math.min(usage.usedBytes(), usage.capacityBytes()) : usage.capacityBytes();
    var look = new Look(new Coldest(fill.excessBytes(fullBytes, usage.usedBytes())));
    for (GroupId group : volume.groups()) {
      collect(volume, group, look);
    }
    // Clean chunks go only where garbage did not make room enough.
    List<StoredChunk> evicted =
        look.coldest.first(fill.excessBytes(fullBytes, volume.usage().usedBytes()));
    long bytes = evicted.stream().mapToLong(StoredChunk::lengthBytes).sum();
    delete(volume, evicted);
    evictedBytes.addAndGet(bytes);
    fill.found(
        volume.id(),
        new Fill.Contents(
            beganNanos, look.owedBytes, look.openBytes, look.cleanBytes - bytes, look.pinned));
  }

  /** What a look at a volume has come by so far. */
  private final class Look {
    final Coldest coldest;
    long owedBytes;
    long openBytes;
    long cleanBytes;
    final TreeMap<GroupId, Long> pinned = new TreeMap<>();

    Look(Coldest coldest) {
      this.coldest = coldest;
    }

    void keep(StoredChunk chunk, ChunkState state) {
      switch (state) {
        case OWED -> {
          owedBytes += chunk.lengthBytes();
          pin(chunk);
          if (!Rule.G6.holds()) {
            coldest.offer(chunk, recency.usedNanos(chunk.id()));
          }
        }
        case OPEN -> {
          openBytes += chunk.lengthBytes();
          pin(chunk);
        }
        case CLEAN -> {
          cleanBytes += chunk.lengthBytes();
          coldest.offer(chunk, recency.usedNanos(chunk.id()));
        }
        case GARBAGE -> throw new IllegalStateException("garbage is not kept: " + chunk);
      }
    }

    private void pin(StoredChunk chunk) {
      pinned.merge(chunk.group(), (long) chunk.lengthBytes(), Long::sum);
    }
  }

  private static void delete(Volume volume, List<StoredChunk> chunks) {
    for (int from = 0; from < chunks.size(); from += DELETE_AT_ONCE) {
      int to = Math.min(from + DELETE_AT_ONCE, chunks.size());
      volume.delete(chunks.subList(from, to).stream().map(StoredChunk::id).toList());
    }
  }

  private void collect(Volume volume, GroupId group, Look look) {
    Optional<Elsewhere> elsewhere = heldByMembers(volume, group);
    Optional<ChunkId> after = Optional.empty();
    while (true) {
      List<StoredChunk> page = volume.list(group, after, NamespaceQuery.MAX_CHUNKS);
      if (page.isEmpty()) {
        return;
      }
      var query = new NamespaceQuery.ChunkStates(page.stream().map(StoredChunk::id).toList());
      if (!(plane.query(query) instanceof NamespaceAnswer.Chunks(var states))) {
        return;
      }
      var garbage = new ArrayList<StoredChunk>();
      for (int i = 0; i < page.size(); i++) {
        if (states.get(i) == ChunkState.GARBAGE) {
          garbage.add(page.get(i));
          garbageBytes.addAndGet(page.get(i).lengthBytes());
        }
      }
      delete(volume, garbage);
      // Membership may have come back while the namespace was asked: looked at again where neither
      // a commit nor the re-sync of a newer epoch can come between the look and the deletion.
      replica.alone(
          group,
          () -> {
            boolean left = hasLeft(volume, group);
            var leftBehind = new ArrayList<StoredChunk>();
            for (int i = 0; i < page.size(); i++) {
              if (states.get(i) == ChunkState.GARBAGE) {
                continue;
              }
              if (left && mayGo(page.get(i), states.get(i), elsewhere)) {
                leftBehind.add(page.get(i));
                garbageBytes.addAndGet(page.get(i).lengthBytes());
              } else {
                look.keep(page.get(i), states.get(i));
              }
            }
            delete(volume, leftBehind);
          });
      if (page.size() < NamespaceQuery.MAX_CHUNKS) {
        return;
      }
      after = Optional.of(page.getLast().id());
    }
  }

  private boolean mayGo(StoredChunk chunk, ChunkState state, Optional<Elsewhere> elsewhere) {
    return state == ChunkState.CLEAN
        || elsewhere
            .filter(held -> held.chunks().contains(chunk.id()))
            .filter(held ->
                plane
                    .image()
                    .group(chunk.group())
                    .filter(now -> now.epoch().equals(held.epoch()))
                    .isPresent())
            .isPresent();
  }

  /** What members in sync hold, as long as it is they. */
  private record Elsewhere(Epoch epoch, Set<ChunkId> chunks) {}

  /**
   * What members in sync hold of a group that this volume has left. In sync does not prove it: a
   * member's disk may have lost a chunk, or the group may have been revived without this volume.
   */
  private Optional<Elsewhere> heldByMembers(Volume volume, GroupId id) {
    if (!hasLeft(volume, id)) {
      return Optional.empty();
    }
    var held = new TreeSet<ChunkId>();
    int all = volume.list(id, Optional.empty(), Integer.MAX_VALUE).size();
    ClusterImage image = plane.image();
    Group group = image.group(id).orElseThrow();
    for (Member member : group.in(MemberState.IN_SYNC)) {
      Optional<NodeId> node = image.volume(member.volume()).map(VolumeRecord::node);
      if (node.isPresent() && held.size() < all && !silent.contains(node.get())) {
        long askedNanos = env.nanoTime();
        try {
          lists.all(node.get(), member.volume(), id, group.epoch()).stream()
              .filter(listed -> isSame(volume, listed))
              .forEach(listed -> held.add(listed.id()));
        } catch (ForebayException failure) {
          if (failure.code() == ErrorCode.CANCELLED) {
            throw failure;
          }
          // It is away for now: what others do not hold either is kept until the next round.
          silent.add(node.get());
        } finally {
          waitedNanos += env.nanoTime() - askedNanos;
        }
      }
    }
    return Optional.of(new Elsewhere(group.epoch(), held));
  }

  private static boolean isSame(Volume volume, DataMessage.ChunkList.Listed listed) {
    return volume
        .find(listed.id())
        .filter(chunk -> chunk.lengthBytes() == listed.lengthBytes())
        .filter(chunk -> chunk.crc32c() == listed.crc32c())
        .isPresent();
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
