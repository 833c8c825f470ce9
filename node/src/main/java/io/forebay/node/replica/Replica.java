package io.forebay.node.replica;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.net.Admission;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.LocalSink;
import io.forebay.core.net.Reply;
import io.forebay.core.rule.Rule;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * This node's volumes as members of groups: takes chunks of the epoch that it knows, and no others
 * (rule R1), answers reads and lists.
 *
 * <p>Why a lock for each group: a commit checks the epoch and then writes. A list for re-sync (rule
 * R4) must come after every commit of an older epoch that passed its check, else a chunk slips
 * between list and promotion. Commits hold the group's lock shared; a list takes it exclusively for
 * a moment once this node knows the join epoch.
 */
public final class Replica implements ChunkReceiver {
  // A writer may know an epoch a moment before this node does; heartbeats bring images within a few
  // ms.
  private static final long EPOCH_WAIT_NANOS = 400_000_000L;

  private final Env env;
  private final Volumes volumes;
  private final ControlPlane plane;
  private final SlabPool pool;
  private final MemoryTier tier;
  private final Lease lease;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<GroupId, ReentrantReadWriteLock> commits = new TreeMap<>(); // guarded by lock
  private final DoubtedChunks doubts;
  private final Fill fill;
  private final Recency recency;

  public Replica(
      Env env,
      Volumes volumes,
      ControlPlane plane,
      SlabPool pool,
      MemoryTier tier,
      Lease lease,
      DoubtedChunks doubts,
      Fill fill,
      Recency recency) {
    this.env = env;
    this.volumes = volumes;
    this.plane = plane;
    this.pool = pool;
    this.tier = tier;
    this.lease = lease;
    this.doubts = doubts;
    this.fill = fill;
    this.recency = recency;
  }

  @Override
  public Admission admit(NodeId from, ChunkPut put) {
    VolumeId id = put.chain().getFirst().volume();
    Optional<Volume> volume = volumes.volume(id);
    if (volume.isEmpty()) {
      return refuse(id, HopAck.Status.REFUSED, Optional.empty(), "this node has no such volume");
    }
    awaitEpoch(put.group(), put.epoch());
    Optional<HopAck> refusal = check(id, put.group(), put.epoch());
    if (refusal.isPresent()) {
      return new Admission.Refuse(refusal.get());
    }
    try {
      ChunkAppender appender =
          volume
              .get()
              .append(put.id(), put.group(), put.epoch(), put.maxLengthBytes(), put.durability());
      fill.taken(volume.get());
      return new Admission.Accept(new Sink(id, put, appender));
    } catch (ForebayException failure) {
      return refuse(id, HopAck.Status.REFUSED, Optional.empty(), describe(id, failure));
    }
  }

  private static Admission refuse(
      VolumeId id, HopAck.Status status, Optional<Group> newer, String detail) {
    return new Admission.Refuse(new HopAck(id, status, newer, detail));
  }

  private String describe(VolumeId volume, ForebayException failure) {
    String said = failure.code() + ": " + failure.getMessage();
    if (failure.code() != ErrorCode.NO_SPACE) {
      return said;
    }
    fill.refused(volume);
    return said + fill.words(volume);
  }

  private void awaitEpoch(GroupId id, Epoch epoch) {
    long deadline = env.nanoTime() + EPOCH_WAIT_NANOS;
    while (plane.image().group(id).map(group -> group.epoch().compareTo(epoch) < 0).orElse(true)) {
      long left = deadline - env.nanoTime();
      if (left <= 0 || !plane.awaitVersion(plane.image().version() + 1, left)) {
        return;
      }
    }
  }

  /** Rule R1: why the volume may not acknowledge a chunk of this epoch; empty when it may. */
  private Optional<HopAck> check(VolumeId id, GroupId groupId, Epoch epoch) {
    Optional<Group> group = plane.image().group(groupId);
    if (group.isEmpty() || (Rule.R1.holds() && !group.get().epoch().equals(epoch))) {
      return Optional.of(
          new HopAck(
              id,
              HopAck.Status.STALE_EPOCH,
              group.filter(known -> known.epoch().compareTo(epoch) > 0),
              groupId
                  + " is at "
                  + group.map(known -> known.epoch().toString()).orElse("no epoch")
                  + " here, not at "
                  + epoch));
    }
    Optional<Member> member = group.get().member(id);
    if (member.isEmpty() || member.get().state() == MemberState.OUT || group.get().reviving()) {
      return Optional.of(
          new HopAck(
              id, HopAck.Status.REFUSED, Optional.empty(), id + " takes no writes of " + groupId));
    }
    if (!volumes
        .volume(id)
        .map(Volume::incarnation)
        .equals(Optional.of(member.get().incarnation()))) {
      return Optional.of(
          new HopAck(
              id,
              HopAck.Status.REFUSED,
              Optional.empty(),
              id + " is another incarnation than the one in " + groupId));
    }
    if (!lease.held()) {
      return Optional.of(
          new HopAck(
              id,
              HopAck.Status.REFUSED,
              Optional.empty(),
              "this node's lease is over: it does not reach the cluster's leader"));
    }
    return Optional.empty();
  }

  private ReentrantReadWriteLock commitsOf(GroupId group) {
    lock.lock();
    try {
      ReentrantReadWriteLock known = commits.get(group);
      if (known == null) {
        known = new ReentrantReadWriteLock();
        commits.put(group, known);
      }
      return known;
    } finally {
      lock.unlock();
    }
  }

  /** Does something while no commit, list or {@code have} of the group is under way here. */
  public void alone(GroupId id, Runnable task) {
    ReentrantReadWriteLock group = commitsOf(id);
    group.writeLock().lock();
    try {
      task.run();
    } finally {
      group.writeLock().unlock();
    }
  }

  /** Answers a message about chunks. */
  public Reply handle(DataMessage message) {
    return switch (message) {
      case DataMessage.Ping() -> Reply.of(new DataMessage.Pong());
      case DataMessage.ChunkRead read -> read(read);
      case DataMessage.ChunkHave have -> Reply.of(new DataMessage.ChunkHaveAck(have(have)));
      case DataMessage.ListChunks list -> Reply.of(list(list));
      case DataMessage.Pong _,
          DataMessage.ChunkData _,
          DataMessage.ChunkMissing _,
          DataMessage.ChunkHaveAck _,
          DataMessage.ChunkList _ ->
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT,
              "an answer was sent as a request: " + message.getClass().getSimpleName());
    };
  }

  private Reply read(DataMessage.ChunkRead read) {
    // Taken before the volumes are looked at: a member that catches up in between would otherwise
    // call a chunk absent that it has pulled since (rule R8).
    ClusterImage image = plane.image();
    for (Volume volume : volumes.all()) {
      Optional<StoredChunk> stored = volume.find(read.id());
      if (stored.isPresent()) {
        try {
          recency.used(read.id());
          Bytes bytes = tier.read(volume, stored.get(), read.offset(), read.length(), pool);
          return new Reply(new DataMessage.ChunkData(bytes.crc32c()), Optional.of(bytes));
        } catch (ForebayException failure) {
          doubt(volume, read, failure);
          // Another volume, or another node, may have a good copy; this one says nothing of
          // absence.
          return Reply.of(new DataMessage.ChunkMissing(false));
        }
      }
    }
    boolean knows = image.version() >= read.minVersion() || !Rule.R8.holds();
    Optional<Volume> inSync = volumes.inSync(image, read.group());
    if (knows && inSync.isPresent()) {
      doubts.add(
          new DoubtedChunks.Doubt(
              inSync.get().id(), read.id(), read.group(), DoubtedChunks.Finding.ABSENT));
    }
    return Reply.of(new DataMessage.ChunkMissing(knows && inSync.isPresent()));
  }

  private void doubt(Volume volume, DataMessage.ChunkRead read, ForebayException failure) {
    if (failure.code() == ErrorCode.CORRUPT || failure.code() == ErrorCode.IO_ERROR) {
      doubts.add(
          new DoubtedChunks.Doubt(
              volume.id(), read.id(), read.group(), DoubtedChunks.Finding.DAMAGED));
    }
  }

  private HopAck have(DataMessage.ChunkHave have) {
    settle(have.volume(), have.group());
    awaitEpoch(have.group(), have.epoch());
    ReentrantReadWriteLock group = commitsOf(have.group());
    group.readLock().lock();
    try {
      Optional<HopAck> refusal = check(have.volume(), have.group(), have.epoch());
      if (refusal.isPresent()) {
        return refusal.get();
      }
      Optional<StoredChunk> held =
          volumes.volume(have.volume()).flatMap(volume -> volume.find(have.id()));
      boolean same =
          held.isPresent()
              && held.get().lengthBytes() == have.lengthBytes()
              && held.get().crc32c() == have.crc32c();
      return same
          ? HopAck.stored(have.volume())
          : new HopAck(
              have.volume(), HopAck.Status.FAILED, Optional.empty(), "does not hold " + have.id());
    } finally {
      group.readLock().unlock();
    }
  }

  /**
   * A list is good for re-sync only from a member that holds everything: in sync in this very
   * incarnation. Whoever asks may not know yet that this disk was lost since (rules R4, R6). Where
   * nobody is in sync, all list what they have (rule R12).
   */
  private void requireComplete(VolumeId id, Group group) {
    Optional<Member> member = group.member(id);
    boolean complete =
        member.isPresent()
            && member.get().state() == MemberState.IN_SYNC
            && volumes
                .volume(id)
                .map(Volume::incarnation)
                .equals(Optional.of(member.get().incarnation()));
    if (!group.reviving() && !complete && Rule.R6_SOURCE.holds()) {
      throw new ForebayException(
          ErrorCode.STALE_EPOCH,
          id
              + " is not in sync in "
              + group.epoch()
              + " of "
              + group.id()
              + "; ask another member");
    }
  }

  /** What is torn is not held: nobody may be told that it is, and go without for that. */
  private void settle(VolumeId id, GroupId group) {
    volumes.volume(id).ifPresent(volume -> volume.settle(group));
  }

  private DataMessage.ChunkList list(DataMessage.ListChunks list) {
    if (list.max() < 1 || list.max() > DataMessage.ListChunks.MOST) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT,
          "1 to " + DataMessage.ListChunks.MOST + " chunks at once, not " + list.max());
    }
    awaitEpoch(list.group(), list.joinEpoch());
    Optional<Group> known = plane.image().group(list.group());
    if (known.isEmpty()
        || (Rule.R4.holds() && known.get().epoch().compareTo(list.joinEpoch()) < 0)) {
      throw new ForebayException(
          ErrorCode.STALE_EPOCH,
          "this node does not know "
              + list.joinEpoch()
              + " of "
              + list.group()
              + " yet; ask again");
    }
    requireComplete(list.volume(), known.get());
    settle(list.volume(), list.group());
    // Whatever passed its check under an older epoch is on the disk when this lock was ours.
    ReentrantReadWriteLock group = commitsOf(list.group());
    List<StoredChunk> held;
    group.writeLock().lock();
    try {
      held =
          volumes
              .volume(list.volume())
              .orElseThrow(() ->
                  new ForebayException(
                      ErrorCode.NOT_FOUND, "this node has no volume " + list.volume()))
              .list(list.group(), list.after(), list.max());
    } finally {
      group.writeLock().unlock();
    }
    return new DataMessage.ChunkList(
        held.stream()
            .map(chunk ->
                new DataMessage.ChunkList.Listed(
                    chunk.id(), chunk.epoch(), chunk.lengthBytes(), chunk.crc32c()))
            .toList(),
        held.size() == list.max());
  }

  private final class Sink implements LocalSink {
    private final VolumeId volume;
    private final ChunkPut put;
    private final ChunkAppender appender;

    Sink(VolumeId volume, ChunkPut put, ChunkAppender appender) {
      this.volume = volume;
      this.put = put;
      this.appender = appender;
    }

    @Override
    public Outcome<Void> write(int offset, Bytes slice, int crc32c) {
      return appender.write(offset, slice, crc32c);
    }

    @Override
    public HopAck commit(int lengthBytes, int crc32c) {
      ReentrantReadWriteLock group = commitsOf(put.group());
      group.readLock().lock();
      try {
        Optional<HopAck> refusal =
            Rule.R1_COMMIT.holds() ? check(volume, put.group(), put.epoch()) : Optional.empty();
        if (refusal.isPresent()) {
          appender.abort();
          return refusal.get();
        }
        StoredChunk stored = appender.commit(lengthBytes, crc32c);
        recency.used(put.id());
        return stored.crc32c() == crc32c && stored.lengthBytes() == lengthBytes
            ? HopAck.stored(volume)
            : new HopAck(
                volume,
                HopAck.Status.FAILED,
                Optional.empty(),
                "holds other bytes under " + put.id());
      } catch (ForebayException failure) {
        return new HopAck(
            volume, HopAck.Status.FAILED, Optional.empty(), describe(volume, failure));
      } finally {
        group.readLock().unlock();
      }
    }

    @Override
    public void abort() {
      appender.abort();
    }
  }
}
