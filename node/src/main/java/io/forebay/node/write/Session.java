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
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;

/**
 * This node's writing session: numbers chunks and publishes, and reports below which number
 * everything is answered (rule G4), so that what crashed writers left becomes garbage. A body that
 * was begun in a session which has ended meanwhile cannot be published (rule G2); the next one
 * opens a new session.
 *
 * <p>The mark stays below the first chunk that a body which is not over has, or is sending, and
 * what is above it may not be evicted, in a store or not (rule G6). One slow body, or one that
 * waits for room on full disks, would so keep others' chunks there that could make that room.
 * Therefore a session takes no more bodies once it has given out some chunks: the next ones go into
 * another, and it is closed when its last one is over.
 */
public final class Session {
  /** One body's place in the session, from its first chunk to its answered publish. */
  public final class Ticket implements AutoCloseable {
    private final Numbers numbers;
    // Guarded by lock.
    private final TreeSet<Long> sending = new TreeSet<>(); // until there is a chunk that stays
    private long firstKept = Long.MAX_VALUE;
    private long publishSequence;

    private Ticket(Numbers numbers) {
      this.numbers = numbers;
      numbers.open.add(this);
    }

    /** The least chunk number that the publish may name; with lock held. */
    private long openFrom() {
      return Math.min(firstKept, sending.isEmpty() ? numbers.nextChunk : sending.first());
    }

    /** The session. */
    public SessionId session() {
      return numbers.id;
    }

    /** A chunk id that was never used. */
    public ChunkId nextChunk() {
      lock.lock();
      try {
        long sequence = numbers.nextChunk++;
        if (firstKept == Long.MAX_VALUE) {
          sending.add(sequence);
        }
        return new ChunkId(numbers.id, sequence);
      } finally {
        lock.unlock();
      }
    }

    /** The body names this chunk. */
    void kept(ChunkId chunk) {
      lock.lock();
      try {
        sending.remove(chunk.sequence());
        firstKept = Math.min(firstKept, chunk.sequence());
      } finally {
        lock.unlock();
      }
    }

    /** The body does not name this chunk: its bytes go under another id. */
    void dropped(ChunkId chunk) {
      lock.lock();
      try {
        sending.remove(chunk.sequence());
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
        numbers.open.remove(this);
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
    final Set<Ticket> open = new LinkedHashSet<>(); // bodies that are not over
    final TreeSet<Long> openPublishes = new TreeSet<>();
    long reportedMark = 1;
    long reportedAnswered = 1;

    Numbers(SessionId id) {
      this.id = id;
    }
  }

  private static final long REPORT_NANOS = 3_000_000_000L;
  // Two commands of the log for so many chunks, 1 GiB of the usual size.
  private static final long CHUNKS = 64;

  private final Env env;
  private final ControlPlane plane;
  private final NodeId node;
  private final ReentrantLock opening = new ReentrantLock();
  private final ReentrantLock lock = new ReentrantLock();
  // Guarded by lock, as is what is in them.
  private Optional<Numbers> current = Optional.empty();
  private final List<Numbers> former = new ArrayList<>(); // that have bodies which are not over
  private boolean renewing;

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
      Optional<Ticket> ticket;
      boolean renew;
      lock.lock();
      try {
        ticket = current.map(Ticket::new);
        renew = !renewing && current.filter(numbers -> numbers.nextChunk > CHUNKS).isPresent();
        renewing |= renew;
      } finally {
        lock.unlock();
      }
      if (renew) {
        env.spawn("session", this::renew);
      }
      if (ticket.isPresent()) {
        return ticket.get();
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
      try {
        for (Numbers numbers : known()) {
          report(numbers);
        }
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // No leader for now: the mark is only good for freeing room, and is reported again.
      }
    }
  }

  /**
   * The session may have been ended, for this node was held for dead: the next body opens another
   * one, instead of being refused when it is whole.
   */
  public void startOver() {
    lock.lock();
    try {
      current.ifPresent(former::add);
      current = Optional.empty();
    } finally {
      lock.unlock();
    }
  }

  /** Has the session followed by another; nobody waits for that. */
  private void renew() {
    opening.lock();
    try {
      SessionId id = openOne();
      lock.lock();
      try {
        current.ifPresent(former::add);
        current = Optional.of(new Numbers(id));
      } finally {
        lock.unlock();
      }
    } catch (ForebayException failure) {
      // No leader for now: bodies stay together in the session that there is, and one of the next
      // has it tried again.
    } finally {
      opening.unlock();
      lock.lock();
      try {
        renewing = false;
      } finally {
        lock.unlock();
      }
    }
  }

  private List<Numbers> known() {
    lock.lock();
    try {
      var known = new ArrayList<>(former);
      current.ifPresent(known::add);
      return known;
    } finally {
      lock.unlock();
    }
  }

  private void report(Numbers numbers) {
    long mark;
    long answeredBelow;
    boolean over;
    lock.lock();
    try {
      mark = numbers.open.stream().mapToLong(Ticket::openFrom).min().orElse(numbers.nextChunk);
      answeredBelow =
          numbers.openPublishes.isEmpty() ? numbers.nextPublish : numbers.openPublishes.first();
      over = former.contains(numbers) && numbers.open.isEmpty();
      if (!over && mark == numbers.reportedMark && answeredBelow == numbers.reportedAnswered) {
        return;
      }
    } finally {
      lock.unlock();
    }
    plane.namespace(
        over
            ? new NamespaceCommand.CloseSession(numbers.id)
            : new NamespaceCommand.SessionLowWater(numbers.id, mark, answeredBelow));
    lock.lock();
    try {
      numbers.reportedMark = mark;
      numbers.reportedAnswered = answeredBelow;
      if (over) {
        former.remove(numbers);
      }
    } finally {
      lock.unlock();
    }
  }
}
