package io.forebay.gateway.http;

import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOutboundBuffer;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client's connection: requests one after the other, also when they are pipelined. The socket
 * is read only on demand: for a body while its queue has room, else while nothing waits, so that
 * one read of the next request may come early (to go on waiting for it costs no call of the kernel;
 * to end and begin the wait would).
 *
 * <p>States: no request ({@code current} null) → request under way → its answer sent, the rest of
 * its body being discarded → no request; or → closing (half closed, discarding for a moment, so
 * that the client reads the answer before it sees the end).
 */
// Netty's futures: what became of a write or close shows in channelInactive.
@SuppressWarnings("FutureReturnValueIgnored")
final class Connection extends ChannelInboundHandlerAdapter {
  private static final Logger LOG = LoggerFactory.getLogger(Connection.class);

  /** How much of an unwanted body is discarded to keep a connection, and for how long. */
  private static final long MAX_DISCARD_BYTES = 8L << 20;

  private static final long MAX_DISCARD_NANOS = 5_000_000_000L;

  /** Requests, and ends of theirs, that wait behind the one under way. */
  private static final int MAX_PENDING = 4_096;

  private static final long SPEAKS = Long.MIN_VALUE;

  private final Env env;
  private final HttpServerConfig config;
  private final HttpHandler handler;
  private final HttpServer server;

  // All of the event loop's, but for what is volatile.
  private final ArrayDeque<Object> pending = new ArrayDeque<>();
  private volatile @Nullable ChannelHandlerContext context;
  private @Nullable HttpExchange current;
  private @Nullable HttpExchange unstarted;
  private @Nullable BodyQueue body;
  private boolean reading;
  private boolean answerSent;
  private boolean closing;
  private boolean plain;
  private long phaseBeganNanos;
  private boolean inputEnded;
  private boolean headBegan;
  private boolean early; // a part of the next head has come while a request is under way
  private long headBeganNanos;
  private @Nullable ScheduledFuture<?> watch;
  private long leftBytes; // of an answer that is handed over, when that last changed
  private long leftSinceNanos;
  private volatile boolean handedOver;
  private boolean lingers; // the answer has gone out, and what the client still sends is dropped
  private volatile boolean closeAfterAnswer;
  private volatile long silentSinceNanos = SPEAKS;
  private volatile boolean givesWay;

  Connection(Env env, HttpServerConfig config, HttpHandler handler, HttpServer server) {
    this.env = env;
    this.config = config;
    this.handler = handler;
    this.server = server;
  }

  @Override
  public void channelActive(ChannelHandlerContext ctx) {
    context = ctx;
    beginsToWait();
    long shortest = Math.min(config.stallNanos(), Math.min(config.idleNanos(), config.headNanos()));
    long period = Math.max(shortest / 8, 1_000_000);
    watch =
        ctx.executor()
            .scheduleWithFixedDelay(this::closeIfIdle, period, period, TimeUnit.NANOSECONDS);
    readIfWanted();
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    if (watch != null) {
      watch.cancel(false);
    }
    pending.forEach(ReferenceCountUtil::release);
    pending.clear();
    if (body != null) {
      body.fail(
          new ForebayException(
              ErrorCode.INCOMPLETE_BODY, "the client went away before its body was whole"));
    }
    if (current != null) {
      current.signalWritable();
    }
    start();
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (closing) {
      if (lingers && message instanceof LastHttpContent) {
        ctx.close(); // what was left of the body is all that was waited for
      }
      ReferenceCountUtil.release(message);
      return;
    }
    early = false;
    pending.add(message);
    pump();
    if (pending.size() > MAX_PENDING) {
      ctx.close(); // a client that ends its side is read to its end, however much it has sent
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    reading = false;
    start();
    readIfWanted();
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (current != null && ctx.channel().isWritable()) {
      current.signalWritable();
    }
  }

  /** A client that only ends its side still gets its answers. */
  @Override
  public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
    if (event == ChannelInputShutdownEvent.INSTANCE) {
      inputEnded = true;
      if (body != null && !body.ended()) {
        body.fail(
            new ForebayException(
                ErrorCode.INCOMPLETE_BODY, "the client ended before its body was whole"));
        closeAfterAnswer = true;
      }
      if (answerSent) {
        ctx.close(); // what was left of the body is all that was waited for
      }
      closeIfNothingIsLeft();
    }
    ctx.fireUserEventTriggered(event);
  }

  private void closeIfNothingIsLeft() {
    if (inputEnded && current == null && pending.isEmpty()) {
      live().close();
    }
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    // Resets by clients are everyday; channelInactive tells the request under way.
    LOG.debug("http.connection.broken peer={}", ctx.channel().remoteAddress(), cause);
    ctx.close();
  }

  private void pump() {
    while (!pending.isEmpty() && !closing) {
      BodyQueue receiving = body;
      if (current == null) {
        Object message = pending.remove();
        if (message instanceof HttpRequest request) {
          begin(request);
        } else {
          ReferenceCountUtil.release(message);
        }
      } else if (receiving != null && !receiving.ended()) {
        if (pending.remove() instanceof HttpContent content) {
          receive(receiving, content);
        }
      } else {
        return;
      }
    }
  }

  /** Something came that is no TLS, on a port that speaks TLS only. Event loop. */
  void speaksPlainly() {
    plain = true;
  }

  /** Bytes came that are not parsed yet; between requests they begin a head. Event loop. */
  void bytesCame() {
    if (current != null) {
      early = true;
    } else if (!headBegan) {
      headBegins();
    }
  }

  private void headBegins() {
    headBegan = true;
    silentSinceNanos = SPEAKS;
    headBeganNanos = env.nanoTime();
  }

  private void begin(HttpRequest request) {
    headBegan = false;
    if (plain) {
      refuse(HttpHandler.Refusal.NOT_TLS);
      return;
    }
    if (request.decoderResult().isFailure()) {
      Throwable cause = request.decoderResult().cause();
      refuse(
          cause instanceof TooLongHttpHeaderException || cause instanceof TooLongHttpLineException
              ? HttpHandler.Refusal.HEAD_TOO_LARGE
              : HttpHandler.Refusal.MALFORMED);
      return;
    }
    ChannelHandlerContext ctx = live();
    long length = HttpUtil.getContentLength(request, -1L);
    boolean chunked = HttpUtil.isTransferEncodingChunked(request);
    boolean hasBody = chunked || length > 0;
    var queue =
        new BodyQueue(env, config.stallNanos(), () -> ctx.executor().execute(this::readIfWanted));
    if (!server.admit()) {
      if (hasBody) {
        // A client reads the refusal only if it can send what it has begun to send.
        queue.discard();
        body = queue;
      }
      refuse(HttpHandler.Refusal.BUSY);
      return;
    }
    var headers = new ArrayList<Header>(request.headers().size());
    request
        .headers()
        .iteratorAsString()
        .forEachRemaining(entry ->
            headers.add(new Header(entry.getKey().toLowerCase(Locale.ROOT), entry.getValue())));
    InetAddress peer =
        ctx.channel().remoteAddress() instanceof InetSocketAddress address
            ? address.getAddress()
            : InetAddress.ofLiteral("0.0.0.0");
    var head =
        new RequestHead(
            request.method().name(),
            request.uri(),
            new Headers(headers),
            length < 0 ? OptionalLong.empty() : OptionalLong.of(length),
            chunked,
            config.tls().isPresent(),
            peer);
    var exchange =
        new HttpExchange(
            env,
            head,
            this,
            ctx.channel(),
            queue,
            config.stallNanos(),
            HttpUtil.isKeepAlive(request),
            hasBody && HttpUtil.is100ContinueExpected(request));
    silentSinceNanos = SPEAKS;
    current = exchange;
    body = queue;
    answerSent = false;
    handedOver = false;
    leftBytes = 0;
    closeAfterAnswer = false;
    unstarted = exchange;
  }

  /** Starts the request that has begun, now that what came with its head is in its queue. */
  private void start() {
    HttpExchange exchange = unstarted;
    if (exchange != null) {
      unstarted = null;
      try {
        var _ =
            env.spawnHere(config.name() + "-request", live().executor(), () -> handle(exchange));
      } catch (RuntimeException | Error none) {
        server.finished();
        live().close();
        throw none;
      }
    }
  }

  private void handle(HttpExchange exchange) {
    try {
      handler.handle(exchange);
    } catch (RuntimeException | Error escaped) {
      LOG.error("http.request.failed method={}", exchange.head().method(), escaped);
    } finally {
      exchange.close();
      server.finished();
    }
  }

  private void receive(BodyQueue receiving, HttpContent content) {
    if (content.decoderResult().isFailure()) {
      content.release();
      receiving.fail(
          new ForebayException(ErrorCode.INCOMPLETE_BODY, "the body's chunks are malformed"));
      closeAfterAnswer = true;
      return;
    }
    boolean last = content instanceof LastHttpContent;
    receiving.add(content.content());
    if (last) {
      receiving.end();
      nextIfDone();
    } else if (answerSent && receiving.receivedBytes() > MAX_DISCARD_BYTES) {
      linger();
    }
  }

  /** The connection is to be closed once the present answer is out. Any thread. */
  void closeAfterAnswer() {
    closeAfterAnswer = true;
  }

  /** All of the answer is on its way; its handler does not wait for the client any more. */
  void handedOver() {
    handedOver = true;
  }

  /** All of the answer is with the kernel, or the channel is closed. Event loop. */
  void answerSent(HttpExchange exchange) {
    if (current != exchange || closing) {
      return;
    }
    answerSent = true;
    phaseBeganNanos = env.nanoTime();
    if (body != null) {
      body.discard();
    }
    if (closeAfterAnswer) {
      linger();
    } else {
      nextIfDone();
    }
  }

  private void nextIfDone() {
    if (answerSent && body != null && body.ended()) {
      current = null;
      body = null;
      answerSent = false;
      beginsToWait();
      if (early && pending.isEmpty()) {
        headBegins();
      }
      pump();
      start();
      closeIfNothingIsLeft();
    }
    readIfWanted();
  }

  private void beginsToWait() {
    phaseBeganNanos = env.nanoTime();
    silentSinceNanos = phaseBeganNanos;
  }

  /** For how long it has waited for a request; 0 while it has one, or gives way. Any thread. */
  long silentNanos(long nowNanos) {
    long since = silentSinceNanos;
    return since == SPEAKS || givesWay ? 0 : nowNanos - since;
  }

  /**
   * Closes it, if no request has begun to arrive meanwhile. Any thread.
   *
   * @return false when it gives way to another one already, or was never open
   */
  boolean giveWay() {
    ChannelHandlerContext ctx = context;
    if (givesWay || ctx == null) {
      return false;
    }
    givesWay = true;
    ctx.executor()
        .execute(() -> {
          if (current == null && !headBegan) {
            ctx.close();
          } else {
            givesWay = false;
          }
        });
    return true;
  }

  private void refuse(HttpHandler.Refusal refusal) {
    Answer answer = handler.refuse(refusal);
    var response =
        new DefaultFullHttpResponse(
            HttpVersion.HTTP_1_1,
            HttpResponseStatus.valueOf(answer.status()),
            Unpooled.wrappedBuffer(answer.body()));
    answer.headers().forEach(header -> response.headers().add(header.name(), header.value()));
    response.headers().set(HttpHeaderNames.CONTENT_LENGTH, answer.body().length);
    response.headers().set(HttpHeaderNames.CONNECTION, "close");
    closing = true;
    live().writeAndFlush(response).addListener(sent -> linger());
  }

  /** Ends our side, and discards what the client still sends for a moment before closing. */
  private void linger() {
    closing = true;
    phaseBeganNanos = env.nanoTime();
    boolean whole = pending.stream().anyMatch(LastHttpContent.class::isInstance);
    pending.forEach(ReferenceCountUtil::release);
    pending.clear();
    BodyQueue unwanted = body;
    if (unwanted == null
        || whole
        || unwanted.ended()
        || inputEnded
        || !(live().channel() instanceof DuplexChannel duplex)) {
      live().close();
      return;
    }
    lingers = true;
    // Over TLS the end is a message of its own, which must go out before the socket's.
    SslHandler tls = duplex.pipeline().get(SslHandler.class);
    ChannelFuture farewell = tls == null ? duplex.newSucceededFuture() : tls.closeOutbound();
    farewell.addListener(said -> duplex.shutdownOutput());
    var _ =
        live().executor().schedule(() -> live().close(), MAX_DISCARD_NANOS, TimeUnit.NANOSECONDS);
    readIfWanted();
  }

  private void readIfWanted() {
    if (reading || inputEnded || context == null || !context.channel().isActive()) {
      return;
    }
    BodyQueue receiving = body;
    if (closing
        || ((receiving == null || receiving.ended()) ? pending.isEmpty() : receiving.wantsMore())) {
      reading = true;
      context.read();
    }
  }

  private void closeIfIdle() {
    long phaseNanos = env.nanoTime() - phaseBeganNanos;
    boolean idle = current == null && phaseNanos > config.idleNanos();
    boolean dripping =
        current == null && headBegan && env.nanoTime() - headBeganNanos > config.headNanos();
    boolean discarding = answerSent && phaseNanos > MAX_DISCARD_NANOS;
    if (idle || dripping || discarding || stalls()) {
      live().close();
    }
  }

  /**
   * Whether the client has taken nothing for too long of an answer that is all handed over. Until
   * it is, its handler looks after that.
   */
  private boolean stalls() {
    ChannelOutboundBuffer out = live().channel().unsafe().outboundBuffer();
    // A piece that is half sent counts there as a whole.
    long left =
        current == null || answerSent || !handedOver || out == null
            ? 0
            : out.totalPendingWriteBytes() - out.currentProgress();
    long now = env.nanoTime();
    if (left == 0 || left != leftBytes) {
      leftBytes = left;
      leftSinceNanos = now;
      return false;
    }
    return now - leftSinceNanos > config.stallNanos();
  }

  private ChannelHandlerContext live() {
    if (context == null) {
      throw new IllegalStateException("the connection was never active");
    }
    return context;
  }
}
