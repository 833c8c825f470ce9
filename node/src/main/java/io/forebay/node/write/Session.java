package io.forebay.node.write;

import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceResult;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;

/**
 * This node's writing session: numbers chunks and publishes, and reports below which number
 * everything is answered (rule G4), so that what crashed writers left becomes garbage. A body that
 * was begun in a session which has ended meanwhile cannot be published (rule G2); the next one
 * opens a new session.
 */
public final class Session {
  /** One body's place in the session, from its first chunk to its answered publish. */
  public final class Ticket implements AutoCloseable {
    private final Numbers numbers;
    private final long openFrom;
    private long publishSequence;

    private Ticket(Numbers numbers) {
      this.numbers = numbers;
      this.openFrom = numbers.nextChunk;
      numbers.openBodies.merge(openFrom, 1, Integer::sum);
    }

    /** The session. */
    public SessionId session() {
      return numbers.id;
    }

    /** A chunk id that was never used. */
    public ChunkId nextChunk() {
      lock.lock();
      try {
        return new ChunkId(numbers.id, numbers.nextChunk++);
      } finally {
        lock.unlock();
      }
    }

    /** The number of this body's publish; the same at each call. */
    public long publishSequence() {
      lock.lock();
      try {
        if (publishSequence == 0) {
          publishSequence = numbers.nextPublish++;
          numbers.openPublishes.add(publishSequence);
        }
        return publishSequence;
      } finally {
        lock.unlock();
      }
    }

    /** The log has said that the session is over. */
    public void ended() {
      lock.lock();
      try {
        if (current.isPresent() && current.get() == numbers) {
          current = Optional.empty();
        }
      } finally {
        lock.unlock();
      }
    }

    /** The publish was answered, or there will be none: its chunks may be passed. */
    @Override
    public void close() {
      lock.lock();
      try {
        numbers.openBodies.computeIfPresent(
            openFrom, (from, count) -> count == 1 ? null : count - 1);
        numbers.openPublishes.remove(publishSequence);
      } finally {
        lock.unlock();
      }
    }
  }

  private static final class Numbers {
    final SessionId id;
    long nextChunk = 1;
    long nextPublish = 1;
    // Bodies by the chunk number from which their chunks begin.
    final TreeMap<Long, Integer> openBodies = new TreeMap<>();
    final TreeSet<Long> openPublishes = new TreeSet<>();
    long reportedMark = 1;
    long reportedAnswered = 1;

    Numbers(SessionId id) {
      this.id = id;
    }
  }

  private static final long REPORT_NANOS = 3_000_000_000L;

  private final Env env;
  private final ControlPlane plane;
  private final NodeId node;
  private final ReentrantLock opening = new ReentrantLock();
  private final ReentrantLock lock = new ReentrantLock();
  private Optional<Numbers> current = Optional.empty(); // guarded by lock, as is what is in it

  public Session(Env env, ControlPlane plane, NodeId node) {
    this.env = env;
    this.plane = plane;
    this.node = node;
  }

  /**
   * A place for one body; opens a session if there is none.
   *
   * @throws ForebayException UNAVAILABLE
   */
  public Ticket enter() {
    while (true) {
      lock.lock();
      try {
        if (current.isPresent()) {
          return new Ticket(current.get());
        }
      } finally {
        lock.unlock();
      }
      opening.lock();
      try {
        boolean open;
        lock.lock();
        try {
          open = current.isPresent();
        } finally {
          lock.unlock();
        }
        if (!open) {
          SessionId id = openOne();
          lock.lock();
          try {
            current = Optional.of(new Numbers(id));
          } finally {
            lock.unlock();
          }
        }
      } finally {
        opening.unlock();
      }
    }
  }

  private SessionId openOne() {
    NamespaceResult result = plane.namespace(new NamespaceCommand.OpenSession(node));
    return switch (result) {
      case NamespaceResult.SessionOpened(var session) -> session;
      case NamespaceResult.Refused refused -> throw refused.exception();
      default ->
          throw new ForebayException(ErrorCode.INTERNAL, "OpenSession was answered with " + result);
    };
  }

  /**
   * Reports every few seconds which chunks and publishes are over, until interrupted: what small
   * bodies leave are answers of publishes, and no chunks.
   */
  public void report() {
    while (true) {
      env.sleep(REPORT_NANOS);
      Numbers numbers;
      long mark;
      long answeredBelow;
      lock.lock();
      try {
        if (current.isEmpty()) {
          continue;
        }
        numbers = current.get();
        mark = numbers.openBodies.isEmpty() ? numbers.nextChunk : numbers.openBodies.firstKey();
        answeredBelow =
            numbers.openPublishes.isEmpty() ? numbers.nextPublish : numbers.openPublishes.first();
        if (mark == numbers.reportedMark && answeredBelow == numbers.reportedAnswered) {
          continue;
        }
      } finally {
        lock.unlock();
      }
      try {
        plane.namespace(new NamespaceCommand.SessionLowWater(numbers.id, mark, answeredBelow));
        lock.lock();
        try {
          numbers.reportedMark = mark;
          numbers.reportedAnswered = answeredBelow;
        } finally {
          lock.unlock();
        }
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // No leader for now: the mark is only good for freeing room, and is reported again.
      }
    }
  }
}
