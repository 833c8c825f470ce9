package io.forebay.transport.tcp;

import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One connection to a peer, dialled when it is first needed and again after it broke. After a
 * failure to dial, whoever comes within the back-off gets that failure at once.
 */
final class Lane {
  private static final long BACK_OFF_NANOS = 100_000_000;
  private static final int MAX_WAITING = 4096;

  private record Waiting(Consumer<Connection> ready, Consumer<ForebayException> failed) {}

  private final TcpNetwork network;
  private final Env env;
  private final Optional<NodeId> expected;
  private final String address;

  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final ArrayDeque<Waiting> waiting = new ArrayDeque<>();
  private @Nullable Connection current;
  private boolean dialing;
  private boolean closed;
  private @Nullable ForebayException lastFailure;
  private long retryAtNanos;

  Lane(TcpNetwork network, Env env, Optional<NodeId> expected, String address) {
    this.network = network;
    this.env = env;
    this.expected = expected;
    this.address = address;
  }

  /**
   * Calls exactly one of the two, now or when the dialling has ended, on any thread; neither may
   * block.
   */
  void use(Consumer<Connection> ready, Consumer<ForebayException> failed) {
    Connection usable = null;
    ForebayException failure = null;
    boolean dial = false;
    lock.lock();
    try {
      if (closed) {
        failure = unreachable("the connection to " + this + " was closed");
      } else if (current != null && !dialing) {
        usable = current;
      } else if (dialing) {
        if (waiting.size() >= MAX_WAITING) {
          failure =
              new ForebayException(
                  ErrorCode.BUSY, MAX_WAITING + " calls wait for the connection to " + this);
        } else {
          waiting.add(new Waiting(ready, failed));
        }
      } else if (lastFailure != null && env.nanoTime() < retryAtNanos) {
        failure = lastFailure;
      } else {
        dialing = true;
        dial = true;
        waiting.add(new Waiting(ready, failed));
      }
    } finally {
      lock.unlock();
    }
    if (usable != null) {
      ready.accept(usable);
    } else if (failure != null) {
      failed.accept(failure);
    } else if (dial) {
      // Looking a name up may block.
      env.spawn("dial " + address, () -> network.dial(address, expected, this));
    }
  }

  /** The connection's handshake is done. */
  void opened(Connection connection) {
    var served = new ArrayDeque<Waiting>();
    boolean tooLate;
    lock.lock();
    try {
      tooLate = closed;
      if (!tooLate) {
        current = connection;
        dialing = false;
        lastFailure = null;
        served.addAll(waiting);
        waiting.clear();
      }
    } finally {
      lock.unlock();
    }
    if (tooLate) {
      connection.close(unreachable("the address of " + this + " is no longer in use"));
    }
    served.forEach(each -> each.ready().accept(connection));
  }

  /** The dialling failed. */
  void failed(ForebayException failure) {
    var refused = new ArrayDeque<Waiting>();
    lock.lock();
    try {
      dialing = false;
      current = null;
      lastFailure = failure;
      retryAtNanos = env.nanoTime() + BACK_OFF_NANOS;
      refused.addAll(waiting);
      waiting.clear();
    } finally {
      lock.unlock();
    }
    refused.forEach(each -> each.failed().accept(failure));
  }

  /** An open connection has ended. */
  void lost(Connection connection) {
    lock.lock();
    try {
      if (connection.equals(current)) {
        current = null;
      }
    } finally {
      lock.unlock();
    }
  }

  void close(String why) {
    Connection open;
    var refused = new ArrayDeque<Waiting>();
    lock.lock();
    try {
      closed = true;
      open = current;
      current = null;
      refused.addAll(waiting);
      waiting.clear();
    } finally {
      lock.unlock();
    }
    ForebayException failure = unreachable(why);
    if (open != null) {
      open.close(failure);
    }
    refused.forEach(each -> each.failed().accept(failure));
  }

  private static ForebayException unreachable(String why) {
    return new ForebayException(ErrorCode.PEER_UNREACHABLE, why);
  }

  @Override
  public String toString() {
    return expected.map(node -> "node " + node + " at " + address).orElse(address);
  }
}
