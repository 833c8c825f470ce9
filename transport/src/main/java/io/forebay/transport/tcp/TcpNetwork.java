package io.forebay.transport.tcp;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.Admission;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.FileMessage;
import io.forebay.core.net.FlushMessage;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.transport.frame.FrameBody;
import io.forebay.transport.relay.ChainUpload;
import io.forebay.transport.relay.Outgoing;
import io.forebay.transport.relay.Relay;
import io.forebay.transport.relay.RelayHop;
import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.net.InetSocketAddress;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The {@link Network} over TCP. Connections are dialled when they are needed; each begins with a
 * mutual proof of the cluster's secret; what is said afterwards is neither encrypted nor
 * authenticated frame by frame.
 */
public final class TcpNetwork implements Network, AutoCloseable {
  /** How long an accepted peer may take to authenticate itself. */
  static final long HELLO_NANOS = 5_000_000_000L;

  private static final Logger LOG = LoggerFactory.getLogger(TcpNetwork.class);
  private static final int DIAL_MILLIS = 1000;
  private static final long TICK_NANOS = 250_000_000L;
  private static final long JOIN_NANOS = 3_000_000_000L;
  private static final int MAX_UNTRUSTED = 1024;
  private static final long SLICE_BYTES_ASSUMED = 128 << 10;
  private static final WriteBufferWaterMark WATER_MARK = new WriteBufferWaterMark(1 << 20, 4 << 20);

  private final Env env;
  private final NodeId self;
  private final Supplier<String> clusterId;
  private final TcpSettings settings;
  private final SlabPool uploadPool;
  private final SlabPool callPool;
  private final UploadBudget budget;
  private final SecureRandom nonces = new SecureRandom();
  private final MultiThreadIoEventLoopGroup loops;
  private final boolean epoll = Epoll.isAvailable();
  private final Set<Connection> connections = ConcurrentHashMap.newKeySet();
  private final Set<Thread> handling = ConcurrentHashMap.newKeySet();
  private final Set<Thread> dialling = ConcurrentHashMap.newKeySet();
  private final Set<ChannelFuture> dials = ConcurrentHashMap.newKeySet();
  private final AtomicInteger untrusted = new AtomicInteger();
  private final AtomicLong refused = new AtomicLong();
  private volatile String lastRefusal = "";
  private volatile CallHandler calls =
      (from, message, payload) -> {
        throw new ForebayException(ErrorCode.UNAVAILABLE, "this end answers no calls (yet)");
      };
  private volatile ChunkReceiver chunks =
      (from, put) ->
          new Admission.Refuse(
              new HopAck(
                  put.chain().get(0).volume(),
                  HopAck.Status.REFUSED,
                  Optional.empty(),
                  "this end takes no chunks (yet)"));
  private volatile boolean closed;
  private @Nullable Channel listening;

  private final ReentrantLock lock = new ReentrantLock();
  private final TreeMap<NodeId, Peer> peers = new TreeMap<>(); // guarded by lock

  /** What a network is doing, for the status page. */
  public record Status(
      int connections, long refusedPeers, String lastRefusal, long freeSlabs, int runningCalls) {}

  private TcpNetwork(Env env, NodeId self, Supplier<String> clusterId, TcpSettings settings) {
    this.env = env;
    this.self = self;
    this.clusterId = clusterId;
    this.settings = settings;
    this.uploadPool = new SlabPool(env, settings.slabBytes(), settings.uploadSlabs());
    this.callPool = new SlabPool(env, settings.slabBytes(), settings.callSlabs());
    this.budget = new UploadBudget(settings.uploadSlabs(), settings.windowSlices());
    IoHandlerFactory handlers = epoll ? EpollIoHandler.newFactory() : NioIoHandler.newFactory();
    this.loops =
        new MultiThreadIoEventLoopGroup(
            settings.eventLoops(),
            new DefaultThreadFactory("forebay-net-" + self.name(), true),
            handlers);
  }

  /**
   * Starts a network, and listens if the settings say so. Calls are answered only after {@link
   * #serve}.
   *
   * @param clusterId asked at each handshake; empty before the cluster has been named
   * @throws ForebayException CONFIGURATION when the address cannot be listened on
   */
  public static TcpNetwork start(
      Env env, NodeId self, Supplier<String> clusterId, TcpSettings settings) {
    var network = new TcpNetwork(env, self, clusterId, settings);
    try {
      settings.listen().ifPresent(network::listen);
    } catch (RuntimeException failure) {
      network.close();
      throw failure;
    }
    network.scheduleTick();
    return network;
  }

  private void listen(String hostPort) {
    var bootstrap = new ServerBootstrap();
    Class<? extends ServerChannel> type =
        epoll ? EpollServerSocketChannel.class : NioServerSocketChannel.class;
    bootstrap
        .group(loops)
        .channel(type)
        .option(ChannelOption.SO_BACKLOG, 1024)
        .option(ChannelOption.SO_REUSEADDR, true)
        .childOption(ChannelOption.TCP_NODELAY, true)
        .childOption(ChannelOption.SO_KEEPALIVE, true)
        .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, WATER_MARK)
        .childHandler(
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {
                if (closed || untrusted.get() >= MAX_UNTRUSTED) {
                  channel.unsafe().closeForcibly();
                } else {
                  attach(channel, Optional.empty(), null);
                }
              }
            });
    var bound = bootstrap.bind(resolve(hostPort)).awaitUninterruptibly();
    if (!bound.isSuccess()) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the transport cannot listen on "
              + hostPort
              + " ("
              + bound.cause().getMessage()
              + "): choose another address or port, or end what listens there",
          bound.cause());
    }
    listening = bound.channel();
  }

  private void attach(Channel channel, Optional<NodeId> expected, @Nullable Lane lane) {
    byte[] nonce = new byte[FrameBody.Hello.SECRET_BYTES];
    nonces.nextBytes(nonce);
    var handshake =
        new Handshake(
            lane != null,
            settings.versions(),
            settings.secret(),
            clusterId.get(),
            self,
            settings.listen().isEmpty(),
            expected,
            nonce);
    var connection = new Connection(this, channel, handshake, lane);
    channel.config().setRecvByteBufAllocator(new DirectReceive(connection::destination));
    channel.pipeline().addLast(connection);
  }

  /** The port that is listened on; 0 when none is. */
  public int port() {
    Channel channel = listening;
    return channel != null && channel.localAddress() instanceof InetSocketAddress address
        ? address.getPort()
        : 0;
  }

  /** What this network is doing. */
  public Status status() {
    return new Status(
        connections.size(),
        refused.get(),
        lastRefusal,
        uploadPool.available() + callPool.available(),
        handling.size());
  }

  @Override
  public NodeId self() {
    return self;
  }

  @Override
  public void serve(CallHandler callHandler, ChunkReceiver chunkReceiver) {
    calls = callHandler;
    chunks = chunkReceiver;
  }

  @Override
  public void addresses(Map<NodeId, String> hostPorts) {
    var gone = new TreeMap<NodeId, Peer>();
    lock.lock();
    try {
      for (var entry : List.copyOf(peers.entrySet())) {
        if (!entry.getValue().address.equals(hostPorts.get(entry.getKey()))) {
          gone.put(entry.getKey(), entry.getValue());
          peers.remove(entry.getKey());
        }
      }
      hostPorts.forEach((node, address) ->
          peers.computeIfAbsent(node, id -> new Peer(this, env, id, address, settings)));
    } finally {
      lock.unlock();
    }
    gone.forEach((node, peer) -> peer.close("node " + node + " is no longer at " + peer.address));
  }

  /**
   * Asks who answers at an address, and remembers it in the address book; for a client that knows
   * an address only. Blocks.
   *
   * @throws ForebayException PEER_UNREACHABLE, TIMEOUT, or what the handshake refused
   */
  public NodeId learn(String hostPort, long timeoutNanos) {
    var found = new Outcome<NodeId>(env);
    var lane = new Lane(this, env, Optional.empty(), hostPort);
    lane.use(ready -> found.complete(ready.peerNode()), found::fail);
    try {
      NodeId node = found.await(timeoutNanos, "asking " + hostPort + " for its name");
      lock.lock();
      try {
        peers.computeIfAbsent(node, id -> new Peer(this, env, id, hostPort, settings));
      } finally {
        lock.unlock();
      }
      return node;
    } finally {
      lane.close("only the name was wanted");
    }
  }

  private Optional<Peer> peer(NodeId node) {
    lock.lock();
    try {
      return Optional.ofNullable(peers.get(node));
    } finally {
      lock.unlock();
    }
  }

  @Override
  public Outcome<Reply> call(
      NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
    var outcome = new Outcome<Reply>(env);
    if (payload.isPresent() && payload.get().length() > MAX_PAYLOAD_BYTES) {
      throw new IllegalArgumentException("a payload of " + payload.get().length() + " bytes");
    }
    Optional<Peer> peer = peer(to);
    boolean here = to.equals(self);
    if (closed || (!here && peer.isEmpty())) {
      outcome.fail(
          new ForebayException(
              ErrorCode.PEER_UNREACHABLE,
              closed ? "this network is closed" : "no address of node " + to + " is known"));
      return outcome;
    }
    byte[] encoded = here ? new byte[0] : Connection.MESSAGES.encode(message);
    if (encoded.length > MAX_MESSAGE_BYTES) {
      outcome.fail(
          new ForebayException(
              ErrorCode.ENTITY_TOO_LARGE,
              "a message of "
                  + encoded.length
                  + " bytes; at most "
                  + MAX_MESSAGE_BYTES
                  + " can be sent"));
      return outcome;
    }
    int crc = here ? 0 : PendingCall.crcOf(message, payload);
    payload.ifPresent(Bytes::retain);
    var call = new PendingCall(encoded, payload, crc, outcome);
    call.expireWith(
        env.schedule(
            Math.max(0, timeoutNanos),
            () ->
                call.fail(
                    new ForebayException(
                        ErrorCode.TIMEOUT,
                        "node "
                            + to
                            + " did not answer "
                            + message.getClass().getSimpleName()
                            + " within "
                            + timeoutNanos / 1_000_000
                            + " ms"))));
    if (here) {
      answer(self, () -> message, payload, call::complete, call::fail);
      return outcome;
    }
    lane(peer.orElseThrow(), message, payload)
        .use(
            ready ->
                ready.run(
                    () -> ready.ask(call),
                    () -> {
                      call.fail(
                          new ForebayException(
                              ErrorCode.PEER_UNREACHABLE, "this network is closed"));
                      call.releasePayload();
                    }),
            failure -> {
              call.fail(failure);
              call.releasePayload();
            });
    return outcome;
  }

  private static Lane lane(Peer peer, Message message, Optional<Bytes> payload) {
    if (payload.isPresent()) {
      return peer.forData();
    }
    return switch (message) {
      case ControlMessage.Heartbeat beat -> peer.forBeats();
      case ControlMessage control -> peer.forCalls();
      case DataMessage.ChunkRead read -> peer.forData();
      case DataMessage data -> peer.forCalls();
      case FileMessage file -> peer.forData();
      case FlushMessage flush -> peer.forCalls();
    };
  }

  @Override
  public ChunkUpload upload(ChunkPut put, long deadlineNanos) {
    return ChainUpload.start(
        env, self, put, chunks, this::open, settings.windowSlices(), deadlineNanos);
  }

  private Outgoing open(ChunkPut put, Outgoing.Events events) {
    var upload = new OutgoingUpload(put, events);
    NodeId to = put.chain().get(0).node();
    Optional<Peer> peer = closed ? Optional.empty() : peer(to);
    if (peer.isPresent()) {
      upload.dial(peer.get().forUploads());
    } else {
      upload.lost("no address of node " + to + " is known");
    }
    return upload;
  }

  // For lanes and connections.

  Env env() {
    return env;
  }

  SlabPool uploadPool() {
    return uploadPool;
  }

  SlabPool callPool() {
    return callPool;
  }

  void opened(Connection connection) {
    connections.add(connection);
    untrusted.incrementAndGet();
  }

  void trusted(Connection connection) {
    untrusted.decrementAndGet();
  }

  void closed(Connection connection, Optional<ForebayException> refusal) {
    if (connections.remove(connection) && !connection.trusted()) {
      untrusted.decrementAndGet();
    }
    refusal.ifPresent(why -> {
      refused.incrementAndGet();
      lastRefusal = why.code() + ": " + why.getMessage();
      if (!closed) {
        LOG.warn("peer-refused code={} why=\"{}\"", why.code(), why.getMessage());
      }
    });
  }

  /** Connects; blocks while a name is looked up. */
  void dial(String address, Optional<NodeId> expected, Lane lane) {
    Thread thread = Thread.currentThread();
    dialling.add(thread);
    try {
      if (closed) {
        throw new ForebayException(ErrorCode.PEER_UNREACHABLE, "this network is closed");
      }
      ChannelFuture dial = connect(resolve(address), expected, lane);
      dials.add(dial);
      dial.addListener(connected -> {
        dials.remove(dial);
        if (!connected.isSuccess()) {
          lane.failed(unreachable(lane, connected.cause()));
        }
      });
    } catch (RuntimeException failure) {
      lane.failed(unreachable(lane, failure));
    } finally {
      dialling.remove(thread);
    }
  }

  private ChannelFuture connect(InetSocketAddress address, Optional<NodeId> expected, Lane lane) {
    return new Bootstrap()
        .group(loops)
        .channel(epoll ? EpollSocketChannel.class : NioSocketChannel.class)
        .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, DIAL_MILLIS)
        .option(ChannelOption.TCP_NODELAY, true)
        .option(ChannelOption.SO_KEEPALIVE, true)
        .option(ChannelOption.WRITE_BUFFER_WATER_MARK, WATER_MARK)
        .handler(
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {
                attach(channel, expected, lane);
              }
            })
        .connect(address);
  }

  private static ForebayException unreachable(Lane lane, Throwable cause) {
    return new ForebayException(
        ErrorCode.PEER_UNREACHABLE, "cannot reach " + lane + ": " + cause.getMessage(), cause);
  }

  private static InetSocketAddress resolve(String hostPort) {
    int colon = hostPort.lastIndexOf(':');
    try {
      String host = hostPort.substring(0, colon).replaceAll("^\\[|\\]$", "");
      var address = new InetSocketAddress(host, Integer.parseInt(hostPort.substring(colon + 1)));
      if (!address.isUnresolved()) {
        return address;
      }
    } catch (IndexOutOfBoundsException | IllegalArgumentException malformed) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION, "'" + hostPort + "' is not HOST:PORT", malformed);
    }
    throw new ForebayException(
        ErrorCode.PEER_UNREACHABLE, "the host of '" + hostPort + "' is unknown");
  }

  /** Runs the handler on a virtual thread; calls exactly one of the two from there. */
  void answer(
      NodeId from,
      Supplier<Message> message,
      Optional<Bytes> payload,
      Consumer<Reply> answered,
      Consumer<Throwable> failed) {
    env.spawn(
        "call from " + from,
        () -> {
          Thread thread = Thread.currentThread();
          handling.add(thread);
          try {
            Reply reply;
            try {
              if (closed) {
                throw new ForebayException(ErrorCode.UNAVAILABLE, "node " + self + " is stopping");
              }
              reply = calls.handle(from, message.get(), payload);
            } catch (RuntimeException failure) {
              if (!(failure instanceof ForebayException)) {
                LOG.error("handler-failed from={}", from, failure);
              }
              failed.accept(failure);
              return;
            } finally {
              payload.ifPresent(Bytes::release);
            }
            answered.accept(reply);
          } finally {
            handling.remove(thread);
          }
        });
  }

  UploadBudget.Claim claim(ChunkPut put, Consumer<UploadBudget.Claim> whenGranted) {
    long wanted = (put.maxLengthBytes() + SLICE_BYTES_ASSUMED - 1) / SLICE_BYTES_ASSUMED;
    return budget.claim(
        put.chain().size(), (int) Math.min(settings.windowSlices(), wanted), whenGranted);
  }

  boolean request(UploadBudget.Claim claim) {
    return budget.request(claim);
  }

  void release(UploadBudget.Claim claim) {
    budget.release(claim);
  }

  RelayHop relay(NodeId from, ChunkPut put, UploadBudget.Claim claim, Relay.Upstream upstream) {
    return new RelayHop(env, from, put, Optional.of(chunks), this::open, upstream, claim.slices());
  }

  private void scheduleTick() {
    if (!closed) {
      env.schedule(
          TICK_NANOS,
          () -> {
            connections.forEach(Connection::tick);
            scheduleTick();
          });
    }
  }

  /**
   * Ends everything: what is under way fails, handlers are interrupted and awaited. Blocks for a
   * few seconds at most. Idempotent.
   */
  @Override
  public void close() {
    closed = true;
    Channel server = listening;
    if (server != null) {
      server.close().awaitUninterruptibly();
    }
    TreeMap<NodeId, Peer> known;
    lock.lock();
    try {
      known = new TreeMap<>(peers);
      peers.clear();
    } finally {
      lock.unlock();
    }
    known.values().forEach(peer -> peer.close("this network is closed"));
    var why = new ForebayException(ErrorCode.PEER_UNREACHABLE, "node " + self + " is stopping");
    connections.forEach(connection -> connection.close(why));
    handling.forEach(Thread::interrupt);
    long deadline = env.nanoTime() + JOIN_NANOS;
    join(handling, deadline);
    // What is registered with loops that have ended, or tells them its outcome, is an error to
    // them.
    join(dialling, deadline);
    for (ChannelFuture dial : dials) {
      if (dial.channel().isRegistered()) {
        ChannelFuture _ = dial.channel().close();
      }
      dial.awaitUninterruptibly(Math.max(0, deadline - env.nanoTime()), TimeUnit.NANOSECONDS);
    }
    loops.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(5, TimeUnit.SECONDS);
  }

  private void join(Set<Thread> threads, long deadline) {
    for (Thread thread : threads) {
      try {
        thread.join(Duration.ofNanos(Math.max(0, deadline - env.nanoTime())));
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        break;
      }
    }
  }
}
