package io.forebay.transport.tcp;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPart;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.transport.frame.FrameBody;
import io.forebay.transport.frame.FrameDecoder;
import io.forebay.transport.frame.FrameHeader;
import io.forebay.transport.frame.FrameType;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * One connection. The end that dialled asks (calls, uploads), the end that accepted answers; so a
 * dialler always reads the answers, and an acceptor may stop reading when it has enough to do.
 *
 * <p>Reading stops for three reasons: no buffer is free, as many calls run as may, or the peer does
 * not take what was written to it. An end that has stopped reading says that it lives all the same,
 * since it cannot hear the question.
 */
@SuppressWarnings("FutureReturnValueIgnored") // void promises: failures arrive at exceptionCaught
final class Connection extends ChannelInboundHandlerAdapter implements FrameDecoder.Receiver {
  static final RecordCodec<Message> MESSAGES = RecordCodec.of(Message.class);
  static final RecordCodec<ChunkPut> PUTS = RecordCodec.of(ChunkPut.class);
  static final RecordCodec<ChunkAck> ACKS = RecordCodec.of(ChunkAck.class);

  static final long SILENCE_NANOS = 1_500_000_000L;
  private static final long QUESTION_NANOS = 500_000_000L;

  /** How long a peer may take no byte of what was written to it; a payload has 1 MiB at most. */
  static final long UNTAKEN_NANOS = 20_000_000_000L;

  private static final int MAX_UNTRUSTED_BODY_BYTES = 4 << 10;
  private static final int MAX_RUNNING_CALLS = 256;
  private static final int RESUME_RUNNING_CALLS = 192;
  private static final int MAX_PENDING_CALLS = 4096;
  private static final int MAX_UPLOADS = 1024;

  private static final int NO_SLAB = 1;
  private static final int MANY_CALLS = 2;
  private static final int SLOW_PEER = 4;

  private final TcpNetwork network;
  private final Channel channel;
  private final Handshake handshake;
  private final @Nullable Lane lane;
  private final FrameDecoder decoder = new FrameDecoder(this, MAX_UNTRUSTED_BODY_BYTES);

  // Everything below belongs to the event loop.
  private final Map<Long, PendingCall> calls = new HashMap<>();
  private final Map<Long, OutgoingUpload> outgoing = new HashMap<>();
  private final Map<Long, IncomingUpload> incoming = new HashMap<>();
  private Handshake.@Nullable Peer peer;
  private long lastStream;
  private int runningCalls;
  private int paused;
  private boolean closed;
  private @Nullable Thread slabWaiter;
  private long lastReadNanos;
  private long lastWriteNanos;
  private long lastQuestionNanos;
  private boolean wasOutstanding;
  private int untaken; // payloads that were written, and are not in the socket yet
  private long lastTakenNanos;

  /**
   * @param lane who dialled; null at the accepting end
   */
  Connection(TcpNetwork network, Channel channel, Handshake handshake, @Nullable Lane lane) {
    this.network = network;
    this.channel = channel;
    this.handshake = handshake;
    this.lane = lane;
  }

  /** Where the socket reads to; null when it should not. */
  @Nullable ByteBuffer destination() {
    return closed || paused != 0 ? null : decoder.destination();
  }

  // Life.

  @Override
  public void channelActive(ChannelHandlerContext ctx) {
    lastReadNanos = network.env().nanoTime();
    lastWriteNanos = lastReadNanos;
    network.opened(this);
    if (lane != null) {
      write(FrameType.HELLO, 0, 0, handshake.open().encode());
    }
    long patience = lane != null ? SILENCE_NANOS : TcpNetwork.HELLO_NANOS;
    network
        .env()
        .schedule(
            patience,
            () ->
                run(
                    () -> {
                      if (peer == null) {
                        close(
                            new ForebayException(
                                ErrorCode.PEER_UNREACHABLE,
                                describe()
                                    + " did not complete the handshake within "
                                    + patience / 1_000_000
                                    + " ms"));
                      }
                    },
                    () -> {}));
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    close(new ForebayException(ErrorCode.PEER_UNREACHABLE, describe() + " closed the connection"));
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    close(
        new ForebayException(
            ErrorCode.PEER_UNREACHABLE,
            "the connection to " + describe() + " broke: " + cause.getMessage(),
            cause));
  }

  /** Whether the handshake is done. */
  boolean trusted() {
    return peer != null;
  }

  /** Who is at the other end, once it is trusted. */
  NodeId peerNode() {
    if (peer == null) {
      throw new IllegalStateException("the peer is not known yet");
    }
    return peer.node();
  }

  private String describe() {
    return lane != null
        ? lane.toString()
        : peer != null ? "node " + peer.node() : "a peer at " + channel.remoteAddress();
  }

  /** Runs on the loop; when that is gone, the other instead. */
  void run(Runnable action, Runnable otherwise) {
    if (channel.eventLoop().inEventLoop()) {
      action.run();
      return;
    }
    try {
      channel.eventLoop().execute(action);
    } catch (RejectedExecutionException shutDown) {
      otherwise.run();
    }
  }

  /**
   * Runs on the loop after everything that was queued before, whichever thread calls: what must
   * keep its order goes this way. When the loop is gone, the other runs instead.
   */
  void queue(Runnable action, Runnable otherwise) {
    try {
      channel.eventLoop().execute(action);
    } catch (RejectedExecutionException shutDown) {
      otherwise.run();
    }
  }

  /** Ends the connection; from any thread. Idempotent. */
  void close(ForebayException why) {
    run(() -> end(why), () -> {});
  }

  private void end(ForebayException why) {
    if (closed) {
      return;
    }
    closed = true;
    decoder.close();
    Thread waiter = slabWaiter;
    if (waiter != null) {
      waiter.interrupt();
    }
    String reason = String.valueOf(why.getMessage());
    var failure =
        peer == null
            ? why
            : new ForebayException(
                ErrorCode.PEER_UNREACHABLE, "connection to " + describe() + " lost: " + reason);
    List.copyOf(calls.values()).forEach(call -> call.fail(failure));
    calls.clear();
    List.copyOf(outgoing.values()).forEach(upload -> upload.broken(reason));
    outgoing.clear();
    List.copyOf(incoming.values()).forEach(upload -> upload.abort(reason));
    incoming.clear();
    channel.close();
    network.closed(this, peer == null && lane == null ? Optional.of(why) : Optional.empty());
    if (lane != null) {
      if (peer == null) {
        lane.failed(failure);
      } else {
        lane.lost(this);
      }
    }
  }

  /** Tells the peer why, then ends. */
  private void reject(ForebayException why) {
    if (!closed) {
      ByteBuf frame = encode(FrameType.ERROR, 0, 0, FrameBody.Fault.of(why).encode(), 0, 0);
      channel.writeAndFlush(frame).addListener(ChannelFutureListener.CLOSE);
      end(why);
    }
  }

  /** Called now and then: asks a silent peer whether it lives, and gives a dead one up. */
  void tick() {
    run(this::checkPeer, () -> {});
  }

  private void checkPeer() {
    if (closed || peer == null) {
      return;
    }
    long now = network.env().nanoTime();
    if (untaken > 0 && now - lastTakenNanos > UNTAKEN_NANOS) {
      // Whatever it says: what it does not take lies in buffers that others wait for.
      end(
          new ForebayException(
              ErrorCode.PEER_UNREACHABLE,
              describe()
                  + " took nothing for "
                  + (now - lastTakenNanos) / 1_000_000
                  + " ms of what it is sent"));
      return;
    }
    if (paused != 0) {
      if (now - lastWriteNanos > QUESTION_NANOS) {
        write(FrameType.PING, FrameHeader.LAST, 0, new byte[0]);
      }
      lastReadNanos = now; // not reading, we cannot tell silence
      return;
    }
    boolean outstanding =
        runningCalls > 0 || !calls.isEmpty() || !outgoing.isEmpty() || !incoming.isEmpty();
    if (outstanding && !wasOutstanding) {
      lastReadNanos = Math.max(lastReadNanos, now - QUESTION_NANOS);
    }
    wasOutstanding = outstanding;
    long silence = now - lastReadNanos;
    if (!outstanding || silence <= QUESTION_NANOS) {
      return;
    }
    if (silence > SILENCE_NANOS) {
      end(
          new ForebayException(
              ErrorCode.PEER_UNREACHABLE,
              describe() + " was silent for " + silence / 1_000_000 + " ms"));
    } else if (now - lastQuestionNanos > QUESTION_NANOS) {
      lastQuestionNanos = now;
      write(FrameType.PING, 0, 0, new byte[0]);
    }
  }

  // Reading.

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    ByteBuf buffer = (ByteBuf) message;
    int count = buffer.readableBytes();
    boolean stray = DirectReceive.isStray(buffer);
    buffer.release();
    if (closed) {
      return;
    }
    if (stray) {
      end(
          new ForebayException(
              ErrorCode.PEER_UNREACHABLE, describe() + " shut down while nothing was read"));
      return;
    }
    lastReadNanos = network.env().nanoTime();
    decode(() -> decoder.advance(count));
  }

  private void decode(Runnable step) {
    try {
      step.run();
    } catch (ForebayException fault) {
      reject(fault);
      return;
    }
    Optional<SlabPool> pool = decoder.waitingFor();
    if (pool.isPresent() && slabWaiter == null && !closed) {
      pause(NO_SLAB);
      slabWaiter = network.env().spawn("slab for " + describe(), () -> awaitSlab(pool.get()));
    }
  }

  private void awaitSlab(SlabPool pool) {
    Slab slab;
    try {
      slab = pool.take();
    } catch (ForebayException cancelled) {
      return; // the connection has ended
    }
    run(
        () -> {
          slabWaiter = null;
          if (closed) {
            slab.release();
          } else {
            paused &= ~NO_SLAB;
            decode(() -> decoder.provide(slab));
            resume(0);
          }
        },
        slab::release);
  }

  private void pause(int reason) {
    paused |= reason;
    channel.config().setAutoRead(false);
  }

  private void resume(int reason) {
    paused &= ~reason;
    if (paused == 0 && !closed) {
      decode(decoder::resume);
      if (paused == 0 && !closed) {
        channel.config().setAutoRead(true);
      }
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    // A dialler must go on reading: its peer may wait for that in order to read.
    if (lane == null) {
      if (!channel.isWritable()) {
        pause(SLOW_PEER);
      } else if ((paused & SLOW_PEER) != 0) {
        // Not at once: this may be called from within a frame.
        channel
            .eventLoop()
            .execute(() -> {
              if (channel.isWritable()) {
                resume(SLOW_PEER);
              }
            });
      }
    }
  }

  @Override
  public boolean ready() {
    return paused == 0 && !closed;
  }

  @Override
  public Optional<SlabPool> payloadPool(FrameHeader header) {
    return switch (header.type()) {
      case SLICE -> {
        IncomingUpload upload = incoming.get(header.stream());
        yield upload != null && upload.takesSlices()
            ? Optional.of(network.uploadPool())
            : Optional.empty();
      }
      case REPLY ->
          calls.containsKey(header.stream()) ? Optional.of(network.callPool()) : Optional.empty();
      case CALL -> Optional.of(network.callPool());
      case HELLO, ERROR, OPEN, CREDIT, FINISH, ACK, ABORT, PING -> Optional.empty();
    };
  }

  @Override
  public void frame(FrameHeader header, byte[] body, @Nullable Bytes payload) {
    Handshake.Peer known = peer;
    switch (header.type()) {
      case HELLO -> hello(FrameBody.Hello.decode(body));
      case ERROR -> error(header.stream(), FrameBody.Fault.decode(body));
      case PING -> {
        if (!header.last()) {
          write(FrameType.PING, FrameHeader.LAST, 0, new byte[0]);
        }
      }
      case CALL ->
          call(header.stream(), body, orEmpty(header, payload), requireAcceptor(known, payload));
      case OPEN -> open(header.stream(), body, requireAcceptor(known, null));
      case SLICE -> {
        IncomingUpload upload = incoming.get(header.stream());
        if (payload != null && upload != null) {
          upload.slice(body, payload, header.payloadCrc32c());
        } else if (payload != null) {
          payload.release();
        } else {
          throw new ForebayException(ErrorCode.CORRUPT, "a slice without bytes");
        }
      }
      case FINISH -> {
        IncomingUpload upload = incoming.get(header.stream());
        if (upload != null) {
          upload.finish(FrameBody.Finish.decode(body));
        }
      }
      case ABORT -> {
        IncomingUpload upload = incoming.remove(header.stream());
        if (upload != null) {
          upload.abort(FrameBody.Abort.decode(body).why());
        }
      }
      case REPLY -> reply(header.stream(), body, orEmpty(header, payload));
      case CREDIT -> {
        OutgoingUpload upload = outgoing.get(header.stream());
        if (upload != null) {
          upload.credited(FrameBody.Credit.decode(body));
        }
      }
      case ACK -> {
        OutgoingUpload upload =
            header.last() ? outgoing.remove(header.stream()) : outgoing.get(header.stream());
        if (upload != null) {
          upload.acknowledged(header, body);
        }
      }
    }
  }

  private static @Nullable Bytes orEmpty(FrameHeader header, @Nullable Bytes payload) {
    return payload == null && (header.flags() & FrameHeader.EMPTY) != 0
        ? new Synthetic(0, 0, 0)
        : payload;
  }

  private NodeId requireAcceptor(Handshake.@Nullable Peer known, @Nullable Bytes payload) {
    if (lane != null || known == null) {
      if (payload != null) {
        payload.release();
      }
      throw new ForebayException(ErrorCode.CORRUPT, "the accepting end asks");
    }
    return known.node();
  }

  private void hello(FrameBody.Hello hello) {
    Handshake.Step step = handshake.receive(hello);
    step.answer().ifPresent(answer -> write(FrameType.HELLO, 0, 0, answer.encode()));
    step.done()
        .ifPresent(found -> {
          peer = found;
          decoder.trust(found.version());
          network.trusted(this);
          if (lane != null) {
            lane.opened(this);
          }
        });
  }

  private void error(long stream, FrameBody.Fault fault) {
    if (stream == 0) {
      end(
          new ForebayException(
              fault.code(), describe() + " refuses: " + Handshake.printable(fault.message())));
      return;
    }
    PendingCall call = calls.remove(stream);
    if (call != null) {
      call.fail(fault.exception());
    }
  }

  // Asking.

  /** Sends a call; on the loop. */
  void ask(PendingCall call) {
    if (call.isDone()) {
      call.releasePayload();
      return;
    }
    if (closed || calls.size() >= MAX_PENDING_CALLS) {
      call.fail(
          closed
              ? new ForebayException(
                  ErrorCode.PEER_UNREACHABLE, "the connection to " + describe() + " is closed")
              : new ForebayException(
                  ErrorCode.BUSY, calls.size() + " calls to " + describe() + " are outstanding"));
      call.releasePayload();
      return;
    }
    long stream = ++lastStream;
    calls.put(stream, call);
    call.onSettled(() -> run(() -> calls.remove(stream), () -> {}));
    if (call.payload.isPresent()) {
      write(
          FrameType.CALL,
          stream,
          call.message,
          call.payload.get(),
          call.payloadCrc32c,
          call::releasePayload);
    } else {
      write(FrameType.CALL, 0, stream, call.message);
    }
  }

  private void reply(long stream, byte[] body, @Nullable Bytes payload) {
    PendingCall call = calls.remove(stream);
    if (call == null) {
      if (payload != null) {
        payload.release();
      }
      return;
    }
    Message message;
    try {
      message = MESSAGES.decode(body);
    } catch (ForebayException malformed) {
      if (payload != null) {
        payload.release();
      }
      call.fail(malformed);
      return;
    }
    call.complete(new Reply(message, Optional.ofNullable(payload)));
  }

  /** A number for an upload; 0 when the connection takes none. */
  long register(OutgoingUpload upload) {
    if (closed || outgoing.size() >= MAX_UPLOADS) {
      upload.broken(closed ? "the connection is closed" : "too many uploads on one connection");
      return 0;
    }
    outgoing.put(++lastStream, upload);
    return lastStream;
  }

  void forget(long stream) {
    outgoing.remove(stream);
  }

  // Answering.

  private void call(long stream, byte[] body, @Nullable Bytes payload, NodeId from) {
    if (++runningCalls >= MAX_RUNNING_CALLS) {
      pause(MANY_CALLS);
    }
    network.answer(
        from,
        () -> MESSAGES.decode(body),
        Optional.ofNullable(payload),
        reply -> answer(stream, reply),
        failure -> run(() -> refused(stream, failure), () -> {}));
  }

  /** Encodes and checksums on the handler's thread, sends on the loop. */
  private void answer(long stream, Reply reply) {
    byte[] body;
    try {
      body = MESSAGES.encode(reply.message());
      if (body.length > Network.MAX_MESSAGE_BYTES) {
        throw new ForebayException(
            ErrorCode.ENTITY_TOO_LARGE, "the answer has " + body.length + " bytes");
      }
    } catch (RuntimeException unfit) {
      reply.release();
      run(() -> refused(stream, unfit), () -> {});
      return;
    }
    int crc = PendingCall.crcOf(reply.message(), reply.payload());
    run(() -> answered(stream, body, reply, crc), reply::release);
  }

  private void answered(long stream, byte[] body, Reply reply, int crc32c) {
    if (closed) {
      reply.release();
    } else if (reply.payload().isPresent()) {
      Bytes payload = reply.payload().get();
      write(FrameType.REPLY, stream, body, payload, crc32c, payload::release);
    } else {
      write(FrameType.REPLY, 0, stream, body);
    }
    callEnded();
  }

  private void refused(long stream, Throwable failure) {
    if (!closed) {
      write(FrameType.ERROR, 0, stream, FrameBody.Fault.of(failure).encode());
    }
    callEnded();
  }

  private void callEnded() {
    runningCalls--;
    if ((paused & MANY_CALLS) != 0 && runningCalls <= RESUME_RUNNING_CALLS) {
      channel.eventLoop().execute(() -> resume(MANY_CALLS));
    }
  }

  private void open(long stream, byte[] body, NodeId from) {
    ChunkPut put = PUTS.decode(body);
    var upload = new IncomingUpload(this, stream);
    if (incoming.putIfAbsent(stream, upload) != null) {
      throw new ForebayException(ErrorCode.CORRUPT, "upload " + stream + " is opened twice");
    }
    if (!put.chain().get(0).node().equals(network.self())) {
      refuse(upload, put, "this is node " + network.self());
      return;
    }
    UploadBudget.Claim claim =
        network.claim(
            put,
            granted ->
                run(() -> upload.begin(network.relay(from, put, granted, upload)), () -> {}));
    upload.claimed(claim);
    if (incoming.size() > MAX_UPLOADS || !network.request(claim)) {
      refuse(upload, put, ErrorCode.BUSY + ": too many uploads wait for buffers here");
    }
  }

  private static void refuse(IncomingUpload upload, ChunkPut put, String why) {
    List<HopAck> hops = new ArrayList<>();
    put.chain()
        .forEach(hop ->
            hops.add(
                hops.isEmpty()
                    ? new HopAck(hop.volume(), HopAck.Status.REFUSED, Optional.empty(), why)
                    : HopAck.unreached(hop.volume(), "the hop before refused the chunk")));
    upload.acknowledge(new ChunkAck(hops), true);
  }

  void release(UploadBudget.Claim claim) {
    network.release(claim);
  }

  void ended(long stream) {
    incoming.remove(stream);
  }

  // Writing; on the loop.

  void write(FrameType type, int flags, long stream, byte[] body) {
    ByteBuf frame = encode(type, flags, stream, body, 0, 0);
    lastWriteNanos = network.env().nanoTime();
    channel.writeAndFlush(frame, channel.voidPromise());
  }

  /**
   * Writes a frame with a payload, from where it lies.
   *
   * @param done called once when the payload is needed no more, sent or not
   */
  void write(FrameType type, long stream, byte[] body, Bytes payload, int crc32c, Runnable done) {
    int flags = payload.length() == 0 ? FrameHeader.EMPTY : 0;
    ByteBuf frame = encode(type, flags, stream, body, payload.length(), crc32c);
    lastWriteNanos = network.env().nanoTime();
    channel.write(frame, channel.voidPromise());
    ByteBuf bytes =
        switch (payload) {
          case SlabPart part -> Unpooled.wrappedBuffer(part.buffer());
          case Synthetic computed -> Unpooled.wrappedBuffer(computed.toArray());
        };
    if (untaken++ == 0) {
      lastTakenNanos = lastWriteNanos;
    }
    channel
        .writeAndFlush(bytes)
        .addListener(sent -> {
          untaken--;
          lastTakenNanos = network.env().nanoTime();
          done.run();
        });
  }

  private ByteBuf encode(
      FrameType type, int flags, long stream, byte[] body, int payloadLength, int crc32c) {
    int version = peer == null ? FrameHeader.FIRST_VERSION : peer.version();
    byte[] head = FrameHeader.encode(version, type, flags, stream, body, payloadLength, crc32c);
    return channel.alloc().directBuffer(head.length).writeBytes(head);
  }
}
