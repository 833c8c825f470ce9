package io.forebay.gateway.http;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPart;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.DefaultLastHttpContent;
import io.netty.handler.codec.http.EmptyHttpHeaders;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * One request and its answer. Belongs to the virtual thread that handles it: answer once, with
 * {@link #answer}, or with {@link #begin}, {@link #write} and {@link #end}.
 */
@SuppressWarnings("FutureReturnValueIgnored") // Netty's: failures show in channelInactive
public final class HttpExchange {
  private static final List<String> DAYS = List.of("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun");
  private static final List<String> MONTHS =
      List.of("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec");

  private record DateText(long second, String text) {}

  // Not of one exchange: whoever finds it old replaces it by an equal one.
  private static volatile DateText newestDate = new DateText(-1, "");

  private final Env env;
  private final RequestHead head;
  private final Connection connection;
  private final Channel channel;
  private final BodyQueue queue;
  private final long stallNanos;
  private final boolean keepAliveWanted;
  private boolean expectsContinue;
  private @Nullable ByteBuf piece;
  private boolean answered;
  private int status;
  private boolean ended;
  private long leftBytes;
  private @Nullable HttpResponse heldHead;
  private @Nullable ChannelFuture last;
  private final ReentrantLock lock = new ReentrantLock();
  private @Nullable Outcome<@Nullable Void> writable; // guarded by lock

  HttpExchange(
      Env env,
      RequestHead head,
      Connection connection,
      Channel channel,
      BodyQueue queue,
      long stallNanos,
      boolean keepAliveWanted,
      boolean expectsContinue) {
    this.env = env;
    this.head = head;
    this.connection = connection;
    this.channel = channel;
    this.queue = queue;
    this.stallNanos = stallNanos;
    this.keepAliveWanted = keepAliveWanted;
    this.expectsContinue = expectsContinue;
  }

  /** The request without its body. */
  public RequestHead head() {
    return head;
  }

  /** The request's body; what is not read of it is discarded. */
  public RequestBody body() {
    return this::nextPiece;
  }

  /** Whether an answer was begun; from then on only its body can follow. */
  public boolean answered() {
    return answered;
  }

  /** The status of the answer; 0 before one was begun, and for one that was broken off. */
  public int status() {
    return status;
  }

  /** A time as HTTP writes it (RFC 9110, 5.6.7). Every answer has one or two. */
  public static String httpDate(long wallMillis) {
    LocalDateTime time =
        LocalDateTime.ofEpochSecond(Math.floorDiv(wallMillis, 1_000L), 0, ZoneOffset.UTC);
    var text = new StringBuilder(29);
    text.append(DAYS.get(time.getDayOfWeek().getValue() - 1)).append(", ");
    twoDigits(text, time.getDayOfMonth()).append(' ');
    text.append(MONTHS.get(time.getMonthValue() - 1)).append(' ');
    twoDigits(text, time.getYear() / 100);
    twoDigits(text, time.getYear() % 100).append(' ');
    twoDigits(text, time.getHour()).append(':');
    twoDigits(text, time.getMinute()).append(':');
    return twoDigits(text, time.getSecond()).append(" GMT").toString();
  }

  private static StringBuilder twoDigits(StringBuilder text, int number) {
    return text.append((char) ('0' + number / 10)).append((char) ('0' + number % 10));
  }

  /** The present time as HTTP writes it: the same text for all answers of a second. */
  private static String httpDateNow(long wallMillis) {
    long second = Math.floorDiv(wallMillis, 1_000L);
    DateText known = newestDate;
    if (known.second != second) {
      known = new DateText(second, httpDate(wallMillis));
      newestDate = known;
    }
    return known.text;
  }

  private @Nullable ByteBuffer nextPiece() {
    if (expectsContinue) {
      expectsContinue = false;
      channel.writeAndFlush(
          new DefaultFullHttpResponse(
              HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE, Unpooled.EMPTY_BUFFER));
    }
    releasePiece();
    piece = queue.take();
    return piece == null ? null : piece.nioBuffer().asReadOnlyBuffer();
  }

  /** Sends a whole answer. Does not wait until the client has it. */
  public void answer(Answer answer) {
    requireUnanswered();
    boolean head = this.head.method().equals("HEAD");
    ByteBuf body = head ? Unpooled.EMPTY_BUFFER : Unpooled.wrappedBuffer(answer.body());
    var response =
        new DefaultFullHttpResponse(
            HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(answer.status()), body);
    boolean keepAlive =
        fill(response.headers(), answer.status(), answer.headers(), answer.body().length);
    answered = true;
    status = answer.status();
    ended = true;
    finish(channel.writeAndFlush(response), keepAlive);
  }

  /**
   * Begins an answer whose body follows. For HEAD, and with status 304, the body stays away and
   * {@link #end} follows at once.
   *
   * @param lengthBytes of the body, exactly
   */
  public void begin(int status, List<Header> headers, long lengthBytes) {
    requireUnanswered();
    var response =
        new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status));
    boolean bodyless = head.method().equals("HEAD") || status == 304;
    boolean keepAlive = fill(response.headers(), status, headers, lengthBytes);
    if (!keepAlive) {
      connection.closeAfterAnswer();
    }
    answered = true;
    this.status = status;
    leftBytes = bodyless ? 0 : lengthBytes;
    // Goes out with the first piece: each hand-over to the event loop costs as much as a small
    // answer.
    heldHead = response;
  }

  /**
   * Sends a piece of the body, waiting while the client is slow to take what was sent before. Takes
   * over the caller's reference, also when it fails.
   *
   * @throws ForebayException TIMEOUT when the client takes nothing; CANCELLED when it went away
   */
  public void write(Bytes bytes) {
    int length = bytes.length();
    if (!answered || ended || length > leftBytes) {
      bytes.release();
      throw new IllegalStateException("more is written than the answer announced");
    }
    try {
      awaitTaken();
    } catch (RuntimeException failed) {
      bytes.release();
      throw failed;
    }
    leftBytes -= length;
    switch (bytes) {
      case SlabPart part ->
          send(Unpooled.wrappedBuffer(part.buffer())).addListener(done -> part.release());
      case Bytes computed -> send(Unpooled.wrappedBuffer(computed.toArray()));
    }
  }

  /** Sends content, with the head before it and the end behind it where they are due. */
  private ChannelFuture send(ByteBuf content) {
    HttpResponse first = heldHead;
    heldHead = null;
    boolean whole = leftBytes == 0;
    ChannelFuture sent;
    if (first != null && whole) {
      sent = channel.writeAndFlush(full(first, content));
    } else {
      if (first != null) {
        channel.write(first);
      }
      sent =
          channel.writeAndFlush(
              whole ? new DefaultLastHttpContent(content) : new DefaultHttpContent(content));
    }
    if (whole) {
      last = sent;
    }
    return sent;
  }

  private static HttpResponse full(HttpResponse head, ByteBuf content) {
    return new DefaultFullHttpResponse(
        head.protocolVersion(), head.status(), content, head.headers(), EmptyHttpHeaders.INSTANCE);
  }

  /**
   * As {@link #write}, from a copy: the caller's reference is released before the return, however
   * slow the client is.
   */
  public void writeCopy(Bytes bytes) {
    ByteBuf copy = channel.alloc().directBuffer(bytes.length());
    try {
      bytes.copyTo(copy.nioBuffer(0, bytes.length()));
    } finally {
      bytes.release();
    }
    copy.writerIndex(copy.capacity());
    if (!answered || ended || copy.readableBytes() > leftBytes) {
      copy.release();
      throw new IllegalStateException("more is written than the answer announced");
    }
    leftBytes -= copy.readableBytes();
    send(copy);
  }

  /**
   * Waits until the client has taken most of what was written.
   *
   * @return false when it has not within that time
   * @throws ForebayException CANCELLED when it went away
   */
  public boolean awaitTaken(long nanos) {
    return awaitWritable(env.nanoTime() + nanos);
  }

  /** The same for as long as a client may stall; TIMEOUT when that is over. */
  public void awaitTaken() {
    if (!awaitWritable(env.nanoTime() + stallNanos)) {
      throw new ForebayException(
          ErrorCode.TIMEOUT, "the client has taken nothing of the answer for too long");
    }
  }

  /** Ends an answer that was begun; all of its body must have been written. */
  public void end() {
    if (!answered || ended || leftBytes > 0) {
      throw new IllegalStateException("the answer lacks " + leftBytes + " bytes");
    }
    ended = true;
    finish(last == null ? send(Unpooled.EMPTY_BUFFER) : last, true);
  }

  /** Breaks the connection, so that the client sees that the answer is not whole. */
  public void abort() {
    ended = true;
    status = 0;
    channel.close();
  }

  /** The handler has returned or thrown. */
  void close() {
    releasePiece();
    queue.discard();
    if (!ended) {
      abort();
    }
  }

  void signalWritable() {
    lock.lock();
    try {
      if (writable != null) {
        writable.complete(null);
        writable = null;
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean awaitWritable(long deadlineNanos) {
    while (true) {
      Outcome<@Nullable Void> waiting;
      lock.lock();
      try {
        if (!channel.isActive()) {
          throw new ForebayException(
              ErrorCode.CANCELLED, "the client went away before it had the whole answer");
        }
        waiting = new Outcome<>(env);
        writable = waiting;
        if (channel.isWritable()) {
          writable = null;
          return true;
        }
      } finally {
        lock.unlock();
      }
      if (!waiting.awaitUntil(deadlineNanos)) {
        return false;
      }
    }
  }

  private void finish(ChannelFuture sent, boolean keepAlive) {
    if (!keepAlive) {
      connection.closeAfterAnswer();
    }
    connection.handedOver();
    sent.addListener(done -> connection.answerSent(this));
  }

  /** Sets the headers; false when the connection is to be closed after the answer. */
  private boolean fill(HttpHeaders headers, int status, List<Header> given, long lengthBytes) {
    for (Header header : given) {
      headers.add(header.name(), onWire(header.value()));
    }
    if (status != 204 && status != 304) {
      headers.set(HttpHeaderNames.CONTENT_LENGTH, Long.toString(lengthBytes));
    }
    headers.set(HttpHeaderNames.DATE, httpDateNow(env.wallMillis()));
    // A client that still waits for "100 Continue" sends its body or sends it not: nobody knows.
    boolean keepAlive = keepAliveWanted && !expectsContinue;
    if (!keepAlive) {
      headers.set(HttpHeaderNames.CONNECTION, "close");
    }
    return keepAlive;
  }

  /** Chars beyond a byte as the bytes of UTF-8, one char each, which is how Netty sends them. */
  private static String onWire(String value) {
    for (int i = 0; i < value.length(); i++) {
      if (value.charAt(i) > 0xFF) {
        return new String(value.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
      }
    }
    return value;
  }

  private void releasePiece() {
    if (piece != null) {
      piece.release();
      piece = null;
    }
  }

  private void requireUnanswered() {
    if (answered) {
      throw new IllegalStateException("the request is answered already");
    }
  }
}
