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
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The server over TLS, seen from the JDK's client and from sockets. */
final class HttpsServerTest {
  private static final long SECOND = 1_000_000_000L;
  private static TlsIdentity identity;
  private static SSLContext trusting;

  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 1 << 20, 4);
  private HttpServer server;

  @BeforeAll
  static void make() throws Exception {
    identity = SelfSigned.make(List.of("dns:localhost", "ip:127.0.0.1"));
    trusting = trusting(identity.certificate());
  }

  @AfterEach
  void close() {
    server.close();
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  @Test
  void bodiesComeAndGoWholeAndTheProtocolIsHttp11AlsoForClientsThatWantMore() throws Exception {
    var body = new byte[20_000_003];
    new Random(1).nextBytes(body);
    start(exchange -> {
      assertThat(exchange.head().secure()).isTrue();
      exchange.answer(text(exchange.head().method() + sum(exchange.body())));
    });
    try (HttpClient client = client(trusting)) {
      HttpResponse<String> answer =
          client.send(
              HttpRequest.newBuilder(uri()).PUT(BodyPublishers.ofByteArray(body)).build(),
              BodyHandlers.ofString());
      var wanted = new CRC32C();
      wanted.update(body);
      assertThat(answer.body()).isEqualTo("PUT" + wanted.getValue());
      assertThat(answer.version()).isEqualTo(HttpClient.Version.HTTP_1_1);
    }
    try (SSLSocket socket = connect()) {
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setApplicationProtocols(new String[] {"h2", "http/1.1"});
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      assertThat(socket.getApplicationProtocol()).isEqualTo("http/1.1");
      assertThat(socket.getSession().getProtocol()).isEqualTo("TLSv1.3");
    }
  }

  @Test
  void anAnswerWaitsForAClientThatReadsLaterAndHoldsABoundedNumberOfBuffers() throws Exception {
    int pieces = 32;
    var stuck = new Outcome<Void>(env);
    start(exchange -> {
      exchange.begin(200, List.of(), pieces * (1L << 20));
      for (int i = 0; i < pieces; i++) {
        Slab slab = pool.take(); // waits where the server holds all four
        slab.buffer().put(0, (byte) i);
        Bytes bytes = slab.bytes(0, slab.capacity());
        slab.release();
        exchange.write(bytes);
        if (i == 2) {
          stuck.complete(null);
        }
      }
      exchange.end();
    });
    try (SSLSocket socket = connect()) {
      write(socket, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
      stuck.await();
      byte[] all = socket.getInputStream().readAllBytes();
      assertThat(all.length).isGreaterThan(pieces << 20);
      for (int i = 0; i < pieces; i++) {
        assertThat(all[all.length - ((pieces - i) << 20)]).isEqualTo((byte) i);
      }
    }
  }

  @Test
  void aBodyThatNobodyReadsIsNotTakenInBeyondItsBound() throws Exception {
    var entered = new Outcome<HttpExchange>(env);
    var leave = new Outcome<Void>(env);
    start(exchange -> {
      entered.complete(exchange);
      leave.await();
      exchange.answer(text("" + sum(exchange.body())));
    });
    try (SSLSocket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n");
      var sent = new Outcome<Long>(env);
      var _ =
          env.spawn(
              "sender",
              () -> {
                var piece = new byte[100_000];
                for (int i = 0; i < 1_000; i++) {
                  try {
                    socket.getOutputStream().write(piece);
                  } catch (IOException closed) {
                    throw new AssertionError(closed);
                  }
                }
                sent.complete(1_000L);
              });
      entered.await();
      // Socket buffers take some MB of the 100; what is beyond must stay with the client.
      assertThat(sent.awaitUntil(env.nanoTime() + SECOND)).isFalse();
      leave.complete(null);
      assertThat(sent.await()).isEqualTo(1_000);
      assertThat(socket.getInputStream().readNBytes(15))
          .asString(StandardCharsets.US_ASCII)
          .isEqualTo("HTTP/1.1 200 OK");
    }
  }

  @Test
  void anAnswerBeforeTheBodyIsReadEndsWithTheFarewellOfTls() throws Exception {
    start(exchange -> exchange.answer(text("no")));
    try (SSLSocket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
      // Reads to the end: without close_notify the JDK would throw.
      assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
          .startsWith("HTTP/1.1 200 OK")
          .endsWith("no");
    }
  }

  @Test
  void plainHttpIsToldToSpeakHttpsAndWhatIsNeitherIsClosed() throws Exception {
    start(exchange -> exchange.answer(text("never")));
    for (String said : List.of("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\r\n\r\n")) {
      try (Socket socket = plain()) {
        write(socket, said);
        assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
            .startsWith("HTTP/1.1 400")
            .endsWith("NOT_TLS");
      }
    }
    try (HttpClient client = client(trusting)) {
      assertThat(client.send(HttpRequest.newBuilder(uri()).build(), BodyHandlers.ofString()).body())
          .isEqualTo("never");
    }
  }

  @Test
  void aClientThatDoesNotTrustTheCertificateBreaksOffAndOthersAreServed() throws Exception {
    start(exchange -> exchange.answer(text("ok")));
    TlsIdentity other = SelfSigned.make(List.of("dns:localhost"));
    try (HttpClient wary = client(trusting(other.certificate()));
        HttpClient client = client(trusting)) {
      HttpRequest get = HttpRequest.newBuilder(uri()).build();
      assertThatThrownBy(() -> wary.send(get, BodyHandlers.ofString()))
          .isInstanceOf(SSLHandshakeException.class);
      assertThat(client.send(get, BodyHandlers.ofString()).body()).isEqualTo("ok");
    }
  }

  @Test
  void aConnectionWithoutAHandshakeOrInTheMiddleOfOneIsClosedWhenItsTimeIsOver() throws Exception {
    start(config(3 * SECOND, 60 * SECOND), exchange -> exchange.answer(text("x")));
    try (Socket silent = plain();
        Socket halfway = plain();
        SSLSocket idle = connect()) {
      // A record header that announces more than comes.
      halfway.getOutputStream().write(new byte[] {22, 3, 1, 2, 0, 1});
      idle.startHandshake();
      assertThat(silent.getInputStream().read()).isEqualTo(-1);
      assertThat(halfway.getInputStream().readAllBytes()).hasSizeLessThan(100);
      assertThat(idle.getInputStream().read()).isEqualTo(-1);
    }
  }

  @Test
  void aClientThatGoesAwayInItsBodyFailsTheHandlerByName() throws Exception {
    var seen = new Outcome<ErrorCode>(env);
    start(exchange -> {
      try {
        sum(exchange.body());
      } catch (ForebayException failed) {
        seen.complete(failed.code());
      }
    });
    try (SSLSocket socket = connect()) {
      write(socket, "PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    }
    assertThat(seen.await()).isEqualTo(ErrorCode.INCOMPLETE_BODY);
  }

  private record Handler(Consumer<HttpExchange> work) implements HttpHandler {
    @Override
    public void handle(HttpExchange exchange) {
      work.accept(exchange);
    }

    @Override
    public Answer refuse(Refusal refusal) {
      return new Answer(400, List.of(), refusal.name().getBytes(StandardCharsets.US_ASCII));
    }
  }

  private static HttpServerConfig config(long idleNanos, long stallNanos) {
    return new HttpServerConfig(
        "test",
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
        1,
        100,
        8,
        idleNanos,
        60 * SECOND,
        stallNanos,
        Optional.of(identity));
  }

  private void start(Consumer<HttpExchange> work) {
    start(config(60 * SECOND, 60 * SECOND), work);
  }

  private void start(HttpServerConfig config, Consumer<HttpExchange> work) {
    server = HttpServer.start(env, config, new Handler(work));
  }

  private URI uri() {
    return URI.create("https://localhost:" + server.address().getPort() + "/");
  }

  private Socket plain() throws IOException {
    var socket = new Socket(server.address().getAddress(), server.address().getPort());
    socket.setSoTimeout(30_000);
    return socket;
  }

  private SSLSocket connect() throws IOException {
    var socket =
        (SSLSocket)
            trusting
                .getSocketFactory()
                .createSocket(server.address().getAddress(), server.address().getPort());
    socket.setSoTimeout(30_000);
    return socket;
  }

  private static HttpClient client(SSLContext trust) {
    return HttpClient.newBuilder()
        .sslContext(trust)
        .version(HttpClient.Version.HTTP_2)
        .connectTimeout(Duration.ofSeconds(30))
        .build();
  }

  private static SSLContext trusting(X509Certificate certificate) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    trusted.setCertificateEntry("door", certificate);
    TrustManagerFactory managers =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    managers.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, managers.getTrustManagers(), null);
    return context;
  }

  private static Answer text(String text) {
    return new Answer(200, List.of(), text.getBytes(StandardCharsets.UTF_8));
  }

  private static long sum(RequestBody body) {
    var sum = new CRC32C();
    for (ByteBuffer piece = body.next(); piece != null; piece = body.next()) {
      sum.update(piece);
    }
    return sum.getValue();
  }

  private static void write(Socket socket, String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
  }
}
