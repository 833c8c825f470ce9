package io.forebay.node.flush;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.net.FlushMessage;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.node.read.ManifestReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/**
 * Stages parts of uploads, each on a node that holds its bytes: the flush of one object then uses
 * the uplinks of all holders, and moves nothing between nodes. When a holder fails, the part is
 * staged here. Both may land, which is harmless: it is the same bytes under the same number of the
 * same upload, and whichever is sent late meets an upload that is committed or dropped.
 */
final class PartStager {
  // Longer than any store's request may take; a holder that is down is known by the image before.
  private static final long CALL_NANOS = 90_000_000_000L;
  private static final long LOOK_NANOS = 500_000_000L;
  private static final long ROOM_NANOS = 5_000_000_000L;
  private static final long AVOID_NANOS = 10_000_000_000L;

  private final Env env;
  private final Network network;
  private final ControlPlane plane;
  private final ManifestReader manifests;
  private final BucketStores stores;
  private final FlushSettings settings;
  private final SlabPool pool;
  private final Permits memory;
  // Apart from the permits of own uploads, whose holders may wait for other nodes.
  private final Permits forOthers;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<NodeId, Long> avoidUntilNanos = new TreeMap<>(); // guarded by lock
  private final AtomicLong elsewhere = new AtomicLong();
  private final AtomicLong served = new AtomicLong();

  PartStager(
      Env env,
      Network network,
      ControlPlane plane,
      ManifestReader manifests,
      BucketStores stores,
      FlushSettings settings) {
    this.env = env;
    this.network = network;
    this.plane = plane;
    this.manifests = manifests;
    this.stores = stores;
    this.settings = settings;
    this.pool = stores.pool();
    long half = (long) pool.count() * pool.slabBytes() / 2;
    this.memory = new Permits(env, Math.min(settings.memoryBytes(), half));
    this.forOthers = new Permits(env, settings.partsAtOnce());
  }

  /** Parts that other nodes staged for this one. */
  long elsewhere() {
    return elsewhere.get();
  }

  /** Parts that this node staged for others. */
  long served() {
    return served.get();
  }

  /** A part that another node holds. */
  record Elsewhere(NodeId node, Manifest.Segment body) {}

  /**
   * Who is to stage a part; empty: this node. Parts of one stretch go round among its holders.
   *
   * @param extents of the object, in order and without gaps; empty when they are not known
   */
  Optional<Elsewhere> holder(List<Extent> extents, long from, long lengthBytes, int part) {
    var covering = new ArrayList<Extent>();
    long base = 0;
    for (Extent extent : extents) {
      if (extent.end() > from && extent.fileOffset() < from + lengthBytes) {
        if (covering.isEmpty()) {
          base = extent.fileOffset();
        }
        covering.add(
            new Extent(
                extent.fileOffset() - base,
                extent.lengthBytes(),
                extent.chunk(),
                extent.chunkOffset(),
                extent.group(),
                extent.epoch(),
                extent.crc32c()));
      }
    }
    if (covering.isEmpty()) {
      return Optional.empty();
    }
    List<NodeId> holders = holders(covering.getFirst());
    if (holders.isEmpty()) {
      return Optional.empty();
    }
    NodeId node = holders.get(part % holders.size());
    return node.equals(network.self())
        ? Optional.empty()
        : Optional.of(
            new Elsewhere(
                node,
                new Manifest.Segment(from - base, lengthBytes, new Manifest.Extents(covering))));
  }

  private List<NodeId> holders(Extent extent) {
    ClusterImage image = plane.image();
    long now = env.nanoTime();
    lock.lock();
    try {
      avoidUntilNanos.values().removeIf(until -> until <= now);
      return image.group(extent.group()).stream()
          .flatMap(group -> group.in(MemberState.IN_SYNC).stream())
          .map(Member::volume)
          .flatMap(volume -> image.volume(volume).stream())
          .map(volume -> volume.node())
          .filter(node -> !down(image, node) && !avoidUntilNanos.containsKey(node))
          .distinct()
          .toList();
    } finally {
      lock.unlock();
    }
  }

  private static boolean down(ClusterImage image, NodeId node) {
    return image.node(node).filter(each -> each.state() == NodeState.DOWN).isPresent();
  }

  /**
   * Has a part staged by another node.
   *
   * @return its tag; empty when that node did not do it, or did not say so
   */
  Optional<String> ask(Elsewhere holder, FlushMessage.StagePart part) {
    Outcome<Reply> answer = network.call(holder.node(), part, Optional.empty(), CALL_NANOS);
    try {
      while (!answer.awaitUntil(env.nanoTime() + LOOK_NANOS)) {
        if (down(plane.image(), holder.node())) {
          avoid(holder.node());
          return Optional.empty();
        }
      }
      Reply reply = answer.get();
      reply.release();
      if (reply.message() instanceof FlushMessage.PartStaged(var tag)) {
        elsewhere.incrementAndGet();
        return Optional.of(tag);
      }
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      // Whatever it was, the store says it to this node too.
    }
    avoid(holder.node());
    return Optional.empty();
  }

  private void avoid(NodeId node) {
    lock.lock();
    try {
      avoidUntilNanos.put(node, env.nanoTime() + AVOID_NANOS);
    } finally {
      lock.unlock();
    }
  }

  /** Stages a part for another node's attempt. */
  FlushMessage.PartStaged serve(FlushMessage.StagePart part) {
    Bucket bucket =
        stores
            .bucket(part.bucket())
            .orElseThrow(() ->
                new ForebayException(
                    ErrorCode.BUSY,
                    "this node does not know the bucket " + part.bucket() + " yet"));
    if (!forOthers.acquire(1, env.nanoTime() + ROOM_NANOS)) {
      throw new ForebayException(
          ErrorCode.BUSY, "this node has parts enough to stage; try another");
    }
    try {
      ManifestReader.Source source = manifests.open(part.body().manifest(), Optional.empty());
      String tag =
          withBody(
              source,
              part.body().offset(),
              part.body().lengthBytes(),
              body -> {
                checkLease(part.leaseMillis());
                return stores
                    .storeOf(bucket)
                    .stage(
                        BucketStores.storeKey(bucket, part.key()),
                        part.upload(),
                        part.part(),
                        body);
              });
      served.incrementAndGet();
      return new FlushMessage.PartStaged(tag);
    } finally {
      forOthers.release(1);
    }
  }

  /**
   * Refuses what comes too late.
   *
   * @throws ForebayException TIMEOUT
   */
  void checkLease(long leaseMillis) {
    if (env.wallMillis() >= leaseMillis - settings.clockMillis()) {
      throw new ForebayException(
          ErrorCode.TIMEOUT, "a flush did not get to sending before its lease was over");
    }
  }

  /**
   * Refuses parts that would leave next to none of the pool's slabs to readers, or wait for more
   * than there are.
   *
   * @throws ForebayException ENTITY_TOO_LARGE
   */
  void requireFits(long partBytes) {
    long most = (long) pool.count() * pool.slabBytes() / 4 * 3;
    if (partBytes > most) {
      throw new ForebayException(
          ErrorCode.ENTITY_TOO_LARGE,
          "a part of "
              + partBytes
              + " bytes (the store takes a certain number of parts) does not fit into the "
              + most
              + " bytes that this node has for one: give the nodes more `memory`");
    }
  }

  /**
   * Does something with a stretch in memory: full slabs but the last, which it gives back.
   *
   * @throws ForebayException ENTITY_TOO_LARGE
   */
  <T> T withBody(
      ManifestReader.Source source, long from, long length, Function<List<Bytes>, T> action) {
    requireFits(length);
    var body = new ArrayList<Bytes>();
    memory.acquire(length);
    try {
      read(source, from, length, body);
      return action.apply(body);
    } finally {
      body.forEach(Bytes::release);
      memory.release(length);
    }
  }

  // Full slabs, so that a body of small pieces takes no more of the pool.
  private void read(ManifestReader.Source source, long from, long length, List<Bytes> into) {
    int full = pool.slabBytes();
    for (long offset = from; offset < from + length; ) {
      int wanted = (int) Math.min(full, from + length - offset);
      Bytes piece = source.read(offset, wanted);
      if (piece.length() == wanted) {
        into.add(piece);
      } else {
        into.add(gathered(piece, source, offset, wanted));
      }
      offset += wanted;
    }
  }

  private Bytes gathered(Bytes first, ManifestReader.Source source, long from, int length) {
    Slab slab = pool.take();
    try {
      ByteBuffer buffer = slab.buffer();
      Bytes piece = first;
      int done = 0;
      while (true) {
        done += piece.length();
        try {
          piece.copyTo(buffer);
        } finally {
          piece.release();
        }
        if (done == length) {
          return slab.bytes(0, length);
        }
        piece = source.read(from + done, length - done);
      }
    } finally {
      slab.release();
    }
  }
}
