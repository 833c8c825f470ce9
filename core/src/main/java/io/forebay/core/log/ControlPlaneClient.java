package io.forebay.core.log;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseCache;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.Network;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * The {@link ControlPlane} of a node: two logs reached over the network, and the image that the
 * node's heartbeats bring ({@link #offer}).
 */
public final class ControlPlaneClient implements ControlPlane {
  /** Name of the log of members, volumes, groups, buckets and keys. */
  public static final String CLUSTER = "cluster";

  /** Name of the log of the first namespace shard. */
  public static final String NAMESPACE = "ns-0";

  // Longer than two elections and a detection, shorter than a client's patience.
  private static final long TIMEOUT_NANOS = 15_000_000_000L;
  private static final RecordCodec<ClusterCommand> CLUSTER_COMMANDS =
      RecordCodec.of(ClusterCommand.class);
  private static final RecordCodec<ClusterResult> CLUSTER_RESULTS =
      RecordCodec.of(ClusterResult.class);
  private static final RecordCodec<ClusterImage> IMAGES = RecordCodec.of(ClusterImage.class);
  private static final RecordCodec<NamespaceCommand> COMMANDS =
      RecordCodec.of(NamespaceCommand.class);
  private static final RecordCodec<NamespaceResult> RESULTS = RecordCodec.of(NamespaceResult.class);
  private static final RecordCodec<NamespaceQuery> QUERIES = RecordCodec.of(NamespaceQuery.class);
  private static final RecordCodec<NamespaceAnswer> ANSWERS = RecordCodec.of(NamespaceAnswer.class);

  private final Env env;
  private final Submitter cluster;
  private final Submitter namespace;
  private final ReentrantLock lock = new ReentrantLock();
  private final List<Consumer<ClusterImage>> listeners = new ArrayList<>(); // guarded by lock
  private final Map<Long, Outcome<Boolean>> awaited = new TreeMap<>(); // guarded by lock
  private volatile Optional<Function<NamespaceQuery, NamespaceAnswer>> here = Optional.empty();
  private volatile Optional<LeasedReads> leased = Optional.empty();
  private volatile Set<String> unleased = new TreeSet<>();
  private volatile ClusterImage image = ClusterImage.EMPTY; // written under lock

  /**
   * @param voters of both logs
   */
  public ControlPlaneClient(Env env, Network network, List<NodeId> voters) {
    this.env = env;
    this.cluster = new Submitter(env, network, CLUSTER, voters);
    this.namespace = new Submitter(env, network, NAMESPACE, voters);
  }

  @Override
  public ClusterResult cluster(ClusterCommand command) {
    return CLUSTER_RESULTS.decode(cluster.submit(CLUSTER_COMMANDS.encode(command), TIMEOUT_NANOS));
  }

  @Override
  public ClusterResult clusterHere(ClusterCommand command) {
    return CLUSTER_RESULTS.decode(cluster.submitHere(CLUSTER_COMMANDS.encode(command)));
  }

  @Override
  public NamespaceResult namespace(NamespaceCommand command) {
    return RESULTS.decode(namespace.submit(COMMANDS.encode(command), TIMEOUT_NANOS));
  }

  @Override
  public NamespaceAnswer query(NamespaceQuery query) {
    Optional<Function<NamespaceQuery, NamespaceAnswer>> asked = here;
    if (asked.isPresent()) {
      try {
        return asked.get().apply(query);
      } catch (ForebayException failure) {
        if (failure.code() != ErrorCode.NOT_LEADER) {
          throw failure;
        }
        // It has not elected itself yet: the submitter waits for that.
      }
    }
    Optional<LeasedReads> reads = leased;
    if (reads.isPresent()
        && query instanceof NamespaceQuery.Stat stat
        && !isUnleased(stat.bucket())) {
      return reads.get().stat(stat);
    }
    return ANSWERS.decode(namespace.query(QUERIES.encode(query), TIMEOUT_NANOS));
  }

  private boolean isUnleased(BucketId bucket) {
    return !unleased.isEmpty()
        && image.buckets().stream()
            .anyMatch(each -> each.id().equals(bucket) && unleased.contains(each.name()));
  }

  /**
   * From now on single keys are answered from memory while this node has a lease on their
   * directory, and leases are asked for.
   *
   * @param cache of this node; {@link LeaseCache#revoke} is the answer to a leader's revocation
   * @param except names of buckets where they are not
   */
  public void lease(LeaseCache cache, List<String> except) {
    unleased = new TreeSet<>(except);
    leased = Optional.of(new LeasedReads(env, namespace, cache, TIMEOUT_NANOS));
  }

  /**
   * On the only voter: answers queries in the thread that asks, without a message to itself. To
   * code one, and to hand it to another thread and back, costs more than its answer. With several
   * voters the round among them costs more still, and its time-outs are the submitter's.
   *
   * @param queries by {@link LogService#read} of the namespace
   */
  public void askHere(Function<NamespaceQuery, NamespaceAnswer> queries) {
    here = Optional.of(queries);
  }

  /** The way to the cluster log, for heartbeats, which follow its leader. */
  public Submitter clusterLog() {
    return cluster;
  }

  /** The way to the namespace's log. */
  public Submitter namespaceLog() {
    return namespace;
  }

  @Override
  public ClusterImage image() {
    return image;
  }

  @Override
  public ClusterImage newest() {
    byte[] known = ByteBuffer.allocate(Long.BYTES).putLong(image.version()).array();
    byte[] newer = cluster.query(known, TIMEOUT_NANOS);
    if (newer.length > 0) {
      offer(IMAGES.decode(newer));
    }
    return image;
  }

  /** An image from a leader; an older one than the present is dropped. */
  public void offer(ClusterImage newer) {
    lock.lock();
    try {
      if (newer.version() <= image.version()) {
        return;
      }
      image = newer;
      // Under the lock, so that listeners see images in their order.
      for (Consumer<ClusterImage> listener : listeners) {
        listener.accept(newer);
      }
      awaited
          .entrySet()
          .removeIf(entry -> entry.getKey() <= newer.version() && entry.getValue().complete(true));
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean awaitVersion(long version, long timeoutNanos) {
    Outcome<Boolean> reached;
    lock.lock();
    try {
      if (image.version() >= version) {
        return true;
      }
      Outcome<Boolean> present = awaited.get(version);
      reached = present == null ? new Outcome<>(env) : present;
      awaited.put(version, reached);
    } finally {
      lock.unlock();
    }
    return reached.awaitUntil(env.nanoTime() + timeoutNanos);
  }

  @Override
  public void onImage(Consumer<ClusterImage> listener) {
    lock.lock();
    try {
      listeners.add(listener);
      listener.accept(image);
    } finally {
      lock.unlock();
    }
  }
}
