package io.forebay.core.backing;

import io.forebay.core.backing.RequestCounter.Kind;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import java.util.zip.CRC32C;

/**
 * An object store in memory, for the simulator and for tests, that misbehaves when told to: slow,
 * throttled, denied, unreachable, answers that are lost, and changes that land long after their
 * sender has given up. Keeps copies of bodies.
 */
public final class MemoryObjectStore implements ObjectStore {
  /** Whose ways it has. */
  public enum Likeness {
    /** An ETag never recurs; an upload keeps its parts to itself until it is dropped. */
    PLAIN,
    /** Equal bytes have equal ETags, as in S3. */
    ETAGS_RECUR,
    /**
     * Parts are one pool per key, named by upload and number alone, as in Azure: each write of the
     * key empties the pool.
     */
    BLOCK_POOL
  }

  /** What happens to a request. */
  public enum Fate {
    /** It is carried out and answered. */
    ANSWERED,
    /** It never arrives: STORE_UNREACHABLE. */
    UNREACHABLE,
    /** It is carried out, its answer is lost: TIMEOUT. */
    ANSWER_LOST,
    /** TIMEOUT, and it is carried out at {@link MemoryObjectStore#land()}. */
    LATE,
    /** STORE_THROTTLED. */
    THROTTLED,
    /** STORE_DENIED. */
    DENIED,
    /** STORE_MISSING. */
    NO_CONTAINER
  }

  /** Decides about each request; called without a lock, and may throw what stops the caller. */
  public interface Fates {
    /** What happens to the next request. */
    Fate of(Kind kind, String key);
  }

  private record Stored(StoreObject object, byte[] body) {}

  private record Part(String key, String upload, byte[] body) {}

  private final Env env;
  private final Likeness likeness;
  private final RequestCounter counter = new RequestCounter();
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeMap<String, Stored> objects = new TreeMap<>(); // guarded by lock
  private final TreeMap<String, Part> parts = new TreeMap<>(); // guarded by lock
  private final Set<String> uploads = new TreeSet<>(); // guarded by lock
  private final List<Runnable> late = new ArrayList<>(); // guarded by lock
  private long names; // guarded by lock
  private volatile Fates fates = (kind, key) -> Fate.ANSWERED;
  private volatile long latencyNanos;

  /** One whose ETags never recur. */
  public MemoryObjectStore(Env env) {
    this(env, Likeness.PLAIN);
  }

  public MemoryObjectStore(Env env, Likeness likeness) {
    this.env = env;
    this.likeness = likeness;
  }

  /** From now on requests meet these fates. */
  public void fates(Fates next) {
    fates = next;
  }

  /** From now on each request takes so long. */
  public void latency(long nanos) {
    latencyNanos = nanos;
  }

  /** Carries out what was late, in the order in which it was sent; returns how much that was. */
  public int land() {
    lock.lock();
    try {
      int count = late.size();
      late.forEach(Runnable::run);
      late.clear();
      return count;
    } finally {
      lock.unlock();
    }
  }

  /** How many requests are late. */
  public int late() {
    lock.lock();
    try {
      return late.size();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Carries out one of those that are late.
   *
   * @param place in the order in which they were sent, from 0
   */
  public void land(int place) {
    lock.lock();
    try {
      late.remove(place).run();
    } finally {
      lock.unlock();
    }
  }

  /** Uploads of which parts are left, as "key upload", each once, sorted. */
  public List<String> staged() {
    lock.lock();
    try {
      return parts.values().stream()
          .map(part -> part.key() + " " + part.upload())
          .distinct()
          .sorted()
          .toList();
    } finally {
      lock.unlock();
    }
  }

  /** The body of an object, a copy. */
  public Optional<byte[]> body(String key) {
    lock.lock();
    try {
      return Optional.ofNullable(objects.get(key)).map(stored -> stored.body().clone());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public String description() {
    return "memory";
  }

  @Override
  public StoreLimits limits() {
    return new StoreLimits(50_000, 1, 1L << 30, 1L << 30);
  }

  private <T> T request(Kind kind, String operation, String key, Supplier<T> action) {
    counter.count(kind);
    if (latencyNanos > 0) {
      env.sleep(latencyNanos);
    }
    Fate fate = fates.of(kind, key);
    lock.lock();
    try {
      return switch (fate) {
        case ANSWERED -> action.get();
        case ANSWER_LOST -> {
          unanswered(action);
          throw fault(ErrorCode.TIMEOUT, operation, key);
        }
        case LATE -> {
          late.add(() -> unanswered(action));
          throw fault(ErrorCode.TIMEOUT, operation, key);
        }
        case UNREACHABLE -> throw fault(ErrorCode.STORE_UNREACHABLE, operation, key);
        case THROTTLED -> throw fault(ErrorCode.STORE_THROTTLED, operation, key);
        case DENIED -> throw fault(ErrorCode.STORE_DENIED, operation, key);
        case NO_CONTAINER -> throw fault(ErrorCode.STORE_MISSING, operation, key);
      };
    } finally {
      lock.unlock();
    }
  }

  /** Nobody hears what it gave, nor that it failed. */
  private static void unanswered(Supplier<?> action) {
    try {
      Object unheard = action.get();
      if (unheard instanceof ReadResult.Data(var bytes)) {
        bytes.release();
      }
    } catch (ForebayException unheard) {
      // As a server's answer on a broken connection.
      return;
    }
  }

  private static ForebayException fault(ErrorCode code, String operation, String key) {
    return new ForebayException(
        code, operation + " '" + key + "' in the store memory failed as it was told to");
  }

  @Override
  public Optional<StoreObject> head(String key) {
    return request(
        Kind.HEAD,
        "looking at",
        key,
        () -> Optional.ofNullable(objects.get(key)).map(Stored::object));
  }

  @Override
  public ReadResult read(
      String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
    Slab slab = pool.take();
    try {
      return request(
          Kind.READ,
          "reading",
          key,
          () -> {
            Stored stored = objects.get(key);
            if (stored == null) {
              return new ReadResult.Missing();
            }
            if (ifMatchEtag.isPresent() && !ifMatchEtag.get().equals(stored.object().etag())) {
              return new ReadResult.Changed();
            }
            if (offset + length > stored.body().length) {
              throw fault(ErrorCode.RANGE_NOT_SATISFIABLE, "reading beyond the end of", key);
            }
            slab.buffer().put(stored.body(), Math.toIntExact(offset), length);
            return new ReadResult.Data(slab.bytes(0, length));
          });
    } finally {
      slab.release();
    }
  }

  private boolean holds(StoreCondition condition, String key) {
    Stored present = objects.get(key);
    return switch (condition) {
      case StoreCondition.Any _ -> true;
      case StoreCondition.IfAbsent _ -> present == null;
      case StoreCondition.IfMatch(var etag) ->
          present != null && present.object().etag().equals(etag);
    };
  }

  private PutResult replace(String key, byte[] body, PutOptions options) {
    if (!holds(options.condition(), key)) {
      return new PutResult.Refused();
    }
    String etag = likeness == Likeness.ETAGS_RECUR ? "b" + digest(body) : "m" + ++names;
    if (likeness == Likeness.BLOCK_POOL) {
      parts.values().removeIf(part -> part.key().equals(key));
    }
    objects.put(
        key,
        new Stored(
            new StoreObject(
                key,
                body.length,
                etag,
                options.contentType(),
                options.metadata(),
                env.wallMillis()),
            body));
    return new PutResult.Stored(etag);
  }

  private static String digest(byte[] body) {
    var crc = new CRC32C();
    crc.update(body);
    return body.length + "-" + Long.toHexString(crc.getValue());
  }

  private static byte[] join(List<Bytes> body) {
    ByteBuffer joined =
        ByteBuffer.allocate(Math.toIntExact(body.stream().mapToLong(Bytes::length).sum()));
    body.forEach(bytes -> bytes.copyTo(joined));
    return joined.array();
  }

  @Override
  public PutResult put(String key, List<Bytes> body, PutOptions options) {
    byte[] joined = join(body);
    return request(Kind.PUT, "storing", key, () -> replace(key, joined, options));
  }

  @Override
  public String begin(String key, String stamp, PutOptions options) {
    lock.lock();
    try {
      String upload = likeness == Likeness.BLOCK_POOL ? stamp : stamp + "-" + ++names;
      uploads.add(key + " " + upload);
      return upload;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public String stage(String key, String upload, int part, List<Bytes> body) {
    byte[] joined = join(body);
    return request(
        Kind.STAGE,
        "sending a part of",
        key,
        () -> {
          if (likeness != Likeness.BLOCK_POOL && !uploads.contains(key + " " + upload)) {
            throw fault(ErrorCode.NO_SUCH_UPLOAD, "sending a part of", key);
          }
          String tag =
              likeness == Likeness.BLOCK_POOL
                  ? key + "." + upload + "." + part
                  : upload + "." + part + "." + ++names;
          parts.put(tag, new Part(key, upload, joined));
          return tag;
        });
  }

  @Override
  public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
    return request(
        Kind.COMMIT,
        "committing",
        key,
        () -> {
          var joined = new ByteArrayOutputStream();
          for (String tag : tags) {
            Part part = parts.get(tag);
            if (part == null || !part.key().equals(key) || !part.upload().equals(upload)) {
              throw fault(ErrorCode.NO_SUCH_UPLOAD, "committing", key);
            }
            joined.writeBytes(part.body());
          }
          PutResult result = replace(key, joined.toByteArray(), options);
          if (result instanceof PutResult.Stored) {
            drop(key, upload);
          }
          return result;
        });
  }

  private void drop(String key, String upload) {
    uploads.remove(key + " " + upload);
    parts.values().removeIf(part -> part.key().equals(key) && part.upload().equals(upload));
  }

  @Override
  public void abort(String key, String upload) {
    if (likeness == Likeness.BLOCK_POOL) {
      return; // it drops by itself what no write has emptied
    }
    lock.lock();
    try {
      drop(key, upload);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
    return request(
        Kind.COPY,
        "copying",
        sourceKey,
        () -> {
          Stored source = objects.get(sourceKey);
          if (source == null || !source.object().etag().equals(sourceEtag)) {
            return new PutResult.Refused();
          }
          return replace(key, source.body(), options);
        });
  }

  @Override
  public DeleteResult delete(String key, StoreCondition condition) {
    return request(
        Kind.DELETE,
        "deleting",
        key,
        () -> {
          if (!objects.containsKey(key)) {
            return new DeleteResult.Missing();
          }
          if (!holds(condition, key)) {
            return new DeleteResult.Refused();
          }
          objects.remove(key);
          return new DeleteResult.Deleted();
        });
  }

  /** Every object, by key. */
  public Map<String, StoreObject> objects() {
    lock.lock();
    try {
      var all = new TreeMap<String, StoreObject>();
      objects.forEach((key, stored) -> all.put(key, stored.object()));
      return all;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public StoreRequests requests() {
    return counter.requests();
  }

  @Override
  public void close() {}
}
