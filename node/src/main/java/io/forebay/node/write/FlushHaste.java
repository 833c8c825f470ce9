package io.forebay.node.write;

import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.FlushItem;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Has the flush begin now with what it would begin with later, because writers wait for room: a
 * bucket's delay, or the pause after a failure, may be longer than they can wait. The pace at which
 * a store is asked stays what it is.
 */
final class FlushHaste {
  private static final long EVERY_NANOS = 5_000_000_000L;
  private static final long AHEAD_MILLIS = 30L * 24 * 3_600_000;
  // Of all keys that wait; where so many are due, the flush lacks nothing.
  private static final int AT_ONCE = 64;

  private final Env env;
  private final ControlPlane plane;
  private final ReentrantLock lock = new ReentrantLock();
  private long notBeforeNanos; // guarded by lock

  FlushHaste(Env env, ControlPlane plane) {
    this.env = env;
    this.plane = plane;
    this.notBeforeNanos = env.nanoTime();
  }

  /** Asks for it, unless that was done a moment ago. */
  void ask() {
    lock.lock();
    try {
      if (env.nanoTime() - notBeforeNanos < 0) {
        return;
      }
      notBeforeNanos = env.nanoTime() + EVERY_NANOS;
    } finally {
      lock.unlock();
    }
    try {
      hasten();
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      // No leader for now: asked again while somebody waits.
    }
  }

  private void hasten() {
    long now = env.wallMillis();
    var query = new NamespaceQuery.FlushWork(AT_ONCE, now + AHEAD_MILLIS, List.of());
    if (plane.query(query) instanceof NamespaceAnswer.Work(var items)) {
      for (FlushItem item : items) {
        if (item.record().open().isEmpty() && dueMillis(item.record()) > now) {
          plane.namespace(new NamespaceCommand.FlushNow(item.bucket(), item.key(), "", 1));
        }
      }
    }
  }

  private static long dueMillis(FlushRecord record) {
    long pause = record.failure().map(FlushRecord.Failure::nextTryMillis).orElse(0L);
    return Math.max(record.dueMillis(), pause);
  }
}
