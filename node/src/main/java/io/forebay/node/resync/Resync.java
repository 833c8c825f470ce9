package io.forebay.node.resync;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
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
import io.forebay.core.rule.Rule;
import io.forebay.core.volume.Volume;
import io.forebay.node.read.ChunkReader;
import io.forebay.node.replica.ChunkLists;
import io.forebay.node.replica.Fill;
import io.forebay.node.replica.Replica;
import io.forebay.node.replica.Volumes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
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
  private static final long LOOK_NANOS = 500_000_000L;
  // Whoever has no room asks its source for the whole list again with each try.
  private static final long NO_ROOM_NANOS = 5_000_000_000L;
  // A chunk that is half here waits for its sources to come back rather than begin anew.
  private static final int PART_TRIES = 10;

  private record Job(GroupId group, VolumeId volume) implements Comparable<Job> {
    @Override
    public int compareTo(Job other) {
      int order = group.compareTo(other.group);
      return order != 0 ? order : volume.compareTo(other.volume);
    }
  }

  private final Env env;
  private final ChunkLists lists;
  private final Volumes volumes;
  private final Replica replica;
  private final ControlPlane plane;
  private final ChunkReader reader;
  private final Fill fill;
  private final Permits chunkSlots;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeSet<Job> running = new TreeSet<>(); // guarded by lock
  private final TreeMap<Job, TreeSet<ChunkId>> counted = new TreeMap<>(); // guarded by lock
  private final TreeMap<Job, Long> fullUntilNanos = new TreeMap<>(); // guarded by lock
  private final RepairOrder<Job> order = new RepairOrder<>(); // guarded by lock
  private long lookedAt = -1; // version of the image of which found is; guarded by lock
  private final TreeMap<Job, Integer> found = new TreeMap<>(); // with copies; guarded by lock
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
      ChunkReader reader,
      Fill fill) {
    this.env = env;
    this.lists = new ChunkLists(network);
    this.volumes = volumes;
    this.replica = replica;
    this.plane = plane;
    this.reader = reader;
    this.fill = fill;
    this.chunkSlots = new Permits(env, CHUNKS_AT_ONCE);
  }

  /**
   * What re-sync has found and done since this process started.
   *
   * @param missedBytes of chunks that were lacking, each counted once until its group is in sync
   * @param movedBytes that were fetched, also in vain
   */
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
      look(image);
      plane.awaitVersion(image.version() + 1, LOOK_NANOS);
    }
  }

  /**
   * Begins what there is to do, up to the bound; again when something ends, so that the next group
   * follows at once.
   */
  private void look(ClusterImage image) {
    lock.lock();
    try {
      Map<Job, Integer> wanted = wanted(image);
      counted.keySet().retainAll(wanted.keySet());
      order.retain(wanted.keySet());
      fullUntilNanos.values().removeIf(until -> env.nanoTime() - until >= 0);
      wanted.keySet().removeAll(fullUntilNanos.keySet());
      wanted.keySet().removeAll(running);
      while (running.size() < GROUPS_AT_ONCE && !wanted.isEmpty()) {
        Job next = order.next(wanted).orElseThrow();
        wanted.remove(next);
        running.add(next);
        begin(next);
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * What there is to do on volumes that can be written, and how many copies there are; of each
   * image looked for once.
   */
  private Map<Job, Integer> wanted(ClusterImage image) {
    if (lookedAt != image.version()) {
      lookedAt = image.version();
      found.clear();
      for (Group group : image.groups()) {
        for (Member member : group.members()) {
          if ((member.state() == MemberState.SYNCING || group.reviving())
              && volumes.volume(member.volume()).isPresent()) {
            found.put(new Job(group.id(), member.volume()), group.in(MemberState.IN_SYNC).size());
          }
        }
      }
    }
    var wanted = new TreeMap<>(found);
    wanted
        .keySet()
        .removeIf(job -> volumes.volume(job.volume()).flatMap(Volume::fault).isPresent());
    return wanted;
  }

  private void begin(Job job) {
    env.spawn(
        "resync-" + job.group().value(),
        () -> {
          try {
            bringUp(job);
          } catch (ForebayException failure) {
            if (failure.code() == ErrorCode.CANCELLED) {
              return;
            }
            // Whatever was in the way, the member stays SYNCING and a later look begins again.
            if (failure.code() == ErrorCode.NO_SPACE) {
              fill.refused(job.volume()); // what is clean goes, as for a writer's chunk
              isFull(job);
            } else {
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
          look(plane.image());
        });
  }

  private void isFull(Job job) {
    lock.lock();
    try {
      fullUntilNanos.put(job, env.nanoTime() + NO_ROOM_NANOS);
    } finally {
      lock.unlock();
    }
  }

  /** Counts what is lacking, once, however often it has to be fetched. */
  private void missed(Job job, DataMessage.ChunkList.Listed chunk) {
    lock.lock();
    try {
      if (!counted.computeIfAbsent(job, any -> new TreeSet<>()).add(chunk.id())) {
        return;
      }
    } finally {
      lock.unlock();
    }
    missedChunks.incrementAndGet();
    missedBytes.addAndGet(chunk.lengthBytes());
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
    volume.settle(group.id());
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
    // Where a member leaves, what only it has is to stay (a disk may have lost a chunk and nobody
    // noticed): all have to answer. Else one, for the others will compare what they hold.
    boolean leaves = group.members().size() > group.family().replicas();
    boolean whole = false;
    boolean failed = false;
    for (Member source : group.in(MemberState.IN_SYNC)) {
      Optional<NodeId> node = nodeOf(source.volume());
      if (node.isEmpty() || (whole && !leaves)) {
        continue;
      }
      try {
        pullAll(group, source.volume(), node.get(), self.joinEpoch(), volume, whole);
        whole = true;
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED || failure.code() == ErrorCode.NO_SPACE) {
          throw failure;
        }
        // The next in-sync member has the same list, as far as anybody knows.
        failed = true;
      }
    }
    if (!whole || (leaves && failed)) {
      env.sleep(LOOK_NANOS / 2);
      return;
    }
    var promote = new ClusterCommand.Promote(group.id(), self.volume(), self.joinEpoch());
    if (plane.cluster(promote) instanceof ClusterResult.Done) {
      promotions.incrementAndGet();
    }
  }

  /**
   * Rule R12: every member pulls from every other; the first one sees that all have the union, and
   * says so.
   */
  private void revive(Group group, Volume volume) {
    for (Member other : group.members()) {
      if (!other.volume().equals(volume.id())) {
        pullAll(group, other.volume(), ownerOf(other.volume()), group.epoch(), volume, false);
      }
    }
    if (!group.members().getFirst().volume().equals(volume.id())) {
      env.sleep(LOOK_NANOS);
      return;
    }
    List<ChunkId> mine = volumeList(volume, group.id());
    for (Member other : group.members()) {
      if (!other.volume().equals(volume.id())) {
        var theirs = new TreeSet<ChunkId>();
        lists
            .all(ownerOf(other.volume()), other.volume(), group.id(), group.epoch())
            .forEach(chunk -> theirs.add(chunk.id()));
        var differing = new TreeSet<>(theirs);
        differing.addAll(mine);
        mine.stream().filter(theirs::contains).forEach(differing::remove);
        // What was let go of may be back after a power cut, on one of them and not whole.
        if (!owed(List.copyOf(differing)).isEmpty()) {
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

  /**
   * Whose volume it is.
   *
   * @throws ForebayException UNAVAILABLE where it was turned out meanwhile
   */
  private NodeId ownerOf(VolumeId volume) {
    return nodeOf(volume)
        .orElseThrow(
            () -> new ForebayException(ErrorCode.UNAVAILABLE, volume + " belongs to no node"));
  }

  private Optional<NodeId> nodeOf(VolumeId volume) {
    return plane.image().volume(volume).map(VolumeRecord::node);
  }

  /** Whether a volume still is to be brought up as it was, as far as this node knows. */
  private boolean isLacking(Group began, VolumeId volume, Epoch joinEpoch) {
    Optional<Group> now = plane.image().group(began.id());
    return began.reviving()
        ? now.filter(group -> group.reviving() && group.epoch().equals(joinEpoch)).isPresent()
        : now.flatMap(group -> group.member(volume))
            .filter(member -> member.state() == MemberState.SYNCING)
            .filter(member -> member.joinEpoch().equals(joinEpoch))
            .isPresent();
  }

  /**
   * @param owedOnly without what members evict each as it likes
   */
  private void pullAll(
      Group group, VolumeId source, NodeId node, Epoch joinEpoch, Volume volume, boolean owedOnly) {
    List<DataMessage.ChunkList.Listed> lacking =
        lists.all(node, source, group.id(), joinEpoch).stream()
            .filter(chunk -> volume.find(chunk.id()).isEmpty())
            .toList();
    if (owedOnly) {
      Set<ChunkId> owed = owed(lacking.stream().map(DataMessage.ChunkList.Listed::id).toList());
      lacking = lacking.stream().filter(chunk -> owed.contains(chunk.id())).toList();
    }
    // Every in-sync member has what was acknowledged, so whoever has least to do is asked: were it
    // always the one that has listed it, some nodes would give twice as much as others while those
    // that are brought up wait for them.
    Optional<NodeId> giver = group.reviving() ? Optional.of(node) : Optional.empty();
    var outcomes = new ArrayDeque<Outcome<Boolean>>();
    ForebayException first = null;
    for (DataMessage.ChunkList.Listed chunk : lacking) {
      if (!isLacking(group, volume.id(), joinEpoch)) {
        first =
            new ForebayException(
                ErrorCode.STALE_EPOCH,
                volume.id() + " is brought up in " + group.id() + " no more, or anew");
        break;
      }
      missed(new Job(group.id(), volume.id()), chunk);
      chunkSlots.acquire(1);
      var outcome = new Outcome<Boolean>(env);
      outcomes.add(outcome);
      env.spawn(
          "resync-chunk",
          () -> {
            try {
              pull(group, giver, chunk, volume);
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
    Optional<ForebayException> failure =
        owed(List.copyOf(undelivered.keySet())).stream().findFirst().map(undelivered::get);
    if (failure.isPresent() && Rule.R5.holds()) {
      throw failure.get();
    }
  }

  /** Those that the namespace says are owed, or may come to be. */
  private Set<ChunkId> owed(List<ChunkId> ids) {
    var owed = new TreeSet<ChunkId>();
    for (int from = 0; from < ids.size(); from += NamespaceQuery.MAX_CHUNKS) {
      List<ChunkId> some =
          ids.subList(from, Math.min(ids.size(), from + NamespaceQuery.MAX_CHUNKS));
      if (!(plane.query(new NamespaceQuery.ChunkStates(some))
          instanceof NamespaceAnswer.Chunks(var states))) {
        throw new ForebayException(ErrorCode.INTERNAL, "chunk states were not answered");
      }
      for (int i = 0; i < some.size(); i++) {
        if (states.get(i) == ChunkState.OWED || states.get(i) == ChunkState.OPEN) {
          owed.add(some.get(i));
        }
      }
    }
    return owed;
  }

  private void pull(
      Group group, Optional<NodeId> giver, DataMessage.ChunkList.Listed chunk, Volume volume) {
    new ChunkPull(volume, group, chunk, movedBytes)
        .store((offset, length) -> part(group, giver, chunk, offset, length));
  }

  private Bytes part(
      Group group,
      Optional<NodeId> giver,
      DataMessage.ChunkList.Listed chunk,
      int offset,
      int length) {
    for (int tries = 1; ; tries++) {
      try {
        return reader.fetch(giver, chunk.id(), group.id(), chunk.epoch(), offset, length);
      } catch (ForebayException failure) {
        if (failure.code() != ErrorCode.CHUNK_ABSENT || offset == 0 || tries == PART_TRIES) {
          throw failure;
        }
        if (owed(List.of(chunk.id())).isEmpty()) {
          throw failure;
        }
        env.sleep(LOOK_NANOS);
      }
    }
  }
}
