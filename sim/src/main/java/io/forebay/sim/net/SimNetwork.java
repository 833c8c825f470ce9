package io.forebay.sim.net;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.sim.world.SimEnv;
import io.forebay.transport.frame.FrameBody;
import io.forebay.transport.frame.FrameType;
import io.forebay.transport.relay.ChainUpload;
import io.forebay.transport.relay.Outgoing;
import io.forebay.transport.relay.Relay;
import io.forebay.transport.relay.RelayHop;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** One process's end of the simulated network; dies with its process. */
public final class SimNetwork implements Network {
  /** How long after a loss a connection is found broken, as by a missing heartbeat. */
  static final long BREAK_NANOS = 3_000_000_000L;

  private static final int WINDOW_SLICES = 8;
  private static final RecordCodec<Message> MESSAGES = RecordCodec.of(Message.class);
  private static final RecordCodec<ChunkPut> PUTS = RecordCodec.of(ChunkPut.class);
  private static final RecordCodec<ChunkAck> ACKS = RecordCodec.of(ChunkAck.class);

  private static void nothing() {}

  /** A call or its answer: stands in line at NICs when it has a payload. */
  private static SimLinks.Frame frame(Message message, int framedBytes, Optional<Bytes> payload) {
    return new SimLinks.Frame(
        message.getClass().getSimpleName(),
        framedBytes,
        payload.map(Bytes::length).orElse(0),
        payload.isPresent());
  }

  /** What has no payload and passes by those that have. */
  private static SimLinks.Frame small(String what, long number) {
    return new SimLinks.Frame(what, number, 0, false);
  }

  private final SimLinks links;
  private final SimEnv env;
  private final NodeId self;
  private final List<Stream> streams = new ArrayList<>();
  private @Nullable CallHandler calls;
  private @Nullable ChunkReceiver chunks;

  public SimNetwork(SimLinks links, SimEnv env, NodeId self) {
    this.links = links;
    this.env = env;
    this.self = self;
    links.attach(this);
  }

  SimEnv env() {
    return env;
  }

  /** Breaks the connections of a process that was just killed: the other ends notice. */
  public void broken() {
    for (Stream stream : List.copyOf(streams)) {
      stream.lose("the connection to " + self + " broke");
    }
    streams.clear();
  }

  @Override
  public NodeId self() {
    return self;
  }

  @Override
  public void serve(CallHandler handler, ChunkReceiver receiver) {
    env.checkAlive();
    calls = handler;
    chunks = receiver;
  }

  @Override
  public void addresses(Map<NodeId, String> hostPorts) {
    env.checkAlive();
  }

  @Override
  public Outcome<Reply> call(
      NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
    env.checkAlive();
    var outcome = new Outcome<Reply>(env);
    Optional<SimNetwork> target = links.end(to);
    if (target.isEmpty()) {
      outcome.fail(unreachable(to));
      return outcome;
    }
    Env.Timer timer =
        env.schedule(
            Math.max(0, timeoutNanos),
            () ->
                outcome.fail(
                    new ForebayException(
                        ErrorCode.TIMEOUT,
                        "node " + to + " did not answer " + message.getClass().getSimpleName())));
    outcome.whenDone(_ -> timer.cancel());
    byte[] encoded = links.frames().frame(FrameType.CALL, MESSAGES.encode(message), payload);
    payload.ifPresent(Bytes::retain);
    SimNetwork peer = target.get();
    Runnable gone =
        () -> {
          payload.ifPresent(Bytes::release);
          outcome.fail(unreachable(to));
        };
    links.send(
        this,
        peer,
        frame(message, encoded.length, payload),
        () -> peer.answer(this, encoded, payload, outcome),
        gone,
        gone);
    return outcome;
  }

  private void answer(
      SimNetwork from, byte[] encoded, Optional<Bytes> payload, Outcome<Reply> outcome) {
    env.spawn(
        "call",
        () -> {
          Message request = MESSAGES.decode(links.frames().body(encoded));
          try {
            CallHandler handler = calls;
            if (handler == null) {
              throw new ForebayException(ErrorCode.UNAVAILABLE, "node " + self + " is not serving");
            }
            Reply reply = handler.handle(from.self, request, payload);
            env.checkAlive();
            links.observer().answered(self, request, reply.message());
            byte[] back =
                links
                    .frames()
                    .frame(FrameType.REPLY, MESSAGES.encode(reply.message()), reply.payload());
            Runnable drop =
                () -> {
                  reply.release();
                };
            links.send(
                this,
                from,
                frame(reply.message(), back.length, reply.payload()),
                () -> {
                  Message heard = MESSAGES.decode(links.frames().body(back));
                  if (!outcome.complete(new Reply(heard, reply.payload()))) {
                    reply.release();
                  }
                },
                drop,
                drop);
          } catch (RuntimeException failure) {
            env.checkAlive();
            links.observer().failed(self, request, failure);
            FrameBody.Fault fault = FrameBody.Fault.of(failure);
            byte[] said = SimFrames.frame(FrameType.ERROR, fault.encode());
            links.send(
                this,
                from,
                small(fault.code().name(), 0),
                () -> outcome.fail(FrameBody.Fault.decode(links.frames().body(said)).exception()),
                SimNetwork::nothing,
                SimNetwork::nothing);
          } finally {
            payload.ifPresent(Bytes::release);
          }
        });
  }

  private static ForebayException unreachable(NodeId to) {
    return new ForebayException(ErrorCode.PEER_UNREACHABLE, "node " + to + " is unreachable");
  }

  @Override
  public ChunkUpload upload(ChunkPut put, long deadlineNanos) {
    env.checkAlive();
    ChunkReceiver receiver = chunks;
    if (receiver == null) {
      throw new ForebayException(ErrorCode.UNAVAILABLE, "node " + self + " is not serving");
    }
    return ChainUpload.start(env, self, put, receiver, this::open, WINDOW_SLICES, deadlineNanos);
  }

  private Outgoing open(ChunkPut put, Outgoing.Events events) {
    NodeId to = put.chain().get(0).node();
    Optional<SimNetwork> target = links.end(to);
    if (target.isEmpty()) {
      var stream = new Stream(this, this, events);
      stream.over = true;
      env.schedule(0, () -> events.broken("node " + to + " is unreachable"));
      return stream;
    }
    var stream = new Stream(this, target.get(), events);
    streams.add(stream);
    target.get().streams.add(stream);
    byte[] head = SimFrames.frame(FrameType.OPEN, PUTS.encode(put));
    stream.forward(
        "open",
        put.id().sequence(),
        0,
        () -> target.get().take(stream, PUTS.decode(links.frames().body(head))));
    return stream;
  }

  private void take(Stream stream, ChunkPut put) {
    ChunkReceiver receiver = chunks;
    if (receiver == null) {
      stream.lose("node " + self + " is not serving");
      return;
    }
    var hop =
        new RelayHop(
            env,
            stream.from.self,
            put,
            Optional.of(receiver),
            this::open,
            new Relay.Upstream() {
              @Override
              public void credit(int granted, int credited, List<Integer> progressBytes) {
                byte[] said =
                    SimFrames.frame(
                        FrameType.CREDIT,
                        new FrameBody.Credit(granted, credited, progressBytes).encode());
                stream.back(
                    "credit",
                    granted,
                    () -> {
                      var credit = FrameBody.Credit.decode(links.frames().body(said));
                      stream.events.credit(
                          credit.grantedSlices(), credit.creditedBytes(), credit.progressBytes());
                    });
              }

              @Override
              public void acknowledge(ChunkAck ack, boolean last) {
                byte[] said = SimFrames.frame(FrameType.ACK, ACKS.encode(ack));
                stream.back(
                    "ack",
                    last ? 1 : 0,
                    () -> {
                      if (last) {
                        stream.end();
                      }
                      stream.events.acknowledge(ACKS.decode(links.frames().body(said)), last);
                    });
              }
            },
            WINDOW_SLICES);
    stream.hop = hop;
    hop.begin();
  }

  /** One upload between two processes. */
  private final class Stream implements Outgoing {
    final SimNetwork from;
    final SimNetwork to;
    final Outgoing.Events events;
    @Nullable RelayHop hop;
    boolean over;

    Stream(SimNetwork from, SimNetwork to, Outgoing.Events events) {
      this.from = from;
      this.to = to;
      this.events = events;
    }

    void end() {
      over = true;
      from.streams.remove(this);
      to.streams.remove(this);
    }

    /** Both ends find the connection broken. */
    void lose(String why) {
      if (over) {
        return;
      }
      end();
      from.env.deliver(() -> events.broken(why));
      to.env.deliver(() -> {
        if (hop != null) {
          hop.abort(why);
        }
      });
    }

    /** Returns how many nanoseconds until the last byte has left. */
    long forward(String what, long number, int bytes, Runnable arrive) {
      var frame = new SimLinks.Frame(what, number, bytes, true);
      return links.send(from, to, frame, arrive, () -> lose("lost"), () -> lose("dead"));
    }

    void back(String what, long number, Runnable arrive) {
      if (!over && !to.env.killed()) {
        links.send(
            to,
            from,
            small(what, number),
            () -> {
              if (!over) {
                arrive.run();
              }
            },
            () -> lose("lost"),
            () -> lose("dead"));
      }
    }

    @Override
    public void send(int index, int offset, Bytes slice, int crc32c) {
      slice.retain();
      long leavesNanos = 0;
      if (over) {
        slice.release();
      } else {
        byte[] sent =
            links
                .frames()
                .frame(FrameType.SLICE, new FrameBody.Slice(offset).encode(), Optional.of(slice));
        leavesNanos =
            forward(
                "slice",
                (long) offset << 32 | (crc32c & 0xffffffffL),
                slice.length(),
                () -> {
                  FrameBody.Slice _ = FrameBody.Slice.decode(links.frames().body(sent));
                  if (!over && hop != null) {
                    hop.slice(slice.retain(), crc32c);
                  }
                  slice.release();
                });
      }
      env.schedule(leavesNanos, () -> events.sent(index));
    }

    @Override
    public void finish(int lengthBytes, int crc32c) {
      if (!over) {
        byte[] said =
            SimFrames.frame(FrameType.FINISH, new FrameBody.Finish(lengthBytes, crc32c).encode());
        forward(
            "finish",
            lengthBytes,
            0,
            () -> {
              if (!over && hop != null) {
                var finish = FrameBody.Finish.decode(links.frames().body(said));
                hop.finish(finish.lengthBytes(), finish.crc32c());
              }
            });
      }
    }

    @Override
    public void abort(String why) {
      if (!over) {
        RelayHop behind = hop;
        byte[] said = SimFrames.frame(FrameType.ABORT, new FrameBody.Abort(why).encode());
        end();
        links.send(
            from,
            to,
            new SimLinks.Frame("abort", 0, 0, true),
            () -> {
              RelayHop taken = behind == null ? hop : behind;
              if (taken != null) {
                taken.abort(FrameBody.Abort.decode(links.frames().body(said)).why());
              }
            },
            SimNetwork::nothing,
            SimNetwork::nothing);
      }
    }
  }
}
