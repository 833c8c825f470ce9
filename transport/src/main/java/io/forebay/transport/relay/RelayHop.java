package io.forebay.transport.relay;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.Admission;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.LocalSink;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * One hop of one upload at work: a {@link Relay}, fed with one event at a time, with the receiver's
 * sink on one side and the dialer's next hop on the other. Events come from any thread; whoever
 * brings one handles those that others bring meanwhile, so no thread ever waits for another.
 */
public final class RelayHop {
  private final Env env;
  private final NodeId from;
  private final ChunkPut put;
  private final Optional<ChunkReceiver> receiver;
  private final Dialer dialer;
  private final Relay relay;

  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Runnable> events = new ArrayDeque<>(); // guarded by lock
  private boolean handling; // guarded by lock

  // Touched by events only.
  private @Nullable LocalSink sink;
  private @Nullable Outgoing outgoing;

  /**
   * @param from who sends the chunk
   * @param receiver present when {@code put.chain().get(0)} is this node
   * @param windowSlices how many slices may be held at once
   */
  public RelayHop(
      Env env,
      NodeId from,
      ChunkPut put,
      Optional<ChunkReceiver> receiver,
      Dialer dialer,
      Relay.Upstream upstream,
      int windowSlices) {
    this.env = env;
    this.from = from;
    this.put = put;
    this.receiver = receiver;
    this.dialer = dialer;
    this.relay =
        new Relay(
            put,
            receiver.isPresent(),
            windowSlices,
            new SinkEffects(),
            new NextEffects(),
            upstream);
  }

  /** Grants the window and asks the receiver. Called once, first. */
  public void begin() {
    handle(relay::begin);
    receiver.ifPresent(asked -> env.spawn("admit " + put.id(), () -> admit(asked)));
  }

  /** The next slice, verified; its reference passes to this hop. */
  public void slice(Bytes slice, int crc32c) {
    handle(() -> {
      try {
        relay.slice(slice, crc32c);
      } finally {
        slice.release();
      }
    });
  }

  /** The sender has sent everything. */
  public void finish(int lengthBytes, int crc32c) {
    handle(() -> relay.finish(lengthBytes, crc32c));
  }

  /** The sender gives up or is gone. */
  public void abort(String why) {
    handle(() -> relay.abort(why));
  }

  /** What is known of the hops; to be called from within {@link #handle}. */
  ChunkAck soFar() {
    return relay.soFar();
  }

  /** Runs an event after those before it, now or on the thread that is handling one. */
  void handle(Runnable event) {
    lock.lock();
    try {
      events.add(event);
      if (handling) {
        return;
      }
      handling = true;
    } finally {
      lock.unlock();
    }
    for (Runnable next = nextEvent(); next != null; next = nextEvent()) {
      run(next);
    }
  }

  private void run(Runnable event) {
    boolean returned = false;
    try {
      event.run();
      returned = true;
    } finally {
      if (!returned) {
        stopHandling(); // a bug of ours escapes; later events are still handled
      }
    }
  }

  private void stopHandling() {
    lock.lock();
    try {
      handling = false;
    } finally {
      lock.unlock();
    }
  }

  private @Nullable Runnable nextEvent() {
    lock.lock();
    try {
      Runnable next = events.poll();
      handling = next != null;
      return next;
    } finally {
      lock.unlock();
    }
  }

  private void admit(ChunkReceiver asked) {
    Admission admission;
    try {
      admission = asked.admit(from, put);
    } catch (RuntimeException failure) {
      admission = new Admission.Refuse(ack(HopAck.Status.REFUSED, failure));
    }
    Admission answer = admission;
    handle(() -> {
      switch (answer) {
        case Admission.Accept accept -> {
          sink = accept.sink();
          relay.admitted();
        }
        case Admission.Refuse refuse -> relay.refused(refuse.ack());
      }
    });
  }

  private HopAck ack(HopAck.Status status, RuntimeException failure) {
    return new HopAck(put.chain().get(0).volume(), status, Optional.empty(), describe(failure));
  }

  private static String describe(Throwable failure) {
    return failure instanceof ForebayException known
        ? known.code() + ": " + known.getMessage()
        : failure.toString();
  }

  private LocalSink requireSink() {
    if (sink == null) {
      throw new IllegalStateException("nothing was admitted");
    }
    return sink;
  }

  private final class SinkEffects implements Relay.Local {
    @Override
    public void write(int index, int offset, Bytes slice, int crc32c) {
      Outcome<Void> written;
      try {
        written = requireSink().write(offset, slice, crc32c);
      } catch (RuntimeException failure) {
        written = Outcome.failed(env, failure);
      }
      written.whenDone(
          done -> handle(() -> relay.localWritten(index, done.failure().map(RelayHop::describe))));
    }

    @Override
    public void commit(int lengthBytes, int crc32c) {
      LocalSink target = requireSink();
      env.spawn(
          "commit " + put.id(),
          () -> {
            HopAck ack;
            try {
              ack = target.commit(lengthBytes, crc32c);
            } catch (RuntimeException failure) {
              ack = ack(HopAck.Status.FAILED, failure);
            }
            HopAck answer = ack;
            handle(() -> relay.localCommitted(answer));
          });
    }

    @Override
    public void abort() {
      requireSink().abort();
    }
  }

  private final class NextEffects implements Relay.Next {
    @Override
    public void open() {
      ChunkPut rest = receiver.isPresent() ? put.afterFirst() : put;
      outgoing =
          dialer.open(
              rest,
              new Outgoing.Events() {
                @Override
                public void credit(int granted, int credited, List<Integer> progressBytes) {
                  handle(() -> relay.nextCredit(granted, credited, progressBytes));
                }

                @Override
                public void sent(int index) {
                  handle(() -> relay.nextSent(index));
                }

                @Override
                public void acknowledge(ChunkAck ack, boolean last) {
                  handle(() -> relay.nextAcknowledged(ack, last));
                }

                @Override
                public void broken(String why) {
                  handle(() -> relay.nextBroken(why));
                }
              });
    }

    @Override
    public void send(int index, int offset, Bytes slice, int crc32c) {
      requireOutgoing().send(index, offset, slice, crc32c);
    }

    @Override
    public void finish(int lengthBytes, int crc32c) {
      requireOutgoing().finish(lengthBytes, crc32c);
    }

    @Override
    public void abort(String why) {
      requireOutgoing().abort(why);
    }

    private Outgoing requireOutgoing() {
      if (outgoing == null) {
        throw new IllegalStateException("the next hop was not opened");
      }
      return outgoing;
    }
  }
}
