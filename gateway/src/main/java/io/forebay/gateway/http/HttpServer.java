package io.forebay.gateway.http;

import io.forebay.core.env.Env;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpRequestDecoder;
import io.netty.handler.codec.http.HttpResponseEncoder;
import io.netty.handler.ssl.SslContext;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.net.InetSocketAddress;
import java.util.Iterator;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import javax.net.ssl.SSLException;

/** An HTTP/1.1 server for one door: listens at one address until it is closed. */
@SuppressWarnings("FutureReturnValueIgnored") // Netty's: failures show in channelInactive
public final class HttpServer implements AutoCloseable {
  /** What an answer may have in flight before its writer waits: two slabs of 1 MiB at most. */
  private static final WriteBufferWaterMark WRITE_MARKS =
      new WriteBufferWaterMark(256 << 10, 1 << 20);

  private static final long DRAIN_NANOS = 5_000_000_000L;

  /** Where all connections are taken: how many are looked at for one that gives way. */
  private static final int LOOK_AT = 64;

  private static final int LOOK_AT_MOST = 1024;

  /** Who has been silent for less does not give way: it may be shaking hands. */
  private static final long GIVE_WAY_NANOS = 1_000_000_000L;

  private final Env env;
  private final HttpServerConfig config;
  private final Permits requests;
  private final Optional<SslContext> tls;
  private final AtomicInteger connections = new AtomicInteger();
  private final ChannelGroup open = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
  private final ReentrantLock handLock = new ReentrantLock();
  private Iterator<Channel> hand = open.iterator(); // guarded by handLock
  private final MultiThreadIoEventLoopGroup loops;
  private final Channel listener;

  private HttpServer(Env env, HttpServerConfig config, HttpHandler handler) {
    this.env = env;
    this.config = config;
    this.requests = new Permits(env, config.maxRequests());
    this.tls = config.tls().map(identity -> tls(config, identity));
    boolean epoll = Epoll.isAvailable();
    this.loops =
        new MultiThreadIoEventLoopGroup(
            config.ioThreads(),
            new DefaultThreadFactory(config.name(), true),
            epoll ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
    Class<? extends ServerChannel> type =
        epoll ? EpollServerSocketChannel.class : NioServerSocketChannel.class;
    ChannelFuture bound =
        new ServerBootstrap()
            .group(loops)
            .channel(type)
            .option(ChannelOption.SO_REUSEADDR, true)
            .option(ChannelOption.SO_BACKLOG, 1024)
            // Netty's newer default gives back, and zeroes anew, what bodies take (a tenth of a
            // PUT).
            .childOption(ChannelOption.ALLOCATOR, PooledByteBufAllocator.DEFAULT)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childOption(ChannelOption.AUTO_READ, false)
            .childOption(ChannelOption.ALLOW_HALF_CLOSURE, true)
            .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, WRITE_MARKS)
            .childOption(
                ChannelOption.RECVBUF_ALLOCATOR,
                new AdaptiveRecvByteBufAllocator(2048, 16 << 10, 128 << 10).maxMessagesPerRead(2))
            .childHandler(
                new ChannelInitializer<SocketChannel>() {
                  @Override
                  protected void initChannel(SocketChannel channel) {
                    accept(channel, handler);
                  }
                })
            .bind(config.listen())
            .awaitUninterruptibly();
    if (!bound.isSuccess()) {
      loops.shutdownGracefully(0, 1, TimeUnit.SECONDS);
      Throwable cause = bound.cause();
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          config.name()
              + " cannot listen on "
              + config.listen()
              + " ("
              + (cause == null ? "cancelled" : cause.getMessage())
              + "): choose another address or port, or end what listens there",
          cause);
    }
    listener = bound.channel();
  }

  /**
   * Starts listening.
   *
   * @throws ForebayException CONFIGURATION when the address cannot be bound, or the certificate
   *     cannot be used
   */
  public static HttpServer start(Env env, HttpServerConfig config, HttpHandler handler) {
    return new HttpServer(env, config, handler);
  }

  /** Where it listens, with the port that port 0 became. */
  public InetSocketAddress address() {
    return (InetSocketAddress) listener.localAddress();
  }

  /** Requests under way now. */
  public long requestsUnderWay() {
    return config.maxRequests() - requests.available();
  }

  /** Connections open now. */
  public int connections() {
    return connections.get();
  }

  /** Stops listening, lets requests under way finish for some seconds, then closes everything. */
  @Override
  public void close() {
    listener.close().awaitUninterruptibly();
    if (requests.acquire(config.maxRequests(), env.nanoTime() + DRAIN_NANOS)) {
      requests.release(config.maxRequests());
    }
    open.close().awaitUninterruptibly();
    loops.shutdownGracefully(0, 5, TimeUnit.SECONDS).awaitUninterruptibly();
  }

  /** Whether one more request may begin; {@link #finished} gives its place back. */
  boolean admit() {
    return requests.tryAcquire(1);
  }

  void finished() {
    requests.release(1);
  }

  private void accept(SocketChannel channel, HttpHandler handler) {
    if (connections.incrementAndGet() > config.maxConnections() && !oneGivesWay()) {
      connections.decrementAndGet();
      channel.close();
      return;
    }
    channel.closeFuture().addListener(closed -> connections.decrementAndGet());
    open.add(channel);
    var connection = new Connection(env, config, handler, this);
    tls.ifPresent(context ->
        channel.pipeline().addLast(new FirstBytes(context, connection, config.idleNanos())));
    channel
        .pipeline()
        .addLast(
            new HeadArrival(connection),
            new HttpRequestDecoder(
                new HttpDecoderConfig()
                    .setMaxInitialLineLength(HttpServerConfig.MAX_HEAD_BYTES)
                    .setMaxHeaderSize(HttpServerConfig.MAX_HEAD_BYTES)
                    .setMaxChunkSize(1 << 20)),
            new HttpResponseEncoder(),
            connection);
  }

  /** The longest silent of some connections is closed, if it has been silent for long enough. */
  private boolean oneGivesWay() {
    long now = env.nanoTime();
    Connection longest = null;
    long longestNanos = GIVE_WAY_NANOS;
    handLock.lock();
    try {
      boolean renewed = false;
      for (int i = 0; i < LOOK_AT_MOST && (i < LOOK_AT || longest == null); i++) {
        if (!hand.hasNext()) {
          if (renewed) {
            break;
          }
          renewed = true;
          hand = open.iterator();
          if (!hand.hasNext()) {
            break;
          }
        }
        Connection each = hand.next().pipeline().get(Connection.class);
        long silentNanos = each == null ? 0 : each.silentNanos(now);
        if (silentNanos > longestNanos) {
          longest = each;
          longestNanos = silentNanos;
        }
      }
    } finally {
      handLock.unlock();
    }
    return longest != null && longest.giveWay();
  }

  private static SslContext tls(HttpServerConfig config, TlsIdentity identity) {
    try {
      return FirstBytes.context(identity);
    } catch (SSLException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          config.name()
              + " cannot use the certificate of "
              + identity.certificate().getSubjectX500Principal()
              + " ("
              + failure.getMessage()
              + "): take one with an RSA or EC key",
          failure);
    }
  }
}
