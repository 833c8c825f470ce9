package io.forebay.transport.relay;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.Network;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The writer's end of an upload, the same for every network: credit to wait for, a deadline, and a
 * {@link RelayHop} that stores the first copy here if the chain begins here.
 */
public final class ChainUpload implements ChunkUpload {
  // No receiver's window is larger; what it grants beyond is left unused.
  private static final int MAX_WINDOW_SLICES = 1024;

  private final ChunkPut put;
  private final RelayHop hop;
  private final Permits credit;
  private final Outcome<ChunkAck> result;
  private Env.@Nullable Timer deadline;

  // Written by the hop's events.
  private volatile boolean ended;
  private volatile int acknowledged;
  private volatile List<Integer> progress;
  private volatile ChunkAck known;
  private int granted;

  private ChainUpload(
      Env env,
      NodeId self,
      ChunkPut put,
      Optional<ChunkReceiver> receiver,
      Dialer dialer,
      int windowSlices) {
    this.put = put;
    this.result = new Outcome<>(env);
    this.progress = Collections.nCopies(put.chain().size(), 0);
    this.known =
        new ChunkAck(
            put.chain().stream()
                .map(hop -> HopAck.unreached(hop.volume(), "nothing was heard of it yet"))
                .toList());
    this.credit = new Permits(env, MAX_WINDOW_SLICES);
    credit.tryAcquire(MAX_WINDOW_SLICES);
    this.hop = new RelayHop(env, self, put, receiver, dialer, new Writer(), windowSlices);
  }

  /**
   * Starts an upload.
   *
   * @param receiver this node's, for a chain that begins here
   * @param deadlineNanos monotonic; the upload is over by then
   */
  public static ChainUpload start(
      Env env,
      NodeId self,
      ChunkPut put,
      ChunkReceiver receiver,
      Dialer dialer,
      int windowSlices,
      long deadlineNanos) {
    Optional<ChunkReceiver> here =
        put.chain().get(0).node().equals(self) ? Optional.of(receiver) : Optional.empty();
    var upload = new ChainUpload(env, self, put, here, dialer, windowSlices);
    upload.begin(env, deadlineNanos);
    return upload;
  }

  private void begin(Env env, long deadlineNanos) {
    hop.handle(() ->
        deadline =
            env.schedule(
                Math.max(0, deadlineNanos - env.nanoTime()), () -> hop.handle(this::expire)));
    hop.begin();
  }

  @Override
  public boolean write(Bytes slice, int crc32c, long deadlineNanos) {
    if (slice.length() < 1 || slice.length() > Network.MAX_PAYLOAD_BYTES) {
      throw new IllegalArgumentException("a slice of " + slice.length() + " bytes");
    }
    if (ended || !credit.acquire(1, deadlineNanos) || ended) {
      return false;
    }
    hop.slice(slice.retain(), crc32c);
    return true;
  }

  @Override
  public boolean ended() {
    return ended;
  }

  @Override
  public Outcome<ChunkAck> finish(int lengthBytes, int crc32c) {
    hop.finish(lengthBytes, crc32c);
    return result;
  }

  @Override
  public long acknowledgedBytes() {
    return acknowledged;
  }

  @Override
  public List<Integer> progressBytes() {
    return progress;
  }

  @Override
  public ChunkAck acknowledgedSoFar() {
    return known;
  }

  @Override
  public void abort(String why) {
    hop.handle(() -> {
      if (!ended) {
        giveUp(why);
        result.fail(
            new ForebayException(
                ErrorCode.CANCELLED, "upload of chunk " + put.id() + " was aborted: " + why));
      }
    });
  }

  private void expire() {
    if (!ended) {
      known =
          new ChunkAck(
              hop.soFar().hops().stream()
                  .map(ack ->
                      ack.status() == HopAck.Status.UNREACHED
                          ? HopAck.unreached(ack.volume(), "no word by the deadline")
                          : ack)
                  .toList());
      ChunkAck last = known;
      giveUp("the writer's deadline passed");
      result.complete(last);
    }
  }

  private void giveUp(String why) {
    hop.abort(why);
    end();
  }

  private void end() {
    ended = true;
    if (deadline != null) {
      deadline.cancel();
    }
    if (credit.available() == 0) {
      credit.release(1); // wakes the writer, who finds that it has ended
    }
  }

  private final class Writer implements Relay.Upstream {
    @Override
    public void credit(int grantedSlices, int creditedBytes, List<Integer> progressBytes) {
      if (ended) {
        return;
      }
      acknowledged = creditedBytes;
      progress = progressBytes;
      if (grantedSlices > granted) {
        int more = grantedSlices - granted;
        granted = grantedSlices;
        credit.release(more);
      }
    }

    @Override
    public void acknowledge(ChunkAck ack, boolean last) {
      if (ended) {
        return;
      }
      known = ack;
      if (last) {
        end();
        result.complete(ack);
      }
    }
  }
}
