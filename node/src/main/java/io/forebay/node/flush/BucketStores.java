package io.forebay.node.flush;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.backing.StoreRequests;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.log.ControlPlane;
import io.forebay.node.read.StoreReads;
import io.forebay.node.service.NodeFileService;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The stores of this node's buckets, each opened when it is first needed. In a store that several
 * buckets may share, a bucket's objects lie below its name.
 */
public final class BucketStores implements StoreReads, NodeFileService.StoreHeads, AutoCloseable {
  private final Opener opener;
  private final SlabPool pool;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<String, ObjectStore> open = new TreeMap<>(); // guarded by lock
  private Optional<ControlPlane> plane = Optional.empty();

  /** Where stores come from, by their URLs. */
  @FunctionalInterface
  public interface Opener {
    /** Opens a store. */
    ObjectStore open(String url);

    /** Makes what it needs before it is opened for the first time. */
    default void make(String url) {}
  }

  public BucketStores(Opener opener, SlabPool pool) {
    this.opener = opener;
    this.pool = pool;
  }

  /** Where buckets are looked up; before anything else. */
  public void bind(ControlPlane controlPlane) {
    plane = Optional.of(controlPlane);
  }

  /** What bodies are read into. */
  SlabPool pool() {
    return pool;
  }

  /** The bucket of an id. */
  public Optional<Bucket> bucket(BucketId id) {
    return plane.orElseThrow().image().buckets().stream()
        .filter(bucket -> bucket.id().equals(id))
        .findFirst();
  }

  /** The store key of an object. */
  public static String storeKey(Bucket bucket, String key) {
    return bucket.name() + "/" + key;
  }

  /**
   * The store of a bucket.
   *
   * @throws ForebayException STORE_MISSING for a bucket without one; what opening fails with
   */
  public ObjectStore storeOf(Bucket bucket) {
    if (bucket.storeUrl().isEmpty()) {
      throw new ForebayException(
          ErrorCode.STORE_MISSING, "the bucket '" + bucket.name() + "' has no store");
    }
    String url = bucket.storeUrl();
    return known(url).orElseGet(() -> opened(url));
  }

  private Optional<ObjectStore> known(String url) {
    lock.lock();
    try {
      return Optional.ofNullable(open.get(url));
    } finally {
      lock.unlock();
    }
  }

  /** Opening may take a while: a slow store must not keep others from being found. */
  private ObjectStore opened(String url) {
    ObjectStore mine = opener.open(url);
    ObjectStore first;
    lock.lock();
    try {
      first = open.putIfAbsent(url, mine);
    } finally {
      lock.unlock();
    }
    if (first == null) {
      return mine;
    }
    mine.close();
    return first;
  }

  @Override
  public Bytes read(BucketId bucketId, String key, String etag, long offset, int length) {
    Bucket bucket =
        bucket(bucketId)
            .orElseThrow(
                () -> new ForebayException(ErrorCode.NO_SUCH_BUCKET, "the bucket is gone"));
    ObjectStore store = storeOf(bucket);
    return switch (store.read(storeKey(bucket, key), offset, length, Optional.of(etag), pool)) {
      case ObjectStore.ReadResult.Data(var bytes) -> bytes;
      case ObjectStore.ReadResult.Missing _ ->
          throw new ForebayException(
              ErrorCode.GENERATION_GONE,
              "'" + key + "' was deleted in the store " + store.description());
      case ObjectStore.ReadResult.Changed _ ->
          throw new ForebayException(
              ErrorCode.GENERATION_GONE,
              "'" + key + "' was overwritten in the store " + store.description());
    };
  }

  @Override
  public void make(String url) {
    opener.make(url);
  }

  @Override
  public Optional<TheirObject> head(Bucket bucket, String key) {
    Optional<StoreObject> found = storeOf(bucket).head(storeKey(bucket, key));
    return found.map(object ->
        new TheirObject(
            object.etag(),
            object.lengthBytes(),
            new ObjectMetadata(object.contentType(), Collections.emptyMap(), object.metadata()),
            object.modifiedMillis()));
  }

  /** Requests by kind, over all stores that were opened here. */
  public Map<String, Long> requests() {
    var sum = new TreeMap<String, Long>();
    lock.lock();
    try {
      for (ObjectStore store : open.values()) {
        StoreRequests each = store.requests();
        sum.merge("heads", each.heads(), Long::sum);
        sum.merge("reads", each.reads(), Long::sum);
        sum.merge("puts", each.puts(), Long::sum);
        sum.merge("stages", each.stages(), Long::sum);
        sum.merge("commits", each.commits(), Long::sum);
        sum.merge("copies", each.copies(), Long::sum);
        sum.merge("deletes", each.deletes(), Long::sum);
        sum.merge("total", each.total(), Long::sum);
      }
    } finally {
      lock.unlock();
    }
    return sum;
  }

  @Override
  public void close() {
    lock.lock();
    try {
      open.values().forEach(ObjectStore::close);
      open.clear();
    } finally {
      lock.unlock();
    }
  }
}
