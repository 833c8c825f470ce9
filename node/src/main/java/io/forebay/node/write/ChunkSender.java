package io.forebay.node.write;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.env.Env;
import io.forebay.core.env.Patience;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.net.Network;
import java.util.Map;
import java.util.SortedSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/** What all chunks of a node that are on their way share. */
public final class ChunkSender {
  private static final long CHANGE_NANOS = 500_000_000L;

  private final Env env;
  private final Network network;
  private final ControlPlane plane;
  private final Suspects suspects;
  private final Paces paces;
  // Rule R10.
  private final Patience patience = new Patience(500_000_000L, 8_000_000_000L);
  private final GroupChooser chooser;
  private final RoomQueue rooms;
  private final FlushHaste haste;
  private final QuotaGate quotas;
  private final AtomicLong rehomed = new AtomicLong();

  /**
   * @param fuller this node's volumes that are clearly fuller than others: they do not come first
   * @param roomWaitNanos for how long writers of buckets with a store wait for room, on full disks
   *     and within a quota, while none is made
   */
  public ChunkSender(
      Env env,
      Network network,
      ControlPlane plane,
      Supplier<SortedSet<VolumeId>> fuller,
      long roomWaitNanos) {
    this.env = env;
    this.network = network;
    this.plane = plane;
    this.suspects = new Suspects(env);
    this.paces = new Paces(env);
    this.chooser = new GroupChooser(env, plane::image, network.self(), fuller, suspects, paces);
    this.rooms = new RoomQueue(env, roomWaitNanos);
    this.haste = new FlushHaste(env, plane);
    this.quotas = new QuotaGate(env, plane, roomWaitNanos, haste);
  }

  /** How many chunks were written again elsewhere because their first group did not take them. */
  public long rehomed() {
    return rehomed.get();
  }

  /** Nodes that did not answer a moment ago. */
  public Suspects suspects() {
    return suspects;
  }

  /**
   * Volumes that take many times longer than others did a moment ago: for a MiB, in microseconds.
   */
  public Map<VolumeId, Long> slowVolumes() {
    return paces.slow();
  }

  /** How many chunks wait for room on full disks. */
  public int waitingForRoom() {
    return rooms.size();
  }

  /** What looks after the buckets' quotas. */
  public QuotaGate quotas() {
    return quotas;
  }

  /** Begins a chunk. */
  ChunkSend begin(Session.Ticket ticket, Bucket bucket, int maxLengthBytes) {
    return new ChunkSend(this, ticket, bucket, maxLengthBytes);
  }

  RoomQueue rooms() {
    return rooms;
  }

  FlushHaste haste() {
    return haste;
  }

  Env env() {
    return env;
  }

  Network network() {
    return network;
  }

  NodeId self() {
    return network.self();
  }

  GroupChooser chooser() {
    return chooser;
  }

  Paces paces() {
    return paces;
  }

  Patience patience() {
    return patience;
  }

  void countRehome() {
    rehomed.incrementAndGet();
  }

  /** Waits for a newer image, a while at most. */
  void awaitChange(long deadlineNanos) {
    long wait = Math.min(CHANGE_NANOS, Math.max(1, deadlineNanos - env.nanoTime()));
    plane.awaitVersion(plane.image().version() + 1, wait);
  }
}
