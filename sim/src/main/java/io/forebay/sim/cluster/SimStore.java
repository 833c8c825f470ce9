package io.forebay.sim.cluster;

import io.forebay.core.backing.MemoryObjectStore;
import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.backing.MemoryObjectStore.Likeness;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.RequestCounter.Kind;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.backing.StoreLimits;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.backing.StoreRequests;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.node.flush.FlushSettings;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/**
 * The object store of a world: one, which every process reaches over a link of its own. Requests
 * take time, and go wrong as the weather is; what is late lands when its sender may be dead. The
 * judge sees each change when it happens.
 */
final class SimStore {
  static final String URL = "memory:";

  /**
   * Shorter than in production, so that a run meets the end of leases and the resolving of what is
   * unclear: a request is refused 8 s after its call, as one whose signature ran out, and lands at
   * most 8 s after it was sent; long bodies go in parts.
   */
  static final FlushSettings SETTINGS =
      new FlushSettings(12, 8, 3, 8L << 20, 256 << 10, 512 << 10, 15_000, 20_000, 1_000);

  private static final long MILLI = 1_000_000L;
  private static final long SIGNATURE_MILLIS = 8_000;
  private static final long LATE_NANOS = 8_000 * MILLI;
  private static final long ROUND_TRIP_NANOS = 30 * MILLI;
  // 200 MB/s for each request.
  private static final long NANOS_PER_BYTE = 5;
  private static final int ALL = 1_000;

  /**
   * What goes wrong.
   *
   * @param throttled of 1,000 requests, so many get 429 or 503
   * @param lost so many are carried out and not answered
   * @param late so many land later, when their sender has given up
   * @param unreachable so many never arrive
   * @param broken so many bodies break off, ranges that are read too
   * @param denied so many are refused, or find no container
   * @param slowNanos each way takes up to so much more
   */
  record Weather(
      int throttled, int lost, int late, int unreachable, int broken, int denied, long slowNanos) {
    static final Weather CALM = new Weather(0, 0, 0, 0, 0, 0, 0);
    static final Weather STORM = new Weather(500, 150, 100, 0, 0, 0, 0);
    static final Weather DOWN = new Weather(0, 50, 50, 900, 0, 0, 0);
    static final Weather BROKEN_BODIES = new Weather(0, 50, 50, 0, 500, 0, 0);
    static final Weather DENIED = new Weather(0, 0, 0, 0, 0, 600, 0);
    static final Weather SLOW = new Weather(0, 0, 50, 0, 0, 0, 5_000 * MILLI);
  }

  private final SimWorld world;
  private final RandomGenerator random;
  private final MemoryObjectStore store;
  private final StoreJudge judge;
  private final List<Object> late = new ArrayList<>(); // in the order of the store's own
  private Weather weather = Weather.CALM;
  private boolean quiet;

  SimStore(SimWorld world, Judge judge) {
    this.world = world;
    this.random = world.stream("store");
    List<Likeness> all = List.of(Likeness.values());
    Likeness likeness = all.get(random.nextInt(all.size()));
    this.store = new MemoryObjectStore(world.env("store"), likeness);
    this.judge = new StoreJudge(judge, store, likeness);
    judge.watch(this.judge);
    store.fates((kind, key) -> fate(kind));
  }

  StoreJudge judge() {
    return judge;
  }

  /** From now on requests fare so. */
  void weather(Weather next) {
    weather = next;
  }

  /** A process's way to the store. */
  ObjectStore link(SimEnv env) {
    return new Link(env);
  }

  /** Somebody else writes an object. */
  void theyWrite(String key, History.Version version) {
    Bytes body = new Synthetic(version.seed(), 0, (int) version.lengthBytes());
    var options =
        new PutOptions(new StoreCondition.Any(), "application/x-theirs", Map.of(), Map.of());
    quiet = true;
    ObjectStore.PutResult result = store.put(key, List.of(body), options);
    quiet = false;
    if (result instanceof ObjectStore.PutResult.Stored(var etag)) {
      judge.theyWrote(key, etag, version);
    }
  }

  /** Somebody else deletes an object, if there is one. */
  void theyDelete(String key) {
    quiet = true;
    ObjectStore.DeleteResult result = store.delete(key, new StoreCondition.Any());
    quiet = false;
    if (result instanceof ObjectStore.DeleteResult.Deleted) {
      judge.theyDeleted(key);
    }
  }

  private Fate fate(Kind kind) {
    if (quiet) {
      return Fate.ANSWERED;
    }
    if (falls(weather.throttled())) {
      return Fate.THROTTLED;
    }
    if (falls(weather.unreachable())) {
      return Fate.UNREACHABLE;
    }
    if (falls(weather.denied())) {
      return random.nextBoolean() ? Fate.DENIED : Fate.NO_CONTAINER;
    }
    if (falls(weather.lost())) {
      return Fate.ANSWER_LOST;
    }
    boolean body = kind == Kind.READ || kind == Kind.PUT || kind == Kind.STAGE;
    if (body && falls(weather.broken())) {
      return Fate.UNREACHABLE;
    }
    boolean changes = kind != Kind.READ && kind != Kind.HEAD;
    if (!changes || !falls(weather.late())) {
      return Fate.ANSWERED;
    }
    var ticket = new Object();
    late.add(ticket);
    world.at(world.nanoTime() + random.nextLong(LATE_NANOS), () -> land(ticket));
    return Fate.LATE;
  }

  private boolean falls(int share) {
    return share > 0 && random.nextInt(ALL) < share;
  }

  private void land(Object ticket) {
    int place = late.indexOf(ticket);
    late.remove(place);
    store.land(place);
    judge.changed();
  }

  /** One process's requests; they end with it, and what had arrived stays done. */
  private final class Link implements ObjectStore {
    private final SimEnv env;

    Link(SimEnv env) {
      this.env = env;
    }

    private void takeTime(long bytes) {
      long slow = weather.slowNanos();
      env.sleep(
          random.nextLong(ROUND_TRIP_NANOS)
              + bytes * NANOS_PER_BYTE
              + (slow > 0 ? random.nextLong(slow) : 0));
      env.checkAlive();
    }

    /** The way there, and what the store does; blocking. */
    private <T> T sent(long bytes, Supplier<T> request) {
      env.checkAlive();
      long calledMillis = env.wallMillis();
      takeTime(bytes);
      if (env.wallMillis() - calledMillis > SIGNATURE_MILLIS) {
        throw new ForebayException(
            ErrorCode.STORE_UNREACHABLE, "the request's signature ran out on its way to the store");
      }
      try {
        return request.get();
      } finally {
        judge.changed();
      }
    }

    private <T> T answered(long bytes, Supplier<T> request) {
      T answer = sent(bytes, request);
      takeTime(0);
      return answer;
    }

    /** For the requests of which the store itself never makes a fault. */
    private void arrive() {
      if (falls(weather.unreachable())) {
        throw new ForebayException(ErrorCode.STORE_UNREACHABLE, "the store is not reached");
      }
    }

    private static long length(List<Bytes> body) {
      return body.stream().mapToLong(Bytes::length).sum();
    }

    @Override
    public String description() {
      return store.description();
    }

    @Override
    public StoreLimits limits() {
      return store.limits();
    }

    @Override
    public Optional<StoreObject> head(String key) {
      return answered(0, () -> store.head(key));
    }

    @Override
    public ReadResult read(
        String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
      // Nothing is held while time passes: whoever is interrupted then has nothing to give back.
      takeTime(0);
      return sent(length, () -> store.read(key, offset, length, ifMatchEtag, pool));
    }

    @Override
    public PutResult put(String key, List<Bytes> body, PutOptions options) {
      return answered(length(body), () -> store.put(key, body, options));
    }

    @Override
    public String begin(String key, String stamp, PutOptions options) {
      return answered(
          0,
          () -> {
            arrive();
            return store.begin(key, stamp, options);
          });
    }

    @Override
    public String stage(String key, String upload, int part, List<Bytes> body) {
      return answered(length(body), () -> store.stage(key, upload, part, body));
    }

    @Override
    public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
      return answered(0, () -> store.commit(key, upload, tags, options));
    }

    @Override
    public void abort(String key, String upload) {
      answered(
          0,
          () -> {
            arrive();
            store.abort(key, upload);
            return true;
          });
    }

    @Override
    public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
      return answered(0, () -> store.copy(sourceKey, sourceEtag, key, options));
    }

    @Override
    public DeleteResult delete(String key, StoreCondition condition) {
      return answered(0, () -> store.delete(key, condition));
    }

    @Override
    public StoreRequests requests() {
      return store.requests();
    }

    @Override
    public void close() {}
  }
}
