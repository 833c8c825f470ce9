package io.forebay.node.resync;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Network;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.node.replica.ChunkLists;
import io.forebay.node.replica.DoubtedChunks;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Reads everything that a volume holds, again and again and at a bounded rate, and compares what it
 * holds with what the other members of each group do: so that damage which no read meets is found
 * while there is a good copy to mend it from (promise C4). What it finds is {@link Repair}'s.
 *
 * <p>After a start it begins at a group of chance, so that a node which is restarted more often
 * than it gets through looks at everything all the same.
 */
public final class Scrubber {
  private static final int PAGE = 1_000;
  private static final long LEAST_CYCLE_NANOS = 1_000_000_000L;

  // Longer than a chain takes to commit on its last member what it has on its first.
  private static final long LATE_NANOS = 5_000_000_000L;

  /**
   * How a volume is scrubbed.
   *
   * @param bytesPerSecond at most; 0: never
   * @param cycleNanos between the beginnings of two cycles at least; a cycle takes as long as the
   *     rate makes it
   */
  public record Settings(long bytesPerSecond, long cycleNanos) {
    /** Never. */
    public static final Settings OFF = new Settings(0, 0);

    public Settings {
      if (bytesPerSecond < 0 || cycleNanos < 0) {
        throw new IllegalArgumentException(bytesPerSecond + " bytes/s, " + cycleNanos + " ns");
      }
    }
  }

  /**
   * What was done since this process started.
   *
   * @param bytes that were read
   * @param damagedChunks copies that could not be read, counted each time
   * @param absentChunks owed chunks that another member holds and this volume, in sync, did not
   * @param cycles that came to their end
   */
  public record Counters(long bytes, long damagedChunks, long absentChunks, long cycles) {
    /** Of no volume. */
    public static final Counters NONE = new Counters(0, 0, 0, 0);

    /** The counters of two volumes together; cycles: of the one that has fewer. */
    public Counters plus(Counters other) {
      return new Counters(
          bytes + other.bytes,
          damagedChunks + other.damagedChunks,
          absentChunks + other.absentChunks,
          Math.min(cycles, other.cycles));
    }
  }

  private final Env env;
  private final ChunkLists lists;
  private final ControlPlane plane;
  private final Volume volume;
  private final SlabPool pool;
  private final DoubtedChunks doubts;
  private final Settings settings;
  private final AtomicLong bytes = new AtomicLong();
  private final AtomicLong damaged = new AtomicLong();
  private final AtomicLong absent = new AtomicLong();
  private final AtomicLong cycles = new AtomicLong();
  private long nextReadNanos;

  public Scrubber(
      Env env,
      Network network,
      ControlPlane plane,
      Volume volume,
      SlabPool pool,
      DoubtedChunks doubts,
      Settings settings) {
    this.env = env;
    this.lists = new ChunkLists(network);
    this.plane = plane;
    this.volume = volume;
    this.pool = pool;
    this.doubts = doubts;
    this.settings = settings;
  }

  /** The counters now. */
  public Counters counters() {
    return new Counters(bytes.get(), damaged.get(), absent.get(), cycles.get());
  }

  /**
   * Goes round until interrupted, or returns at once where the settings say never. Of a volume that
   * is turned out nothing is read: what it has is copied by whoever needs it.
   */
  public void run() {
    if (settings.bytesPerSecond() == 0) {
      return;
    }
    boolean first = true;
    while (true) {
      long begun = env.nanoTime();
      nextReadNanos = begun;
      // Not those that it has chunks of: it may have lost all of one.
      List<GroupId> groups =
          plane.image().groups().stream()
              .filter(group -> group.member(volume.id()).isPresent())
              .map(Group::id)
              .toList();
      if (groups.isEmpty() || volume.fault().isPresent()) {
        env.sleep(LEAST_CYCLE_NANOS);
        continue;
      }
      int start = first ? env.random().nextInt(groups.size()) : 0;
      first = false;
      for (int i = 0; i < groups.size(); i++) {
        GroupId group = groups.get((start + i) % groups.size());
        readAll(group);
        compare(group);
      }
      cycles.incrementAndGet();
      long rest = begun + settings.cycleNanos() - env.nanoTime();
      env.sleep(Math.max(LEAST_CYCLE_NANOS, rest));
    }
  }

  private void readAll(GroupId group) {
    Optional<ChunkId> after = Optional.empty();
    while (true) {
      List<StoredChunk> page = volume.list(group, after, PAGE);
      page.forEach(this::read);
      if (page.size() < PAGE) {
        return;
      }
      after = Optional.of(page.getLast().id());
    }
  }

  private void read(StoredChunk chunk) {
    int most = Math.min(Network.MAX_PAYLOAD_BYTES, pool.slabBytes());
    for (int offset = 0; offset < chunk.lengthBytes(); offset += most) {
      int length = Math.min(most, chunk.lengthBytes() - offset);
      try {
        volume.read(chunk.id(), offset, length, pool).release();
      } catch (ForebayException failure) {
        switch (failure.code()) {
          case CORRUPT, IO_ERROR -> {
            damaged.incrementAndGet();
            doubt(chunk.id(), chunk.group(), DoubtedChunks.Finding.DAMAGED);
          }
          case CANCELLED -> throw failure;
          default -> {} // deleted since, or the volume has too much to do, or is closed
        }
        pace(length); // a disk that fails fast is not hurried either
        return;
      }
      bytes.addAndGet(length);
      pace(length);
    }
  }

  private void doubt(ChunkId chunk, GroupId group, DoubtedChunks.Finding finding) {
    doubts.add(new DoubtedChunks.Doubt(volume.id(), chunk, group, finding));
  }

  /** Keeps the rate; what was not used for a while is not caught up with. */
  private void pace(int length) {
    long now = env.nanoTime();
    nextReadNanos =
        Math.max(now, nextReadNanos)
            + Math.max(1, length * 1_000_000_000L / settings.bytesPerSecond());
    env.sleep(nextReadNanos - now);
  }

  /**
   * Doubts what other members in sync hold and this volume does not, though it is in sync: of that
   * only what is owed, for members evict what is clean each as it likes.
   */
  private void compare(GroupId id) {
    try {
      List<ChunkId> lacking = List.copyOf(lacking(id));
      if (lacking.isEmpty()) {
        return;
      }
      env.sleep(LATE_NANOS);
      for (int from = 0; from < lacking.size(); from += PAGE) {
        List<ChunkId> some = lacking.subList(from, Math.min(from + PAGE, lacking.size()));
        if (!(plane.query(new NamespaceQuery.ChunkStates(some))
            instanceof NamespaceAnswer.Chunks(var states))) {
          return;
        }
        if (inSync(id).isEmpty()) {
          return;
        }
        for (int i = 0; i < some.size(); i++) {
          if (states.get(i) == ChunkState.OWED && volume.find(some.get(i)).isEmpty()) {
            absent.incrementAndGet();
            doubt(some.get(i), id, DoubtedChunks.Finding.ABSENT);
          }
        }
      }
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      // Nobody answers for the namespace now: the next cycle asks again.
    }
  }

  /** The group, if this volume is in sync in it as it is now. */
  private Optional<Group> inSync(GroupId id) {
    return plane
        .image()
        .group(id)
        .filter(group ->
            !group.reviving()
                && group
                    .member(volume.id())
                    .filter(member ->
                        member.state() == MemberState.IN_SYNC
                            && member.incarnation().equals(volume.incarnation()))
                    .isPresent());
  }

  private Set<ChunkId> lacking(GroupId id) {
    Optional<Group> group = inSync(id);
    var lacking = new TreeSet<ChunkId>();
    if (group.isEmpty()) {
      return lacking;
    }
    for (Member other : group.get().in(MemberState.IN_SYNC)) {
      Optional<NodeId> node = plane.image().volume(other.volume()).map(VolumeRecord::node);
      if (!other.volume().equals(volume.id()) && node.isPresent()) {
        try {
          lists.all(node.get(), other.volume(), id, group.get().epoch()).stream()
              .map(DataMessage.ChunkList.Listed::id)
              .filter(chunk -> volume.find(chunk).isEmpty())
              .forEach(lacking::add);
        } catch (ForebayException failure) {
          if (failure.code() == ErrorCode.CANCELLED) {
            throw failure;
          }
          // It is away, or knows another epoch: the next cycle asks it again.
        }
      }
    }
    return lacking;
  }
}
