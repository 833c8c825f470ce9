package io.forebay.backing.azure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.sun.net.httpserver.HttpServer;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a store's bad answers turn into, and that a change is sent once whatever they are. */
final class AzureFaultsTest {
  private static final PutOptions OPTIONS =
      new PutOptions(new StoreCondition.Any(), "", Map.of(), Map.of());

  private static ObjectStore open(String endpoint, Duration timeout) {
    return AzureStore.open(
        "azblob://acc/box",
        name ->
            switch (name) {
              case AzureAddress.KEY -> Optional.of("c2VjcmV0");
              case AzureAddress.ENDPOINT -> Optional.of(endpoint);
              default -> Optional.empty();
            },
        timeout);
  }

  private static ForebayException putFails(ObjectStore store) {
    ForebayException failure =
        catchThrowableOfType(
            ForebayException.class, () -> store.put("some/key", List.of(), OPTIONS));
    assertThat(failure)
        .hasMessageContaining("some/key")
        .hasMessageContaining("azblob://acc/box")
        .hasMessageNotContaining("c2VjcmV0");
    return failure;
  }

  @ParameterizedTest
  @CsvSource({
    "403,AuthorizationFailure,STORE_DENIED",
    "403,,STORE_UNREACHABLE",
    "404,ContainerNotFound,STORE_MISSING",
    "404,,STORE_UNREACHABLE",
    "409,LeaseIdMissing,STORE_DENIED",
    "412,LeaseIdMissing,STORE_DENIED",
    "429,,STORE_THROTTLED",
    "503,ServerBusy,STORE_THROTTLED",
    "500,ServerBusy,STORE_THROTTLED",
    "400,InvalidHeaderValue,STORE_DENIED",
    "408,,STORE_UNREACHABLE",
    "502,,STORE_UNREACHABLE",
    "302,,STORE_UNREACHABLE",
    "503,,STORE_UNREACHABLE",
    "500,InternalError,STORE_UNREACHABLE",
    "500,OperationTimedOut,TIMEOUT",
    "400,InvalidBlockList,NO_SUCH_UPLOAD",
  })
  void anAnswerIsTakenForWhatItSaysAndTheChangeIsSentOnce(
      int status, String code, ErrorCode expected) throws IOException {
    var requests = new AtomicInteger();
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          requests.incrementAndGet();
          exchange.getRequestBody().readAllBytes();
          if (code != null) {
            exchange.getResponseHeaders().add("x-ms-error-code", code);
          }
          exchange.getResponseHeaders().add("Retry-After", "17");
          exchange.sendResponseHeaders(status, -1);
          exchange.close();
        });
    server.start();
    try (ObjectStore store =
        open("http://127.0.0.1:" + server.getAddress().getPort(), Duration.ofSeconds(20))) {
      ForebayException failure = putFails(store);
      assertThat(failure.code()).as(failure.getMessage()).isEqualTo(expected);
      assertThat(failure).hasMessageContaining(Integer.toString(status));
      if (expected == ErrorCode.STORE_THROTTLED) {
        assertThat(failure).hasMessageContaining("17 s");
      }
      assertThat(requests).hasValue(1);
    } finally {
      server.stop(0);
    }
  }

  @Test
  void nobodyAtThePortIsUnreachable() throws IOException {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    try (ObjectStore store = open("http://127.0.0.1:" + port, Duration.ofSeconds(20))) {
      assertThat(putFails(store).code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    }
  }

  @Test
  void anAnswerThatDoesNotComeIsATimeout() throws IOException {
    var over = new CountDownLatch(1);
    var requests = new AtomicInteger();
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext(
        "/",
        exchange -> {
          requests.incrementAndGet();
          try {
            over.await();
          } catch (InterruptedException stop) {
            Thread.currentThread().interrupt();
          }
          exchange.close();
        });
    server.start();
    try (ObjectStore store =
        open("http://127.0.0.1:" + server.getAddress().getPort(), Duration.ofSeconds(1))) {
      assertThat(putFails(store).code()).isEqualTo(ErrorCode.TIMEOUT);
      assertThat(requests).hasValue(1);
    } finally {
      over.countDown();
      server.stop(0);
    }
  }

  /** F1 below the SDK: a connection that breaks after the request is not tried again. */
  @Test
  void aConnectionThatBreaksIsNotTriedAgain() throws IOException {
    var connections = new AtomicInteger();
    try (ServerSocket server = new ServerSocket(0, 8, InetAddress.getLoopbackAddress())) {
      Thread breaker =
          Thread.ofVirtual()
              .start(() -> {
                while (!server.isClosed()) {
                  try (var socket = server.accept()) {
                    connections.incrementAndGet();
                    socket.getInputStream().read();
                    socket.setSoLinger(true, 0);
                  } catch (IOException closed) {
                    return;
                  }
                }
              });
      try (ObjectStore store =
          open("http://127.0.0.1:" + server.getLocalPort(), Duration.ofSeconds(20))) {
        assertThat(putFails(store).code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
        assertThat(connections).hasValue(1);
      }
      assertThat(breaker.isAlive()).isTrue();
    }
  }
}
