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
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Network;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.node.read.ChunkReader;
import io.forebay.node.replica.DoubtedChunks;
import io.forebay.node.replica.Fill;
import io.forebay.node.replica.Volumes;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Mends single chunks of this node's volumes that reads have found damaged or missing: fetches a
 * good copy from another member and puts it there under the same id and CRC (promise C4).
 *
 * <p>That an in-sync member lacks a chunk is a fault only when the namespace says that the chunk is
 * owed: then the rules were broken, or the disk has lost what it acknowledged, and it is said
 * loudly. What was evicted or collected is asked for all the time, and absent with right.
 */
public final class Repair {
  private static final Logger LOG = LoggerFactory.getLogger(Repair.class);
  private static final int AT_ONCE = 256;
  private static final long LIST_NANOS = 5_000_000_000L;
  // Bounds how often the namespace is asked, at the price of a log entry, about what readers of
  // evicted data miss.
  private static final long PAUSE_NANOS = 1_000_000_000L;

  private final Env env;
  private final Network network;
  private final Volumes volumes;
  private final ControlPlane plane;
  private final ChunkReader reader;
  private final DoubtedChunks doubts;
  private final Fill fill;
  private final SlabPool pool;
  private final AtomicLong repaired = new AtomicLong();
  private final AtomicLong lost = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong movedBytes = new AtomicLong();

  public Repair(
      Env env,
      Network network,
      Volumes volumes,
      ControlPlane plane,
      ChunkReader reader,
      DoubtedChunks doubts,
      Fill fill,
      SlabPool pool) {
    this.env = env;
    this.network = network;
    this.volumes = volumes;
    this.plane = plane;
    this.reader = reader;
    this.doubts = doubts;
    this.fill = fill;
    this.pool = pool;
  }

  /**
   * What was found and done since this process started.
   *
   * @param damagedReads reads that met a wrong checksum or a disk error
   * @param lostChunks owed chunks that an in-sync volume of this node did not have
   * @param repairedChunks copies that are good again
   * @param failedRepairs tries for which nobody gave a good copy; the next read causes another
   */
  public record Counters(
      long damagedReads, long lostChunks, long repairedChunks, long failedRepairs) {}

  /** The counters now. */
  public Counters counters() {
    return new Counters(doubts.damagedReads(), lost.get(), repaired.get(), failed.get());
  }

  /** Looks after what reads have found, until interrupted. */
  public void run() {
    while (true) {
      List<DoubtedChunks.Doubt> some = doubts.take(AT_ONCE);
      try {
        List<ChunkState> states = states(some);
        for (int i = 0; i < some.size(); i++) {
          lookAfter(some.get(i), states.get(i));
        }
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // Nobody answers for the namespace now; whoever reads these again doubts them again.
      } finally {
        some.forEach(doubts::done);
      }
      env.sleep(PAUSE_NANOS);
    }
  }

  private List<ChunkState> states(List<DoubtedChunks.Doubt> some) {
    var query =
        new NamespaceQuery.ChunkStates(some.stream().map(DoubtedChunks.Doubt::chunk).toList());
    if (plane.query(query) instanceof NamespaceAnswer.Chunks(var states)) {
      return states;
    }
    throw new ForebayException(ErrorCode.INTERNAL, "chunk states were not answered");
  }

  private void lookAfter(DoubtedChunks.Doubt doubt, ChunkState state) {
    Optional<Volume> volume = volumes.volume(doubt.volume());
    Optional<Group> group = plane.image().group(doubt.group());
    if (volume.isEmpty() || group.isEmpty() || volume.get().fault().isPresent()) {
      return;
    }
    try {
      switch (doubt.finding()) {
        case DAMAGED -> {
          if (state != ChunkState.GARBAGE) {
            replace(doubt, volume.get(), group.get());
          }
        }
        case ABSENT -> {
          if (state == ChunkState.OWED || state == ChunkState.OPEN) {
            fetch(doubt, state, volume.get(), group.get());
          }
        }
      }
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      if (failure.code() == ErrorCode.NO_SPACE) {
        fill.refused(doubt.volume()); // what is clean goes, and the next read finds room
      }
      failed.incrementAndGet();
      LOG.error(
          "{} of {} on volume {} is {} ({}) and could not be repaired: {}",
          doubt.chunk(),
          doubt.group(),
          doubt.volume(),
          doubt.finding(),
          state,
          failure.getMessage());
    }
  }

  private void replace(DoubtedChunks.Doubt doubt, Volume volume, Group group) {
    Optional<StoredChunk> held = volume.find(doubt.chunk());
    if (held.isEmpty()) {
      return; // deleted since
    }
    StoredChunk chunk = held.get();
    if (isGood(volume, chunk)) {
      return; // repaired since, or the disk has thought better of it
    }
    LOG.warn("{} of {} on volume {} is damaged", chunk.id(), chunk.group(), volume.id());
    pull(volume, group, listed(chunk)).replace(source(chunk.id(), group));
    mended(doubt);
  }

  private boolean isGood(Volume volume, StoredChunk chunk) {
    int most = Math.min(Network.MAX_PAYLOAD_BYTES, pool.slabBytes());
    try {
      for (int offset = 0; offset < chunk.lengthBytes(); offset += most) {
        int length = Math.min(most, chunk.lengthBytes() - offset);
        volume.read(chunk.id(), offset, length, pool).release();
      }
      return true;
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CORRUPT || failure.code() == ErrorCode.IO_ERROR) {
        return false;
      }
      throw failure;
    }
  }

  private void fetch(DoubtedChunks.Doubt doubt, ChunkState state, Volume volume, Group group) {
    boolean inSync =
        !group.reviving()
            && group
                .member(volume.id())
                .filter(member -> member.state() == MemberState.IN_SYNC)
                .isPresent();
    if (!inSync || volume.find(doubt.chunk()).isPresent()) {
      return; // re-sync brings it, or has
    }
    DataMessage.ChunkList.Listed held = ask(doubt.chunk(), volume, group);
    if (held.epoch().compareTo(group.epoch()) > 0) {
      return; // written without this volume, which has not heard of that yet: re-sync will bring it
    }
    // While its session is open it may be one that was never acknowledged, and is missing with
    // right; a copy does no harm.
    if (state == ChunkState.OWED) {
      lost.incrementAndGet();
      LOG.error(
          "{} of {} is owed, and volume {}, which is in sync, has lost it",
          doubt.chunk(),
          doubt.group(),
          doubt.volume());
    }
    pull(volume, group, held).store(source(doubt.chunk(), group));
    mended(doubt);
  }

  private void mended(DoubtedChunks.Doubt doubt) {
    repaired.incrementAndGet();
    LOG.info("{} of {} on volume {} is good again", doubt.chunk(), doubt.group(), doubt.volume());
  }

  private ChunkPull pull(Volume volume, Group group, DataMessage.ChunkList.Listed chunk) {
    return new ChunkPull(volume, group, chunk, movedBytes);
  }

  private ChunkPull.Source source(ChunkId chunk, Group group) {
    return (offset, length) ->
        reader.readElsewhere(chunk, group.id(), group.epoch(), offset, length);
  }

  private static DataMessage.ChunkList.Listed listed(StoredChunk chunk) {
    return new DataMessage.ChunkList.Listed(
        chunk.id(), chunk.epoch(), chunk.lengthBytes(), chunk.crc32c());
  }

  /** What another member says of a chunk that this volume does not have. */
  private DataMessage.ChunkList.Listed ask(ChunkId chunk, Volume volume, Group group) {
    String said = "there is no other member";
    for (Member other : group.members()) {
      Optional<NodeId> node = plane.image().volume(other.volume()).map(VolumeRecord::node);
      if (other.volume().equals(volume.id()) || node.isEmpty()) {
        continue;
      }
      try {
        var question =
            new DataMessage.ListChunks(other.volume(), group.id(), group.epoch(), before(chunk), 1);
        if (network.call(node.get(), question, Optional.empty(), LIST_NANOS).await().message()
                instanceof DataMessage.ChunkList(var chunks, boolean _)
            && !chunks.isEmpty()
            && chunks.getFirst().id().equals(chunk)) {
          return chunks.getFirst();
        }
        said = node.get() + " has it not either";
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        said = node.get() + ": " + failure.getMessage();
      }
    }
    throw new ForebayException(ErrorCode.CHUNK_ABSENT, said);
  }

  /** The greatest id below this one. */
  private static Optional<ChunkId> before(ChunkId chunk) {
    if (chunk.sequence() > 1) {
      return Optional.of(new ChunkId(chunk.session(), chunk.sequence() - 1));
    }
    long session = chunk.session().value();
    return session == 0
        ? Optional.empty()
        : Optional.of(new ChunkId(new SessionId(session - 1), Long.MAX_VALUE));
  }
}
