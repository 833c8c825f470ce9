package io.forebay.transport.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.DataMessage.Ping;
import io.forebay.core.net.DataMessage.Pong;
import io.forebay.core.net.Network;
import io.forebay.core.net.NetworkContract;
import io.forebay.core.net.Reply;
import io.forebay.transport.frame.WireVersions;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The contract over loopback, and what only sockets can do wrong. */
final class TcpNetworkTest extends NetworkContract {
  private static final long SECOND = 1_000_000_000L;
  private static final int WINDOW_SLICES = 4;

  private final TestEnv env = new TestEnv();
  private final List<TcpNetwork> ends = new ArrayList<>();
  private final List<AutoCloseable> others = new ArrayList<>();

  @BeforeEach
  void start() {
    var book = new TreeMap<NodeId, String>();
    for (int i = 0; i < 3; i++) {
      TcpNetwork end = network("n" + i, "secret", "c1", Optional.of("127.0.0.1:0"));
      ends.add(end);
      book.put(end.self(), "127.0.0.1:" + end.port());
    }
    ends.forEach(end -> end.addresses(book));
  }

  @AfterEach
  void stop() throws Exception {
    ends.forEach(TcpNetwork::close);
    for (AutoCloseable other : others) {
      other.close();
    }
    env.close();
  }

  @Override
  protected Env env() {
    return env;
  }

  @Override
  protected Network end(int index) {
    return ends.get(index);
  }

  @Override
  protected void kill(int index) {
    ends.get(index).close();
  }

  @Test
  void anotherSecretIsNamedAtBothEnds() {
    answering(0);
    TcpNetwork stranger = other("stranger", "wrong", "c1", Optional.empty());
    assertThatThrownBy(() -> ping(stranger, 0)).satisfies(code(ErrorCode.UNAUTHENTICATED));
    awaitUntil(() -> ends.get(0).status().lastRefusal().contains("different cluster secrets"));
  }

  @Test
  void anotherClusterIsNamedAtBothEnds() {
    answering(0);
    TcpNetwork stranger = other("stranger", "secret", "c2", Optional.empty());
    assertThatThrownBy(() -> ping(stranger, 0))
        .satisfies(code(ErrorCode.WRONG_CLUSTER))
        .hasMessageContaining("'c1'")
        .hasMessageContaining("'c2'");
    awaitUntil(() -> ends.get(0).status().lastRefusal().contains("WRONG_CLUSTER"));
  }

  @Test
  void aNodeThatKnowsNoClusterYetIsLetIn() {
    answering(0);
    assertThat(ping(other("fresh", "secret", "", Optional.empty()), 0)).isEqualTo(new Pong());
  }

  @Test
  void aClientThatKnowsAnAddressOnlyLearnsTheName() {
    answering(0);
    TcpNetwork client = network("cli-1", "secret", "", Optional.empty());
    others.add(client);
    NodeId found = client.learn("127.0.0.1:" + ends.get(0).port(), 5 * SECOND);
    assertThat(found).isEqualTo(new NodeId("n0"));
    assertThat(client.call(found, new Ping(), Optional.empty(), 5 * SECOND).await().message())
        .isEqualTo(new Pong());
  }

  @Test
  void anotherNodeAtTheAddressIsNotTakenForTheRightOne() {
    answering(0);
    TcpNetwork client = other("client", "secret", "c1", Optional.empty());
    client.addresses(Map.of(new NodeId("n7"), "127.0.0.1:" + ends.get(0).port()));
    assertThatThrownBy(
            () -> client.call(new NodeId("n7"), new Ping(), Optional.empty(), 5 * SECOND).await())
        .satisfies(code(ErrorCode.PEER_UNREACHABLE))
        .hasMessageContaining("n0");
  }

  @Test
  void aPeerOfAnotherWireVersionIsToldSo() throws IOException {
    try (var socket = new Socket(InetAddress.getLoopbackAddress(), ends.get(0).port())) {
      byte[] header = new byte[32];
      System.arraycopy("FBYW".getBytes(UTF_8), 0, header, 0, 4);
      header[4] = 9;
      header[5] = 2;
      socket.getOutputStream().write(header);
      byte[] answer = socket.getInputStream().readAllBytes();
      assertThat(answer[5]).as("an ERROR frame").isEqualTo((byte) 4);
      assertThat(new String(answer, UTF_8)).contains("wire version 9, this connection speaks 1");
    }
    awaitUntil(() -> ends.get(0).status().lastRefusal().startsWith("WRONG_VERSION"));
  }

  @Test
  void endsOfTwoVersionsSpeakTheNewestThatBothKnow() {
    answering(0);
    assertThat(ping(other("newer", new WireVersions(1, 2)), 0)).isEqualTo(new Pong());
    assertThat(ends.get(0).status().lastRefusal()).isEmpty();
    TcpNetwork n1 =
        network("n1", "secret", "c1", Optional.of("127.0.0.1:0"), new WireVersions(1, 2));
    others.add(n1);
    n1.serve((from, message, payload) -> Reply.of(new Pong()), refuseAll());
    TcpNetwork newest = other("newest", new WireVersions(2, 3));
    newest.addresses(Map.of(n1.self(), "127.0.0.1:" + n1.port()));
    assertThat(ping(newest, 1)).isEqualTo(new Pong());
  }

  @Test
  void endsWithoutACommonVersionSayWhichToReplace() {
    answering(0);
    assertThatThrownBy(() -> ping(other("newest", new WireVersions(2, 3)), 0))
        .satisfies(code(ErrorCode.WRONG_VERSION))
        .hasMessageContaining("node newest speaks wire versions 2 to 3, and this node 1 to 1")
        .hasMessageContaining("replace this node by a newer version");
    awaitUntil(() -> ends.get(0).status().lastRefusal().startsWith("WRONG_VERSION"));
  }

  @Test
  void aServerOfAnotherWireVersionFailsTheCallByName() throws IOException {
    try (var server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      env.spawn(
          "old server",
          () -> {
            try (Socket socket = server.accept()) {
              new DataInputStream(socket.getInputStream()).readFully(new byte[32]);
              byte[] header = new byte[32];
              System.arraycopy("FBYW".getBytes(UTF_8), 0, header, 0, 4);
              header[4] = 2;
              header[5] = 3;
              socket.getOutputStream().write(header);
              drain(socket.getInputStream());
            } catch (IOException closed) {
              // The dialling end has gone, as it should.
            }
          });
      assertThatThrownBy(() -> ping(toward(server), 0)).satisfies(code(ErrorCode.WRONG_VERSION));
    }
  }

  @Test
  void garbageClosesTheConnectionAndHurtsNobodyElse() throws IOException {
    answering(0);
    var random = new Random(20_261_124);
    for (int i = 0; i < 60; i++) {
      try (var socket = new Socket(InetAddress.getLoopbackAddress(), ends.get(0).port())) {
        byte[] garbage = new byte[1 + random.nextInt(6000)];
        random.nextBytes(garbage);
        if (i % 2 == 0 && garbage.length > 6) {
          System.arraycopy("FBYW\1".getBytes(UTF_8), 0, garbage, 0, 5);
          garbage[5] = (byte) (1 + random.nextInt(12));
        }
        socket.getOutputStream().write(garbage);
        socket.shutdownOutput();
        drain(socket.getInputStream());
      } catch (IOException reset) {
        // A reset is as good an answer as a close.
      }
    }
    assertThat(ping(other("n9", "secret", "c1", Optional.empty()), 0)).isEqualTo(new Pong());
    awaitUntil(() -> ends.get(0).status().refusedPeers() >= 60);
  }

  @Test
  void aPeerThatAcceptsAndNeverSpeaksIsGivenUp() throws IOException {
    try (var server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      TcpNetwork client = toward(server);
      assertThatThrownBy(() ->
              client
                  .call(new NodeId("n0"), new Ping(), Optional.empty(), 60 * SECOND)
                  .await(10 * SECOND, "the failure"))
          .satisfies(code(ErrorCode.PEER_UNREACHABLE));
    }
  }

  @Test
  void aPeerThatFallsSilentInTheMiddleIsGivenUp() throws IOException {
    answering(0);
    try (var proxy = new Proxy(ends.get(0).port())) {
      TcpNetwork client = other("client", "secret", "c1", Optional.empty());
      client.addresses(Map.of(new NodeId("n0"), "127.0.0.1:" + proxy.port()));
      assertThat(ping(client, 0)).isEqualTo(new Pong());
      proxy.stopped = true;
      assertThatThrownBy(() ->
              client
                  .call(new NodeId("n0"), new Ping(), Optional.empty(), 60 * SECOND)
                  .await(10 * SECOND, "the failure"))
          .satisfies(code(ErrorCode.PEER_UNREACHABLE))
          .hasMessageContaining("silent");
    }
  }

  @Test
  void aSlowHandlerIsNotTakenForADeadPeer() {
    ends.get(0)
        .serve(
            (from, message, payload) -> {
              env.sleep(5 * SECOND / 2);
              return Reply.of(new Pong());
            },
            refuseAll());
    assertThat(ping(ends.get(1), 0)).isEqualTo(new Pong());
  }

  @Test
  void aPeerThatRestartsAtItsAddressIsReachedAgain() {
    answering(0);
    assertThat(ping(ends.get(1), 0)).isEqualTo(new Pong());
    int port = ends.get(0).port();
    ends.get(0).close();
    awaitUntil(() -> ends.get(1).status().connections() == 0);
    assertThatThrownBy(() -> ping(ends.get(1), 0)).satisfies(code(ErrorCode.PEER_UNREACHABLE));
    ends.set(0, network("n0", "secret", "c1", Optional.of("127.0.0.1:" + port)));
    answering(0);
    long start = env.nanoTime();
    awaitUntil(() -> {
      try {
        return ping(ends.get(1), 0).equals(new Pong());
      } catch (ForebayException stillBackingOff) {
        return false;
      }
    });
    assertThat(env.nanoTime() - start).isLessThan(5 * SECOND);
  }

  @Test
  void moreCallsThanMayRunAtOnceWaitAndAreAnswered() {
    var gate = new io.forebay.core.env.Outcome<Void>(env);
    ends.get(0)
        .serve(
            (from, message, payload) -> {
              gate.await();
              return Reply.of(new Pong());
            },
            refuseAll());
    var calls = new ArrayList<io.forebay.core.env.Outcome<Reply>>();
    for (int i = 0; i < 1500; i++) {
      calls.add(ends.get(1).call(new NodeId("n0"), new Ping(), Optional.empty(), 60 * SECOND));
    }
    awaitUntil(() -> ends.get(0).status().runningCalls() >= 256);
    env.sleep(2 * SECOND); // longer than silence is borne
    assertThat(ends.get(0).status().runningCalls()).isLessThanOrEqualTo(256);
    gate.complete(null);
    calls.forEach(call -> assertThat(call.await().message()).isEqualTo(new Pong()));
  }

  /** Else a node whose commands wait for the log would be taken for dead. */
  @Test
  void heartbeatsAreAnsweredWhileCommandsWait() {
    var gate = new Outcome<Void>(env);
    ends.get(0)
        .serve(
            (from, message, payload) -> {
              if (!(message instanceof ControlMessage.Heartbeat)) {
                gate.await();
              }
              return Reply.of(new Pong());
            },
            refuseAll());
    var calls = new ArrayList<Outcome<Reply>>();
    for (int i = 0; i < 400; i++) {
      calls.add(ends.get(1).call(new NodeId("n0"), new Ping(), Optional.empty(), 60 * SECOND));
    }
    awaitUntil(() -> ends.get(0).status().runningCalls() >= 256);
    var beat = new ControlMessage.Heartbeat(new NodeId("n1"), 1, 1, List.of());
    assertThat(
            ends.get(1)
                .call(new NodeId("n0"), beat, Optional.empty(), 5 * SECOND)
                .await()
                .message())
        .isEqualTo(new Pong());
    gate.complete(null);
    calls.forEach(call -> assertThat(call.await().message()).isEqualTo(new Pong()));
  }

  /** What it does not take lies in buffers that others wait for. */
  @Test
  void aPeerThatTakesNoAnswersIsGivenUpWithTheirBuffers() throws IOException {
    var pool = new SlabPool(env, 1 << 20, 48);
    ends.get(0)
        .serve(
            (from, message, payload) -> {
              Slab slab = pool.take();
              try {
                return new Reply(new Pong(), Optional.of(slab.bytes(0, 1 << 20)));
              } finally {
                slab.release();
              }
            },
            refuseAll());
    try (var proxy = new Proxy(ends.get(0).port())) {
      TcpNetwork client = other("client", "secret", "c1", Optional.empty());
      client.addresses(Map.of(new NodeId("n0"), "127.0.0.1:" + proxy.port()));
      Reply first =
          client.call(new NodeId("n0"), new Ping(), Optional.empty(), 10 * SECOND).await();
      first.release();
      proxy.reads = false;
      var calls = new ArrayList<Outcome<Reply>>();
      for (int i = 0; i < 48; i++) {
        calls.add(client.call(new NodeId("n0"), new Ping(), Optional.empty(), 60 * SECOND));
      }
      env.sleep(Connection.UNTAKEN_NANOS);
      awaitUntil(() -> pool.available() == 48 && ends.get(0).status().connections() == 0);
      assertThat(calls).allSatisfy(call -> assertThatThrownBy(call::await).isNotNull());
    }
  }

  private void answering(int index) {
    ends.get(index).serve((from, message, payload) -> Reply.of(new Pong()), refuseAll());
  }

  private static io.forebay.core.net.ChunkReceiver refuseAll() {
    return (from, put) -> {
      throw new ForebayException(ErrorCode.UNAVAILABLE, "no chunks here");
    };
  }

  private Object ping(TcpNetwork from, int to) {
    return from.call(new NodeId("n" + to), new Ping(), Optional.empty(), 10 * SECOND)
        .await()
        .message();
  }

  @Test
  void closingInTheMiddleOfADialIsNoErrorOfTheLibrary() {
    var logged = new ConcurrentLinkedQueue<String>();
    var told =
        new Handler() {
          @Override
          public void publish(LogRecord line) {
            logged.add(line.getLevel() + " " + line.getMessage());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger library = Logger.getLogger("io.netty"); // where nothing is bound to SLF4J
    library.addHandler(told);
    try {
      for (int i = 0; i < 200; i++) {
        TcpNetwork client = other("client", "secret", "c1", Optional.empty());
        Outcome<Reply> call =
            client.call(new NodeId("n0"), new Ping(), Optional.empty(), 5 * SECOND);
        for (int spin = 0; spin < 50 * i; spin++) {
          Thread.onSpinWait();
        }
        client.close();
        assertThat(call.awaitUntil(env.nanoTime() + 5 * SECOND)).isTrue();
      }
    } finally {
      library.removeHandler(told);
    }
    assertThat(logged).isEmpty();
  }

  private TcpNetwork network(String name, String secret, String cluster, Optional<String> listen) {
    return network(name, secret, cluster, listen, WireVersions.OURS);
  }

  private TcpNetwork network(
      String name, String secret, String cluster, Optional<String> listen, WireVersions versions) {
    return TcpNetwork.start(
        env,
        new NodeId(name),
        () -> cluster,
        new TcpSettings(
            listen, secret.getBytes(UTF_8), 2, 2, WINDOW_SLICES, 24, 8, 1 << 20, 2, versions));
  }

  private TcpNetwork other(String name, WireVersions versions) {
    return other(network(name, "secret", "c1", Optional.empty(), versions));
  }

  private TcpNetwork other(String name, String secret, String cluster, Optional<String> listen) {
    return other(network(name, secret, cluster, listen));
  }

  private TcpNetwork other(TcpNetwork network) {
    others.add(network);
    network.addresses(Map.of(new NodeId("n0"), "127.0.0.1:" + ends.get(0).port()));
    return network;
  }

  private TcpNetwork toward(ServerSocket server) {
    TcpNetwork client = other("client", "secret", "c1", Optional.empty());
    client.addresses(Map.of(new NodeId("n0"), "127.0.0.1:" + server.getLocalPort()));
    return client;
  }

  private static void drain(InputStream in) throws IOException {
    byte[] buffer = new byte[8192];
    while (in.read(buffer) >= 0) {
      // Until the peer closes.
    }
  }

  private static Consumer<Throwable> code(ErrorCode code) {
    return thrown -> {
      assertThat(thrown).isInstanceOf(ForebayException.class);
      assertThat(((ForebayException) thrown).code()).isEqualTo(code);
    };
  }

  private void awaitUntil(BooleanSupplier condition) {
    long deadline = env.nanoTime() + 30 * SECOND;
    while (!condition.getAsBoolean()) {
      if (env.nanoTime() > deadline) {
        throw new AssertionError("the condition did not come true within 30 s");
      }
      env.sleep(1_000_000);
    }
  }

  /**
   * Passes bytes on until it is told to stop: then both ends live and nothing moves; or until it
   * does not read answers any more, as a process that stands.
   */
  private final class Proxy implements AutoCloseable {
    private final ServerSocket server;
    private final int target;
    private final List<Socket> sockets = new ArrayList<>();
    private volatile boolean stopped;
    private volatile boolean reads = true;

    Proxy(int target) throws IOException {
      this.target = target;
      server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
      env.spawn(
          "proxy",
          () -> {
            try {
              while (true) {
                Socket in = server.accept();
                var out = new Socket(InetAddress.getLoopbackAddress(), target);
                sockets.add(in);
                sockets.add(out);
                env.spawn("pump", () -> pump(in, out));
                env.spawn("pump", () -> pump(out, in));
              }
            } catch (IOException closed) {
              // The test is over.
            }
          });
    }

    int port() {
      return server.getLocalPort();
    }

    private void pump(Socket from, Socket to) {
      byte[] buffer = new byte[8192];
      try {
        for (int n = from.getInputStream().read(buffer);
            n >= 0;
            n = from.getInputStream().read(buffer)) {
          if (!stopped) {
            to.getOutputStream().write(buffer, 0, n);
          }
          while (!reads && !from.isClosed() && from.getPort() == target) {
            env.sleep(SECOND / 50);
          }
        }
      } catch (IOException closed) {
        // The test is over.
      }
    }

    @Override
    public void close() throws IOException {
      server.close();
      for (Socket socket : sockets) {
        socket.close();
      }
    }
  }
}
