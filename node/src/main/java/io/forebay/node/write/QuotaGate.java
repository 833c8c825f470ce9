package io.forebay.node.write;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketUse;
import io.forebay.core.id.BucketId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Keeps writers from sending bodies for which their bucket's quota has no room. The namespace
 * decides, when it applies the publish; this looks ahead, by what was known a moment ago, and does
 * not see what others have under way. So it costs nothing while there is room: what is known is
 * brought up to date beside the writers, and only one who finds no room asks.
 *
 * <p>As on a full disk, writers of a bucket with a store wait while flushing makes room, and for a
 * time after the bucket held less than ever since they wait. Of a bucket without a store nobody
 * waits: only deletions help it.
 */
public final class QuotaGate {
  private static final long FRESH_NANOS = 1_000_000_000L;
  private static final long LOOK_NANOS = 500_000_000L;
  // As many as a cluster may have at once; deleted ones are forgotten with all others.
  private static final int MAX_KNOWN = 10_000;

  private record Known(BucketUse use, long askedNanos) {}

  private final Env env;
  private final ControlPlane plane;
  private final long waitNanos;
  private final FlushHaste haste;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<BucketId, Known> known = new TreeMap<>(); // guarded by lock

  /**
   * @param waitNanos for how long writers of a bucket with a store wait while nothing of it is
   *     flushed
   */
  QuotaGate(Env env, ControlPlane plane, long waitNanos, FlushHaste haste) {
    this.env = env;
    this.plane = plane;
    this.waitNanos = waitNanos;
    this.haste = haste;
  }

  /**
   * Whether a body may begin now; where false, it may after {@link #awaitRoom}.
   *
   * @param bytes of the body; 1 where that is not known
   * @throws ForebayException QUOTA_EXCEEDED where waiting would not help
   */
  public boolean admits(Bucket bucket, long bytes) {
    return recent(bucket.id(), FRESH_NANOS).takes(bytes) || admits(bucket, bytes, ask(bucket.id()));
  }

  private boolean admits(Bucket bucket, long bytes, BucketUse now) {
    boolean flushes = !bucket.storeUrl().isEmpty() && waitNanos > 0;
    if (!now.takes(bytes) && (!flushes || bytes > now.quotaBytes())) {
      throw refusal(bucket, bytes, now);
    }
    return now.takes(bytes);
  }

  /**
   * Waits until the bucket has room, for as long as it holds less than it ever did meanwhile, and a
   * time longer: who wants much, and is passed by those who want little, is refused at last.
   *
   * @throws ForebayException QUOTA_EXCEEDED when flushing makes none; CANCELLED
   */
  public void awaitRoom(Bucket bucket, long bytes) {
    long leastBytes = Long.MAX_VALUE;
    long endNanos = env.nanoTime();
    for (BucketUse now = ask(bucket.id());
        !admits(bucket, bytes, now);
        now = recent(bucket.id(), LOOK_NANOS)) {
      if (now.heldBytes() < leastBytes) {
        endNanos = env.nanoTime() + waitNanos;
        leastBytes = now.heldBytes();
      } else if (env.nanoTime() - endNanos >= 0) {
        throw refusal(bucket, bytes, now);
      }
      haste.ask();
      env.sleep(LOOK_NANOS);
    }
  }

  /** The namespace found no room: what is remembered is too old. */
  public ForebayException refusal(Bucket bucket, long bytes) {
    return refusal(bucket, bytes, ask(bucket.id()));
  }

  private ForebayException refusal(Bucket bucket, long bytes, BucketUse use) {
    return new ForebayException(
        ErrorCode.QUOTA_EXCEEDED,
        "bucket '"
            + bucket.name()
            + "' has a quota of "
            + use.quotaBytes()
            + " bytes, holds "
            + use.heldBytes()
            + " that are in no store, and has no room for "
            + bytes
            + " more; "
            + (bucket.storeUrl().isEmpty()
                ? "delete objects or abort uploads"
                : "`forebay status` shows what its store does not take, and why; complete or abort"
                    + " uploads, delete objects")
            + " (what is deleted or overwritten counts until the bucket's read grace is over), or"
            + " raise the quota: `forebay bucket set "
            + bucket.name()
            + " --quota SIZE`");
  }

  /**
   * What was known a moment ago; waits for an answer only about a bucket that nothing is known of.
   */
  private BucketUse recent(BucketId bucket, long freshNanos) {
    lock.lock();
    try {
      Known last = known.get(bucket);
      if (last != null) {
        if (env.nanoTime() - last.askedNanos >= freshNanos) {
          known.put(bucket, new Known(last.use, env.nanoTime())); // nobody else asks meanwhile
          env.spawn("quota-look", () -> lookAgain(bucket));
        }
        return last.use;
      }
    } finally {
      lock.unlock();
    }
    return ask(bucket);
  }

  private void lookAgain(BucketId bucket) {
    try {
      BucketUse _ = ask(bucket);
    } catch (ForebayException failure) {
      // No leader for now: the next writer after a second asks again.
      return;
    }
  }

  private BucketUse ask(BucketId bucket) {
    long askedNanos = env.nanoTime();
    NamespaceAnswer answer = plane.query(new NamespaceQuery.UseOf(bucket));
    if (!(answer instanceof NamespaceAnswer.Use(var use))) {
      throw new ForebayException(
          ErrorCode.INTERNAL, "the namespace answered with " + answer.getClass().getSimpleName());
    }
    lock.lock();
    try {
      if (known.size() >= MAX_KNOWN) {
        known.clear();
      }
      known.put(bucket, new Known(use, askedNanos));
    } finally {
      lock.unlock();
    }
    return use;
  }
}
