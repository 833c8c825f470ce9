package io.forebay.node.resync;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Permits;
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
import io.forebay.core.net.Reply;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.Volume;
import io.forebay.node.read.ChunkReader;
import io.forebay.node.replica.Replica;
import io.forebay.node.replica.Volumes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Brings this node's volumes up to date: for each group in which one of them is SYNCING, compares
 * its chunks with an in-sync member's list, pulls what it lacks, and has it promoted (rules R3–R5).
 * A group with nobody in sync is revived by all its members pulling the union (rule R12). Never
 * deletes (rule R7).
 */
public final class Resync {
  private static final int GROUPS_AT_ONCE = 3;
  private static final int CHUNKS_AT_ONCE = 8;
  private static final int PAGE = 2_000;
  private static final long LIST_NANOS = 5_000_000_000L;
  private static final long READ_NANOS = 3_000_000_000L;
  private static final long LOOK_NANOS = 500_000_000L;

  private record Job(GroupId group, VolumeId volume) implements Comparable<Job> {
    @Override
    public int compareTo(Job other) {
      int order = group.compareTo(other.group);
      return order != 0 ? order : volume.compareTo(other.volume);
    }
  }

  private final Env env;
  private final Network network;
  private final Volumes volumes;
  private final Replica replica;
  private final ControlPlane plane;
  private final ChunkReader reader;
  private final Permits chunkSlots;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeSet<Job> running = new TreeSet<>(); // guarded by lock
  private final AtomicLong missedBytes = new AtomicLong();
  private final AtomicLong movedBytes = new AtomicLong();
  private final AtomicLong missedChunks = new AtomicLong();
  private final AtomicLong promotions = new AtomicLong();

  public Resync(
      Env env,
      Network network,
      Volumes volumes,
      Replica replica,
      ControlPlane plane,
      ChunkReader reader) {
    this.env = env;
    this.network = network;
    this.volumes = volumes;
    this.replica = replica;
    this.plane = plane;
    this.reader = reader;
    this.chunkSlots = new Permits(env, CHUNKS_AT_ONCE);
  }

  /** What re-sync has found and done since this process started. */
  public record Counters(
      long missedChunks, long missedBytes, long movedBytes, long promotions, int running) {}

  /** The counters now. */
  public Counters counters() {
    lock.lock();
    try {
      return new Counters(
          missedChunks.get(),
          missedBytes.get(),
          movedBytes.get(),
          promotions.get(),
          running.size());
    } finally {
      lock.unlock();
    }
  }

  /** Looks for work whenever the image changes, until interrupted. */
  public void run() {
    while (true) {
      ClusterImage image = plane.image();
      for (Group group : image.groups()) {
        for (Member member : group.members()) {
          if ((member.state() == MemberState.SYNCING || group.reviving())
              && volumes.volume(member.volume()).isPresent()) {
            begin(new Job(group.id(), member.volume()));
          }
        }
      }
      plane.awaitVersion(image.version() + 1, LOOK_NANOS);
    }
  }

  private void begin(Job job) {
    lock.lock();
    try {
      if (running.size() >= GROUPS_AT_ONCE || !running.add(job)) {
        return;
      }
    } finally {
      lock.unlock();
    }
    env.spawn(
        "resync-" + job.group().value(),
        () -> {
          try {
            bringUp(job);
          } catch (ForebayException failure) {
            // Whatever was in the way, the member stays SYNCING and the next look begins again.
            if (failure.code() != ErrorCode.CANCELLED) {
              env.sleep(LOOK_NANOS / 2);
            }
          } finally {
            lock.lock();
            try {
              running.remove(job);
            } finally {
              lock.unlock();
            }
          }
        });
  }

  private void bringUp(Job job) {
    Group group = plane.image().group(job.group()).orElse(null);
    if (group == null) {
      return;
    }
    Member self = group.member(job.volume()).orElse(null);
    Volume volume = volumes.volume(job.volume()).orElse(null);
    if (self == null || volume == null || !self.incarnation().equals(volume.incarnation())) {
      return;
    }
    // A collection that still saw this volume outside the group is over when this returns; what is
    // found held from here on stays.
    replica.alone(job.group(), () -> {});
    if (group.reviving()) {
      revive(group, volume);
    } else if (self.state() == MemberState.SYNCING) {
      catchUp(group, self, volume);
    }
  }

  private void catchUp(Group group, Member self, Volume volume) {
    for (Member source : group.in(MemberState.IN_SYNC)) {
      Optional<NodeId> node = nodeOf(source.volume());
      if (node.isEmpty()) {
        continue;
      }
      try {
        pullAll(group, source.volume(), node.get(), self.joinEpoch(), volume);
        plane.cluster(new ClusterCommand.Promote(group.id(), self.volume(), self.joinEpoch()));
        promotions.incrementAndGet();
        return;
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED || failure.code() == ErrorCode.NO_SPACE) {
          throw failure;
        }
        // The next in-sync member has the same list.
      }
    }
    env.sleep(LOOK_NANOS / 2);
  }

  /**
   * Rule R12: every member pulls from every other; the first one sees that all have the union, and
   * says so.
   */
  private void revive(Group group, Volume volume) {
    for (Member other : group.members()) {
      if (!other.volume().equals(volume.id())) {
        NodeId node =
            nodeOf(other.volume())
                .orElseThrow(() ->
                    new ForebayException(
                        ErrorCode.UNAVAILABLE, other.volume() + " belongs to no node"));
        pullAll(group, other.volume(), node, group.epoch(), volume);
      }
    }
    if (!group.members().getFirst().volume().equals(volume.id())) {
      env.sleep(LOOK_NANOS);
      return;
    }
    List<ChunkId> mine = volumeList(volume, group.id());
    for (Member other : group.members()) {
      if (!other.volume().equals(volume.id())) {
        var theirs = new ArrayList<ChunkId>();
        list(group, other.volume(), nodeOf(other.volume()).orElseThrow(), group.epoch())
            .forEach(chunk -> theirs.add(chunk.id()));
        if (!theirs.equals(mine)) {
          env.sleep(LOOK_NANOS / 2);
          return;
        }
      }
    }
    plane.cluster(new ClusterCommand.Revived(group.id(), group.epoch()));
  }

  private static List<ChunkId> volumeList(Volume volume, GroupId group) {
    var ids = new ArrayList<ChunkId>();
    Optional<ChunkId> after = Optional.empty();
    while (true) {
      var page = volume.list(group, after, PAGE);
      page.forEach(chunk -> ids.add(chunk.id()));
      if (page.size() < PAGE) {
        return ids;
      }
      after = Optional.of(page.getLast().id());
    }
  }

  private Optional<NodeId> nodeOf(VolumeId volume) {
    return plane.image().volume(volume).map(VolumeRecord::node);
  }

  private List<DataMessage.ChunkList.Listed> list(
      Group group, VolumeId source, NodeId node, Epoch joinEpoch) {
    var all = new ArrayList<DataMessage.ChunkList.Listed>();
    Optional<ChunkId> after = Optional.empty();
    while (true) {
      Reply reply =
          network
              .call(
                  node,
                  new DataMessage.ListChunks(source, group.id(), joinEpoch, after, PAGE),
                  Optional.empty(),
                  LIST_NANOS)
              .await();
      if (!(reply.message() instanceof DataMessage.ChunkList(var page, boolean more))) {
        throw new ForebayException(
            ErrorCode.WRONG_VERSION, node + " answered a list with " + reply.message());
      }
      all.addAll(page);
      if (!more || page.isEmpty()) {
        return all;
      }
      after = Optional.of(page.getLast().id());
    }
  }

  private void pullAll(Group group, VolumeId source, NodeId node, Epoch joinEpoch, Volume volume) {
    List<DataMessage.ChunkList.Listed> lacking =
        list(group, source, node, joinEpoch).stream()
            .filter(chunk -> volume.find(chunk.id()).isEmpty())
            .toList();
    var outcomes = new ArrayDeque<Outcome<Boolean>>();
    ForebayException first = null;
    for (DataMessage.ChunkList.Listed chunk : lacking) {
      missedChunks.incrementAndGet();
      missedBytes.addAndGet(chunk.lengthBytes());
      chunkSlots.acquire(1);
      var outcome = new Outcome<Boolean>(env);
      outcomes.add(outcome);
      env.spawn(
          "resync-chunk",
          () -> {
            try {
              pull(group, node, chunk, volume);
              outcome.complete(true);
            } catch (Throwable failure) {
              outcome.fail(failure);
            } finally {
              chunkSlots.release(1);
            }
          });
    }
    var undelivered = new TreeMap<ChunkId, ForebayException>();
    int place = 0;
    for (Outcome<Boolean> outcome : outcomes) {
      ChunkId id = lacking.get(place++).id();
      try {
        outcome.await();
      } catch (ForebayException failure) {
        switch (failure.code()) {
          case CHUNK_ABSENT -> undelivered.put(id, failure);
          default -> first = first == null ? failure : first;
        }
      }
    }
    if (first != null) {
      throw first;
    }
    requireNotOwed(undelivered);
  }

  /**
   * Rule R5: an id leaves the list only when it is held, or when the namespace says that it is not
   * owed.
   */
  private void requireNotOwed(Map<ChunkId, ForebayException> undelivered) {
    if (undelivered.isEmpty()) {
      return;
    }
    List<ChunkId> ids = List.copyOf(undelivered.keySet());
    for (int from = 0; from < ids.size(); from += NamespaceQuery.MAX_CHUNKS) {
      List<ChunkId> some =
          ids.subList(from, Math.min(ids.size(), from + NamespaceQuery.MAX_CHUNKS));
      if (!(plane.query(new NamespaceQuery.ChunkStates(some))
          instanceof NamespaceAnswer.Chunks(var states))) {
        throw new ForebayException(ErrorCode.INTERNAL, "chunk states were not answered");
      }
      for (int i = 0; i < some.size(); i++) {
        if (states.get(i) == ChunkState.OWED || states.get(i) == ChunkState.OPEN) {
          throw undelivered.get(some.get(i));
        }
      }
    }
  }

  private void pull(Group group, NodeId source, DataMessage.ChunkList.Listed chunk, Volume volume) {
    ChunkAppender appender =
        volume.append(
            chunk.id(),
            group.id(),
            chunk.epoch(),
            chunk.lengthBytes(),
            group.family().durability());
    try {
      int offset = 0;
      int crc = 0;
      while (offset < chunk.lengthBytes()) {
        int length = Math.min(Network.MAX_PAYLOAD_BYTES, chunk.lengthBytes() - offset);
        var said = new ArrayList<String>();
        Optional<Bytes> bytes =
            reader.ask(source, chunk.id(), group.id(), offset, length, READ_NANOS, said);
        Bytes part =
            bytes.isPresent() ? bytes.get() : reader.read(chunk.id(), group.id(), offset, length);
        try {
          int partCrc = part.crc32c();
          appender.write(offset, part, partCrc);
          crc = Crc32cCombiner.combine(crc, partCrc, length);
          movedBytes.addAndGet(length);
        } finally {
          part.release();
        }
        offset += length;
      }
      if (crc != chunk.crc32c()) {
        throw new ForebayException(
            ErrorCode.CORRUPT, chunk.id() + " arrived from " + source + " with another CRC32C");
      }
      appender.commit(chunk.lengthBytes(), chunk.crc32c());
    } finally {
      appender.abort();
    }
  }
}
