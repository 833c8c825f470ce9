package io.forebay.node.read;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.env.Patience;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.node.replica.DoubtedChunks;
import io.forebay.node.replica.MemoryTier;
import io.forebay.node.replica.Recency;
import io.forebay.node.replica.Volumes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Reads parts of chunks: from memory or an own disk, else from an in-sync member with the least to
 * do, else from whichever member has good bytes (a hit needs no epoch, rule R8). CRCs are checked
 * where the bytes were written to disk and again where they arrive.
 */
public final class ChunkReader {
  // The first round passes a sick peer by quickly; the others give everybody time.
  private static final int ROUNDS = 3;

  private final Env env;
  private final Network network;
  private final Volumes volumes;
  private final ControlPlane plane;
  private final SlabPool pool;
  private final MemoryTier tier;
  private final DoubtedChunks doubts;
  private final Recency recency;
  private final Patience reading = new Patience(700_000_000L, 8_000_000_000L);
  private final Patience mending = new Patience(3_000_000_000L, 60_000_000_000L);
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<NodeId, Integer> underWay = new TreeMap<>(); // guarded by lock
  private final Map<NodeId, Long> slowUntilNanos = new TreeMap<>(); // guarded by lock

  public ChunkReader(
      Env env,
      Network network,
      Volumes volumes,
      ControlPlane plane,
      SlabPool pool,
      MemoryTier tier,
      DoubtedChunks doubts,
      Recency recency) {
    this.env = env;
    this.network = network;
    this.volumes = volumes;
    this.plane = plane;
    this.pool = pool;
    this.tier = tier;
    this.doubts = doubts;
    this.recency = recency;
  }

  /**
   * Reads a part of a chunk.
   *
   * @param acknowledged the epoch in which the chunk was acknowledged, or a later one
   * @param length 1 byte to 1 MiB
   * @return exactly that part; the caller releases it
   * @throws ForebayException CHUNK_ABSENT naming whom was asked and what each said
   */
  public Bytes read(ChunkId chunk, GroupId group, Epoch acknowledged, int offset, int length) {
    return read(chunk, group, acknowledged, offset, length, false);
  }

  /**
   * As {@link #read}, where the bytes are in the store, too: whoever does not answer is not waited
   * for once a member that is in sync has said that it lacks the chunk.
   */
  Bytes readCached(ChunkId chunk, GroupId group, Epoch acknowledged, int offset, int length) {
    return read(chunk, group, acknowledged, offset, length, true);
  }

  private Bytes read(
      ChunkId chunk, GroupId group, Epoch acknowledged, int offset, int length, boolean stored) {
    var heard = new Heard(stored);
    Optional<Bytes> local = readLocal(chunk, group, offset, length, heard);
    return local.isPresent()
        ? local.get()
        : ask(() -> others(group), chunk, group, acknowledged, offset, length, reading, heard);
  }

  /** What was said of one part. */
  private static final class Heard {
    final boolean stored;
    final List<String> said = new ArrayList<>();
    boolean lacking; // a member that is in sync said so

    /**
     * @param stored whether the store has it, too
     */
    Heard(boolean stored) {
      this.stored = stored;
    }

    /** Whether the store is to be asked rather than anybody else. */
    boolean isEnough() {
      return stored && lacking;
    }
  }

  /** As {@link #read}, but only of what is in this node's memory: never waits. */
  Optional<Bytes> inMemory(ChunkId chunk, int offset, int length) {
    return volumes.all().stream()
        .flatMap(volume -> volume.find(chunk).stream())
        .findFirst()
        .flatMap(stored -> {
          recency.used(chunk);
          return tier.find(stored, offset, length);
        });
  }

  /**
   * As {@link #read}, from other nodes only: what this one has is not good, or not there. No client
   * waits for it, so each node is waited for longer: asking again only adds to a slow way.
   */
  public Bytes readElsewhere(
      ChunkId chunk, GroupId group, Epoch acknowledged, int offset, int length) {
    return ask(
        () -> others(group), chunk, group, acknowledged, offset, length, mending, new Heard(false));
  }

  /**
   * As {@link #readElsewhere}, for a volume that lacks it: this node's other volumes are asked too.
   *
   * @param first who is asked before anybody else
   */
  public Bytes fetch(
      Optional<NodeId> first,
      ChunkId chunk,
      GroupId group,
      Epoch acknowledged,
      int offset,
      int length) {
    return ask(
        () -> Stream.concat(first.stream(), candidates(group).stream()).distinct().toList(),
        chunk,
        group,
        acknowledged,
        offset,
        length,
        mending,
        new Heard(false));
  }

  private Bytes ask(
      Supplier<List<NodeId>> nodes,
      ChunkId chunk,
      GroupId group,
      Epoch acknowledged,
      int offset,
      int length,
      Patience patience,
      Heard heard) {
    // Everybody is asked once, for what one has evicted another may have.
    for (int round = 0; round < ROUNDS && (round == 0 || !heard.isEnough()); round++) {
      for (NodeId node : nodes.get()) {
        if (heard.isEnough() && isSlow(node)) {
          break;
        }
        long began = env.nanoTime();
        Optional<Bytes> found =
            ask(node, chunk, group, acknowledged, offset, length, patience.nanos(round), heard);
        if (found.isPresent()) {
          patience.arrived(env.nanoTime() - began);
          return found.get();
        }
      }
    }
    throw new ForebayException(
        ErrorCode.CHUNK_ABSENT, "no node gave " + chunk + " of " + group + ": " + heard.said);
  }

  private Optional<Bytes> readLocal(
      ChunkId chunk, GroupId group, int offset, int length, Heard heard) {
    // Before the volumes are looked at, as for a read from outside (rule R8).
    ClusterImage image = plane.image();
    boolean held = false;
    for (Volume volume : volumes.all()) {
      Optional<StoredChunk> stored = volume.find(chunk);
      if (stored.isPresent()) {
        held = true;
        recency.used(chunk);
        try {
          return Optional.of(tier.read(volume, stored.get(), offset, length, pool));
        } catch (ForebayException failure) {
          switch (failure.code()) {
            case CANCELLED -> throw failure;
            case CORRUPT, IO_ERROR ->
                doubts.add(
                    new DoubtedChunks.Doubt(
                        volume.id(), chunk, group, DoubtedChunks.Finding.DAMAGED));
            default -> {}
          }
          heard.said.add("own volume " + volume.id() + ": " + failure.code());
        }
      }
    }
    if (!held) {
      volumes
          .inSync(image, group)
          .ifPresent(volume -> {
            heard.said.add("own volume " + volume.id() + ": in sync, and has it not");
            heard.lacking = true;
            doubts.add(
                new DoubtedChunks.Doubt(volume.id(), chunk, group, DoubtedChunks.Finding.ABSENT));
          });
    }
    return Optional.empty();
  }

  private boolean isSlow(NodeId node) {
    lock.lock();
    try {
      return slow(node);
    } finally {
      lock.unlock();
    }
  }

  /** Whether it did not answer a moment ago; under the lock. */
  private boolean slow(NodeId node) {
    Long until = slowUntilNanos.get(node);
    return until != null && env.nanoTime() - until < 0;
  }

  /** Asks one node for a part. */
  private Optional<Bytes> ask(
      NodeId node,
      ChunkId chunk,
      GroupId group,
      Epoch acknowledged,
      int offset,
      int length,
      long timeoutNanos,
      Heard heard) {
    count(node, 1);
    try {
      Reply reply =
          network
              .call(
                  node,
                  new DataMessage.ChunkRead(
                      chunk, group, offset, length, knowing(group, acknowledged)),
                  Optional.empty(),
                  timeoutNanos)
              .await();
      if (reply.message() instanceof DataMessage.ChunkData(int crc)
          && reply.payload().isPresent()) {
        Bytes bytes = reply.payload().get();
        if (bytes.length() == length && bytes.crc32c() == crc) {
          return Optional.of(bytes);
        }
        heard.said.add(node + ": other bytes than it said");
      } else {
        // In-sync members doubt themselves when they say so of a chunk that is owed.
        boolean inSync =
            reply.message() instanceof DataMessage.ChunkMissing(boolean authoritative)
                && authoritative;
        heard.lacking |= inSync;
        heard.said.add(node + (inSync ? ": in sync, and has it not" : ": has it not"));
      }
      reply.release();
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      heard.said.add(node + ": " + failure.code());
      lock.lock();
      try {
        slowUntilNanos.put(node, env.nanoTime() + 3_000_000_000L);
      } finally {
        lock.unlock();
      }
    } finally {
      count(node, -1);
    }
    return Optional.empty();
  }

  /**
   * From which image on a member may call a chunk absent (rule R8): this node's own, if that has
   * the epoch in which the chunk was acknowledged; else none, for a member that was cut off may be
   * as far behind as this node.
   */
  private long knowing(GroupId group, Epoch acknowledged) {
    ClusterImage image = plane.image();
    return image
            .group(group)
            .filter(known -> known.epoch().compareTo(acknowledged) >= 0)
            .isPresent()
        ? image.version()
        : Long.MAX_VALUE;
  }

  private void count(NodeId node, int change) {
    lock.lock();
    try {
      underWay.merge(node, change, Integer::sum);
    } finally {
      lock.unlock();
    }
  }

  private List<NodeId> others(GroupId group) {
    return candidates(group).stream().filter(node -> !node.equals(network.self())).toList();
  }

  /**
   * Nodes with a member of the group: in-sync ones first, those that answer before those that did
   * not, those with least to do for this one before others.
   */
  private List<NodeId> candidates(GroupId id) {
    ClusterImage image = plane.image();
    Optional<Group> group = image.group(id);
    if (group.isEmpty()) {
      return List.of();
    }
    record Candidate(NodeId node, MemberState state, boolean slow, int load) {}
    var candidates = new ArrayList<Candidate>();
    lock.lock();
    try {
      for (Member member : group.get().members()) {
        Optional<NodeId> node = image.volume(member.volume()).map(VolumeRecord::node);
        if (node.isPresent()) {
          candidates.add(
              new Candidate(
                  node.get(),
                  member.state(),
                  slow(node.get()),
                  underWay.getOrDefault(node.get(), 0)));
        }
      }
    } finally {
      lock.unlock();
    }
    candidates.sort(
        Comparator.comparing(Candidate::slow)
            .thenComparing(Candidate::state)
            .thenComparingInt(Candidate::load));
    return candidates.stream().map(Candidate::node).distinct().toList();
  }
}
