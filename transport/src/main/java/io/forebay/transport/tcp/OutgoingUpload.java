package io.forebay.transport.tcp;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.error.ForebayException;
import io.forebay.core.net.ChunkPut;
import io.forebay.transport.frame.FrameBody;
import io.forebay.transport.frame.FrameHeader;
import io.forebay.transport.frame.FrameType;
import io.forebay.transport.relay.Outgoing;
import java.util.ArrayDeque;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** An upload on its way out on one connection, or waiting for it to be dialled. */
final class OutgoingUpload implements Outgoing {
  private final byte[] head;
  private final Outgoing.Events events;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Consumer<@Nullable Connection>> early = // guarded by lock
      new ArrayDeque<>();
  private @Nullable Connection connection; // guarded by lock
  private boolean settled; // guarded by lock

  // On the connection's loop only.
  private long stream;
  private boolean over;

  OutgoingUpload(ChunkPut put, Outgoing.Events events) {
    this.head = Connection.PUTS.encode(put);
    this.events = events;
  }

  void dial(Lane lane) {
    lane.use(
        ready ->
            ready.run(
                () -> {
                  stream = ready.register(this);
                  if (stream != 0) {
                    ready.write(FrameType.OPEN, 0, stream, head);
                  } else {
                    over = true;
                  }
                  settle(ready);
                },
                () -> lost("the connection is closed")),
        this::unreachable);
  }

  private void unreachable(ForebayException failure) {
    lost(String.valueOf(failure.getMessage()));
  }

  /** There is no way to the peer. */
  void lost(String why) {
    settle(null);
    events.broken(why);
  }

  private void settle(@Nullable Connection found) {
    lock.lock();
    try {
      connection = found;
      settled = true;
      early.forEach(action -> action.accept(found));
      early.clear();
    } finally {
      lock.unlock();
    }
  }

  /** Acts when it is known whether there is a connection; null stands for none. */
  private void act(Consumer<@Nullable Connection> action) {
    Connection found;
    lock.lock();
    try {
      if (!settled) {
        early.add(action);
        return;
      }
      found = connection;
    } finally {
      lock.unlock();
    }
    action.accept(found);
  }

  @Override
  public void send(int index, int offset, Bytes slice, int crc32c) {
    slice.retain();
    Runnable done =
        () -> {
          slice.release();
          events.sent(index);
        };
    act(at -> {
      if (at == null) {
        done.run();
        return;
      }
      at.queue(
          () -> {
            if (over) {
              done.run();
            } else {
              at.write(
                  FrameType.SLICE,
                  stream,
                  new FrameBody.Slice(offset).encode(),
                  slice,
                  crc32c,
                  done);
            }
          },
          done);
    });
  }

  @Override
  public void finish(int lengthBytes, int crc32c) {
    tell(FrameType.FINISH, new FrameBody.Finish(lengthBytes, crc32c).encode(), false);
  }

  @Override
  public void abort(String why) {
    tell(FrameType.ABORT, new FrameBody.Abort(why).encode(), true);
  }

  private void tell(FrameType type, byte[] body, boolean end) {
    act(at -> {
      if (at != null) {
        at.queue(
            () -> {
              if (!over) {
                at.write(type, 0, stream, body);
                if (end) {
                  over = true;
                  at.forget(stream);
                }
              }
            },
            () -> {});
      }
    });
  }

  /** A CREDIT frame; on the loop. */
  void credited(FrameBody.Credit credit) {
    events.credit(credit.grantedSlices(), credit.creditedBytes(), credit.progressBytes());
  }

  /** An ACK frame; on the loop. */
  void acknowledged(FrameHeader header, byte[] body) {
    over |= header.last();
    events.acknowledge(Connection.ACKS.decode(body), header.last());
  }

  /** The connection has ended; on the loop. */
  void broken(String why) {
    over = true;
    events.broken(why);
  }
}
