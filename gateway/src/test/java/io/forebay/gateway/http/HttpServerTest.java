package io.forebay.gateway.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The server, seen from plain sockets. */
final class HttpServerTest {
  private static final long SECOND = 1_000_000_000L;
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 1 << 20, 4);
  private HttpServer server;

  @AfterEach
  void close() {
    if (server != null) {
      server.close();
    }
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  @Test
  void aBodyComesWholeThroughAConsumerThatIsSlowerThanItsClient() throws Exception {
    int length = 20_000_000;
    start(exchange -> exchange.answer(text("" + count(exchange.body()))));
    try (Socket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nContent-Length: " + length + "\r\n\r\n");
      var piece = new byte[100_000];
      for (int sent = 0; sent < length; sent += piece.length) {
        socket.getOutputStream().write(piece);
      }
      assertThat(response(socket)).endsWith("\r\n\r\n" + length);
    }
  }

  @Test
  void aClientThatEndsItsSideBehindItsRequestsGetsAllAnswers() throws Exception {
    start(exchange -> {
      env.sleep(SECOND / 20);
      exchange.answer(text(exchange.head().target()));
    });
    try (Socket socket = connect()) {
      write(socket, "GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n");
      socket.shutdownOutput();
      String all = new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
      assertThat(all).contains("\r\n\r\n/one").endsWith("\r\n\r\n/two");
    }
  }

  @Test
  void aBodyThatItsClientEndsTooEarlyIsAnsweredAndClosed() throws Exception {
    start(exchange -> {
      try {
        exchange.answer(text("" + count(exchange.body())));
      } catch (ForebayException failed) {
        exchange.answer(text(failed.code().name()));
      }
    });
    long begun = System.nanoTime();
    try (Socket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf");
      socket.shutdownOutput();
      String all = new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
      assertThat(all).endsWith("\r\n\r\nINCOMPLETE_BODY");
    }
    assertThat(System.nanoTime() - begun).isLessThan(4 * SECOND);
  }

  @Test
  void aClientThatEndsItsSideBehindAnAnswerToHalfABodyIsClosedAtOnce() throws Exception {
    start(exchange -> exchange.answer(text("no")));
    long begun = System.nanoTime();
    try (Socket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf");
      assertThat(response(socket)).endsWith("\r\n\r\nno");
      socket.shutdownOutput();
      assertThat(socket.getInputStream().read()).isEqualTo(-1);
    }
    assertThat(System.nanoTime() - begun).isLessThan(4 * SECOND);
  }

  @Test
  void aSilentClientThatEndsItsSideIsClosed() throws Exception {
    start(exchange -> exchange.answer(text("never")));
    try (Socket socket = connect()) {
      socket.shutdownOutput();
      assertThat(socket.getInputStream().read()).isEqualTo(-1);
    }
  }

  @Test
  void anAnswerWaitsForAClientThatReadsLater() throws Exception {
    int pieces = 32;
    start(exchange -> {
      exchange.begin(200, List.of(), pieces * (1L << 20));
      for (int i = 0; i < pieces; i++) {
        Slab slab = pool.take();
        Bytes bytes = slab.bytes(0, slab.capacity());
        slab.release();
        exchange.write(bytes);
      }
      exchange.end();
    });
    try (Socket socket = connect()) {
      write(socket, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
      byte[] all = socket.getInputStream().readAllBytes();
      assertThat(all.length).isGreaterThan(pieces << 20);
    }
  }

  @Test
  void aClientThatTakesNothingOfAnAnswerThatIsHandedOverIsCutOff() throws Exception {
    start(
        config(8, 60 * SECOND, SECOND / 5),
        exchange -> exchange.answer(new Answer(200, List.of(), new byte[16 << 20])));
    try (Socket socket = connect()) {
      socket.setReceiveBufferSize(64 << 10);
      write(socket, "GET / HTTP/1.1\r\n\r\n");
      assertThat((char) socket.getInputStream().read()).isEqualTo('H');
      for (int waits = 0; server.connections() > 0 && waits < 1_500; waits++) {
        LockSupport.parkNanos(SECOND / 50);
      }
      assertThat(server.connections()).isZero();
    }
  }

  @Test
  void anUnreadBodyIsDiscardedAndTheConnectionKept() throws Exception {
    start(exchange -> exchange.answer(text(exchange.head().target())));
    try (Socket socket = connect()) {
      for (int i = 0; i < 3; i++) {
        write(socket, "PUT /" + i + " HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
        socket.getOutputStream().write(new byte[1_000_000]);
        assertThat(response(socket)).endsWith("\r\n\r\n/" + i);
      }
    }
  }

  @Test
  void aClientThatStallsInItsBodyFailsTheHandlerByName() throws Exception {
    var seen = new Outcome<ErrorCode>(env);
    start(
        config(8, 60 * SECOND, SECOND / 10),
        exchange -> {
          try {
            count(exchange.body());
          } catch (ForebayException failed) {
            seen.complete(failed.code());
            exchange.answer(text("late"));
          }
        });
    try (Socket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
      assertThat(response(socket)).endsWith("late");
      assertThat(seen.await()).isEqualTo(ErrorCode.TIMEOUT);
    }
  }

  @Test
  void aClientThatGoesAwayInItsBodyFailsTheHandlerByName() throws Exception {
    var seen = new Outcome<ErrorCode>(env);
    start(exchange -> {
      try {
        count(exchange.body());
      } catch (ForebayException failed) {
        seen.complete(failed.code());
      }
    });
    try (Socket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    }
    assertThat(seen.await()).isEqualTo(ErrorCode.INCOMPLETE_BODY);
  }

  @Test
  void aConnectionWithoutAWholeHeadIsClosedWhenItsTimeIsOver() throws Exception {
    start(config(8, SECOND / 5, SECOND), exchange -> exchange.answer(text("x")));
    try (Socket silent = connect();
        Socket trickling = connect()) {
      write(trickling, "GET / HTTP/1.1\r\nX-Slow: ");
      assertThat(silent.getInputStream().read()).isEqualTo(-1);
      assertThat(trickling.getInputStream().read()).isEqualTo(-1);
    }
  }

  @Test
  void aHeadThatDripsIsCutOffAlthoughTheConnectionIsNeverIdle() throws Exception {
    HttpServerConfig patient = config(8, 60 * SECOND, 60 * SECOND);
    var strict =
        new HttpServerConfig(
            patient.name(),
            patient.listen(),
            1,
            patient.maxConnections(),
            8,
            patient.idleNanos(),
            SECOND / 2,
            patient.stallNanos(),
            Optional.empty());
    start(strict, exchange -> exchange.answer(text("ok")));
    try (Socket dripping = connect();
        Socket silent = connect()) {
      write(dripping, "GET / HTTP/1.1\r\n\r\n");
      assertThat(response(dripping)).endsWith("ok");
      var dripped = new Outcome<Integer>(env);
      var _ =
          env.spawn(
              "drip",
              () -> {
                int sent = 0;
                try {
                  write(dripping, "GET / HTTP/1.1\r\nX-Slow: ");
                  while (sent < 3_000) {
                    write(dripping, "x");
                    sent++;
                    LockSupport.parkNanos(SECOND / 100);
                  }
                } catch (IOException cutOff) {
                  // what is wanted
                }
                dripped.complete(sent);
              });
      assertThat(dripped.await()).isLessThan(3_000);
      // Its neighbour, which has begun no head, may be silent as long as the idle bound says.
      write(silent, "GET / HTTP/1.1\r\n\r\n");
      assertThat(response(silent)).endsWith("ok");
    }
  }

  @Test
  void whoSaysNothingGivesWayToANewcomerAndWhoSpeaksDoesNot() throws Exception {
    HttpServerConfig two = config(8, 60 * SECOND, 60 * SECOND).withConnections(2, 60 * SECOND);
    var goOn = new Outcome<Boolean>(env);
    start(
        two,
        exchange -> {
          if (exchange.head().target().equals("/long")) {
            goOn.await();
          }
          exchange.answer(text("ok"));
        });
    try (Socket speaks = connect();
        Socket silent = connect()) {
      write(speaks, "GET /long HTTP/1.1\r\n\r\n");
      // Nobody has been silent for a second: it may be shaking hands.
      try (Socket early = connect()) {
        assertThat(early.getInputStream().read()).isEqualTo(-1);
      }
      LockSupport.parkNanos(SECOND + SECOND / 10);
      Socket newcomer = connect();
      assertThat(silent.getInputStream().read()).isEqualTo(-1);
      write(newcomer, "GET / HTTP/1.1\r\n\r\n");
      assertThat(response(newcomer)).endsWith("ok");
      // Half a head is no silence; its own time bounds it.
      write(newcomer, "GET / HTTP/1.1\r\nX: ");
      LockSupport.parkNanos(SECOND + SECOND / 10);
      try (Socket late = connect()) {
        assertThat(late.getInputStream().read()).isEqualTo(-1);
      }
      write(newcomer, "y\r\n\r\n");
      assertThat(response(newcomer)).endsWith("ok");
      newcomer.close();
      goOn.complete(true);
      assertThat(response(speaks)).endsWith("ok");
    }
  }

  @Test
  void requestsBeyondTheBoundAreRefusedAndThoseWithinGoOn() throws Exception {
    var entered = new Outcome<Void>(env);
    var leave = new Outcome<Void>(env);
    start(
        config(1, 60 * SECOND, SECOND),
        exchange -> {
          entered.complete(null);
          leave.await();
          exchange.answer(text("first"));
        });
    try (Socket first = connect();
        Socket second = connect()) {
      write(first, "GET / HTTP/1.1\r\n\r\n");
      entered.await();
      write(second, "GET / HTTP/1.1\r\n\r\n");
      assertThat(response(second)).startsWith("HTTP/1.1 503");
      leave.complete(null);
      assertThat(response(first)).endsWith("first");
    }
  }

  @Test
  void whoIsRefusedBeforeItsBodyIsSentReadsWhy() throws Exception {
    int length = 8 << 20;
    var entered = new Outcome<Void>(env);
    var leave = new Outcome<Void>(env);
    start(
        config(1, 60 * SECOND, 60 * SECOND),
        exchange -> {
          entered.complete(null);
          leave.await();
          exchange.answer(text("first"));
        });
    try (Socket first = connect();
        Socket second = connect()) {
      write(first, "GET / HTTP/1.1\r\n\r\n");
      entered.await();
      write(second, "PUT / HTTP/1.1\r\nContent-Length: " + length + "\r\n\r\n");
      var piece = new byte[1 << 20];
      for (int sent = 0; sent < length; sent += piece.length) {
        second.getOutputStream().write(piece);
      }
      assertThat(response(second)).startsWith("HTTP/1.1 503");
      assertThat(second.getInputStream().read()).isEqualTo(-1);
      leave.complete(null);
      assertThat(response(first)).endsWith("first");
    }
  }

  @Test
  void aHandlerThatFailsClosesTheConnection() throws Exception {
    start(exchange -> {
      throw new ForebayException(ErrorCode.IO_ERROR, "on purpose");
    });
    try (Socket socket = connect()) {
      write(socket, "GET / HTTP/1.1\r\n\r\n");
      assertThat(socket.getInputStream().read()).isEqualTo(-1);
    }
  }

  @Test
  void headAnswersHaveTheLengthButNoBody() throws Exception {
    start(exchange -> exchange.answer(text("hello")));
    try (Socket socket = connect()) {
      write(socket, "HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n");
      String all = new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
      assertThat(all.split("HTTP/1.1 200 OK", -1)).hasSize(3);
      assertThat(all.indexOf("hello")).isEqualTo(all.length() - 5);
      assertThat(all).containsIgnoringCase("content-length: 5");
    }
  }

  @Test
  void answersInNoneOneAndSeveralPiecesFollowEachOtherOnAConnection() throws Exception {
    start(exchange -> {
      int pieces = Integer.parseInt(exchange.head().target().substring(1));
      exchange.begin(200, List.of(), 3L * pieces);
      for (int i = 0; i < pieces && !exchange.head().method().equals("HEAD"); i++) {
        Slab slab = pool.take();
        slab.buffer().put("abc".getBytes(StandardCharsets.US_ASCII));
        Bytes bytes = slab.bytes(0, 3);
        slab.release();
        exchange.write(bytes);
      }
      exchange.end();
    });
    try (Socket socket = connect()) {
      for (int pieces : new int[] {0, 1, 3, 1, 0, 2}) {
        write(socket, "GET /" + pieces + " HTTP/1.1\r\n\r\n");
        assertThat(response(socket)).endsWith("\r\n\r\n" + "abc".repeat(pieces));
      }
      write(socket, "HEAD /2 HTTP/1.1\r\n\r\nGET /1 HTTP/1.1\r\nConnection: close\r\n\r\n");
      String rest = new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
      assertThat(rest).containsIgnoringCase("content-length: 6").endsWith("\r\n\r\nabc");
      assertThat(rest.split("abc", -1)).hasSize(2);
    }
  }

  @Test
  void datesAreAsRfc9110WritesThem() {
    var form =
        DateTimeFormatter.ofPattern("EEE, dd MMM yyyy HH:mm:ss 'GMT'", Locale.ROOT)
            .withZone(ZoneOffset.UTC);
    assertThat(HttpExchange.httpDate(784_111_777_999L)).isEqualTo("Sun, 06 Nov 1994 08:49:37 GMT");
    var random = new Random(9110);
    for (int i = 0; i < 10_000; i++) {
      long millis = random.nextLong(0, 200_000_000_000_000L);
      assertThat(HttpExchange.httpDate(millis))
          .isEqualTo(form.format(Instant.ofEpochMilli(millis)));
    }
  }

  @Test
  void aPortInUseIsNamed() throws Exception {
    start(exchange -> exchange.answer(text("x")));
    var taken = HttpServerConfig.of("second", server.address());
    assertThatThrownBy(() -> HttpServer.start(env, taken, new Handler(exchange -> {})))
        .isInstanceOf(ForebayException.class)
        .hasMessageContaining("second cannot listen on")
        .hasMessageContaining("" + server.address().getPort());
  }

  private record Handler(Consumer<HttpExchange> work) implements HttpHandler {
    @Override
    public void handle(HttpExchange exchange) {
      work.accept(exchange);
    }

    @Override
    public Answer refuse(Refusal refusal) {
      return Answer.empty(refusal == Refusal.BUSY ? 503 : 400, List.of());
    }
  }

  private static HttpServerConfig config(int maxRequests, long idleNanos, long stallNanos) {
    return new HttpServerConfig(
        "test",
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
        1,
        100,
        maxRequests,
        idleNanos,
        60 * SECOND,
        stallNanos,
        Optional.empty());
  }

  private void start(Consumer<HttpExchange> work) {
    start(config(8, 60 * SECOND, 60 * SECOND), work);
  }

  private void start(HttpServerConfig config, Consumer<HttpExchange> work) {
    server = HttpServer.start(env, config, new Handler(work));
  }

  private Socket connect() throws IOException {
    var socket = new Socket(server.address().getAddress(), server.address().getPort());
    socket.setSoTimeout(30_000);
    return socket;
  }

  private static Answer text(String text) {
    return new Answer(200, List.of(), text.getBytes(StandardCharsets.UTF_8));
  }

  private static long count(RequestBody body) {
    long count = 0;
    for (ByteBuffer piece = body.next(); piece != null; piece = body.next()) {
      count += piece.remaining();
    }
    return count;
  }

  private static void write(Socket socket, String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** One response: head and body, as text. */
  private static String response(Socket socket) throws IOException {
    InputStream in = socket.getInputStream();
    var text = new StringBuilder();
    while (text.indexOf("\r\n\r\n") < 0) {
      int next = in.read();
      if (next < 0) {
        return text.toString();
      }
      text.append((char) next);
    }
    String head = text.toString().toLowerCase(Locale.ROOT);
    int at = head.indexOf("content-length: ") + "content-length: ".length();
    int length = Integer.parseInt(head.substring(at, head.indexOf('\r', at)));
    text.append(new String(in.readNBytes(length), StandardCharsets.ISO_8859_1));
    return text.toString();
  }
}
