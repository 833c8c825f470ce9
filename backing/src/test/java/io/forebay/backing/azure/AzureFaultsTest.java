package io.forebay.backing.azure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.azure.core.http.HttpMethod;
import com.azure.core.http.HttpRequest;
import com.azure.core.util.Context;
import com.sun.net.httpserver.HttpExchange;
import io.forebay.backing.http.Deadline;
import io.forebay.backing.http.FaultServer;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.ObjectStore.PutResult;
import io.forebay.core.backing.ObjectStore.ReadResult;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reactor.core.publisher.Mono;

/**
 * What a store's bad answers turn into, that a change is sent once whatever they are, and that no
 * buffer is touched after its call. The other side is a small real server.
 */
final class AzureFaultsTest {
  private static final PutOptions OPTIONS =
      new PutOptions(new StoreCondition.Any(), "", Map.of(), Map.of());
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Duration SHORT = Duration.ofSeconds(3);
  private static final String ETAG = "0x1";
  private static final int SLAB_BYTES = 1 << 20;
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, SLAB_BYTES, 16);
  private final FaultServer server = new FaultServer();
  private final List<String> requests = server.requests();
  private final List<AutoCloseable> opened = new ArrayList<>();

  /** The SDK takes seconds to load, which are no part of a short time-out. */
  @BeforeAll
  static void load() {
    try (ObjectStore store =
        AzureStore.open(
            "azblob://acc/box",
            name ->
                switch (name) {
                  case AzureAddress.KEY -> Optional.of("c2VjcmV0");
                  case AzureAddress.ENDPOINT -> Optional.of("http://127.0.0.1:1");
                  default -> Optional.empty();
                },
            LONG)) {
      putFails(store);
    }
  }

  @AfterEach
  void everyBufferComesBack() throws Exception {
    for (AutoCloseable each : opened.reversed()) {
      each.close();
    }
    server.close();
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  private <T extends AutoCloseable> T closing(T resource) {
    opened.add(resource);
    return resource;
  }

  private ObjectStore open(String options, String endpoint, Duration timeout) {
    return closing(
        AzureStore.open(
            "azblob://acc/box" + options,
            name ->
                switch (name) {
                  case AzureAddress.KEY -> Optional.of("c2VjcmV0");
                  case AzureAddress.ENDPOINT -> Optional.of(endpoint);
                  default -> Optional.empty();
                },
            timeout));
  }

  private static void answer(HttpExchange exchange, int status, String code) throws IOException {
    if (code != null) {
      exchange.getResponseHeaders().add("x-ms-error-code", code);
    }
    exchange.sendResponseHeaders(status, -1);
    exchange.close();
  }

  private static void stored(HttpExchange exchange) throws IOException {
    FaultServer.describe(exchange, ETAG);
    exchange.sendResponseHeaders(201, -1);
    exchange.close();
  }

  private ReadResult read(ObjectStore store) {
    return store.read("some/key", 1000, 5000, Optional.of(ETAG), pool);
  }

  private static ForebayException named(ForebayException failure) {
    assertThat(failure)
        .isNotNull()
        .hasMessageContaining("some/key")
        .hasMessageContaining("azblob://acc/box")
        .hasMessageNotContaining("c2VjcmV0");
    return failure;
  }

  private ForebayException readFails(ObjectStore store) {
    return named(catchThrowableOfType(ForebayException.class, () -> read(store)));
  }

  private static ForebayException putFails(ObjectStore store) {
    return named(
        catchThrowableOfType(
            ForebayException.class, () -> store.put("some/key", List.of(), OPTIONS)));
  }

  @ParameterizedTest
  @CsvSource({
    "403,AuthorizationFailure,STORE_DENIED,check their rights",
    "403,,STORE_UNREACHABLE,not Azure Blob Storage",
    "404,ContainerNotFound,STORE_MISSING,create=true",
    "404,,STORE_UNREACHABLE,not Azure Blob Storage",
    "409,LeaseIdMissing,STORE_CONFLICT,a lease",
    "412,LeaseIdMissing,STORE_CONFLICT,a lease",
    "400,InvalidHeaderValue,INVALID_ARGUMENT,does not take",
    "413,RequestBodyTooLarge,INVALID_ARGUMENT,does not take",
    "429,,STORE_THROTTLED,17 s",
    "503,ServerBusy,STORE_THROTTLED,17 s",
    "503,,STORE_UNREACHABLE,may have been carried out",
    "502,,STORE_UNREACHABLE,may have been carried out",
    "500,InternalError,STORE_UNREACHABLE,may have been carried out",
    "500,OperationTimedOut,TIMEOUT,may have been carried out",
    "302,,STORE_UNREACHABLE,may have been carried out",
    "400,InvalidBlockList,NO_SUCH_UPLOAD,begins anew",
  })
  void anAnswerIsTakenForWhatItSaysAndTheChangeIsSentOnce(
      int status, String code, ErrorCode expected, String advice) throws IOException {
    String endpoint =
        server.serve(exchange -> {
          exchange.getResponseHeaders().add("Retry-After", "17");
          answer(exchange, status, code);
        });
    ForebayException failure = putFails(open("", endpoint, LONG));
    assertThat(failure.code()).as(failure.getMessage()).isEqualTo(expected);
    assertThat(failure)
        .hasMessageContaining(Integer.toString(status))
        .hasMessageContaining("storing")
        .hasMessageContaining(advice);
    assertThat(requests).hasSize(1);
  }

  @Test
  void changesTellTheServerToGiveUpToo() throws IOException {
    ObjectStore store = open("", server.serve(AzureFaultsTest::stored), Duration.ofSeconds(17));
    assertThat(store.put("some/key", List.of(), OPTIONS)).isEqualTo(new PutResult.Stored(ETAG));
    String upload = store.begin("some/key", "1-1", OPTIONS);
    store.commit(
        "some/key", upload, List.of(store.stage("some/key", upload, 1, List.of())), OPTIONS);
    assertThat(requests).hasSize(3).allMatch(request -> request.contains("timeout=17"));
  }

  /** As Azurite answers where a cut-off upload has left blocks. */
  @ParameterizedTest
  @CsvSource({"404,true", "200,false"})
  void aNameThatIsTakenByNothingIsWrittenAsABlock(int head, boolean stored) throws IOException {
    String endpoint =
        server.serve(exchange -> {
          boolean whole = !exchange.getRequestURI().getQuery().contains("comp=");
          if (exchange.getRequestMethod().equals("HEAD")) {
            FaultServer.describe(exchange, ETAG);
            answer(exchange, head, head == 404 ? "BlobNotFound" : null);
          } else if (whole) {
            answer(exchange, 409, "BlobAlreadyExists");
          } else {
            stored(exchange);
          }
        });
    var absent = new PutOptions(new StoreCondition.IfAbsent(), "", Map.of(), Map.of());
    List<Bytes> body = List.of(new Synthetic(1, 0, 5_000));
    assertThat(open("", endpoint, LONG).put("some/key", body, absent))
        .isEqualTo(stored ? new PutResult.Stored(ETAG) : new PutResult.Refused());
    assertThat(requests.stream().filter(request -> request.startsWith("PUT")))
        .hasSize(stored ? 3 : 1);
  }

  @Test
  void anAnswerWithoutAnEtagIsUnclear() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          exchange.sendResponseHeaders(201, -1);
          exchange.close();
        });
    assertThat(putFails(open("", endpoint, LONG)).code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(requests).hasSize(1);
  }

  @Test
  void nobodyAtThePortIsUnreachable() throws IOException {
    ForebayException failure = putFails(open("", FaultServer.nobody(), LONG));
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("check the network");
  }

  @Test
  void anAnswerThatDoesNotComeIsATimeout() throws IOException {
    var over = new CountDownLatch(1);
    String endpoint = server.serve(exchange -> FaultServer.hold(over));
    ForebayException failure = putFails(open("", endpoint, SHORT));
    over.countDown();
    assertThat(failure.code()).isEqualTo(ErrorCode.TIMEOUT);
    assertThat(failure).hasMessageContaining("may have been carried out");
    assertThat(requests).hasSize(1);
  }

  @Test
  void aCallerThatIsInterruptedIsToldThatTheOutcomeIsUnclear() throws Exception {
    var over = new CountDownLatch(1);
    var arrived = new CountDownLatch(1);
    String endpoint =
        server.serve(exchange -> {
          arrived.countDown();
          FaultServer.hold(over);
        });
    ObjectStore store = open("", endpoint, LONG);
    var failed = new CompletableFuture<ForebayException>();
    var stillInterrupted = new CompletableFuture<Boolean>();
    Thread caller =
        Thread.ofVirtual()
            .start(() -> {
              failed.complete(putFails(store));
              stillInterrupted.complete(Thread.currentThread().isInterrupted());
            });
    arrived.await();
    caller.interrupt();
    assertThat(failed.get().code()).isEqualTo(ErrorCode.CANCELLED);
    assertThat(stillInterrupted.get()).isTrue();
    over.countDown();
    assertThat(requests).hasSize(1);
  }

  /** F1 below the SDK: neither a new connection that is cut nor a used one is tried again. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void aConnectionThatIsCutAfterTheRequestIsNotTriedAgain(boolean reset) throws IOException {
    ObjectStore store = open("", server.cutting(reset, "201 Created"), LONG);
    assertThat(putFails(store).code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(requests).hasSize(1);
    store.put("some/key", List.of(), OPTIONS);
    ForebayException failure = putFails(store);
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("may have been carried out");
    assertThat(requests).hasSize(3);
  }

  /** F2: what was not sent when the call gave up is never sent, least of all somebody else's. */
  @Test
  void aBufferIsNotSentAfterItsCallHasReturned() throws Exception {
    var gaveUp = new CountDownLatch(1);
    var received = new CompletableFuture<FaultServer.Received>();
    ObjectStore store = open("", server.reluctant(gaveUp, received), SHORT);
    var body = new ArrayList<Bytes>();
    for (int i = 0; i < 12; i++) {
      Slab slab = filled(1);
      body.add(slab.bytes(0, SLAB_BYTES));
      slab.release();
    }
    ForebayException failure =
        catchThrowableOfType(ForebayException.class, () -> store.put("some/key", body, OPTIONS));
    body.forEach(Bytes::release);
    assertThat(failure.code()).isEqualTo(ErrorCode.TIMEOUT);
    var again = new ArrayList<Slab>();
    while (again.size() < pool.count()) {
      again.add(filled(2));
    }
    gaveUp.countDown();
    FaultServer.Received all = received.get();
    again.forEach(Slab::release);
    assertThat(all.ones()).as("bytes of the body").isLessThan(12L * SLAB_BYTES);
    assertThat(all.twos()).as("bytes written after the call").isZero();
    assertThat(all.reset()).as("what lay in the socket was dropped").isTrue();
  }

  private Slab filled(int value) {
    Slab slab = pool.take();
    for (var buffer = slab.buffer(); buffer.hasRemaining(); ) {
      buffer.put((byte) value);
    }
    return slab;
  }

  @Test
  void whatWasHeldUpUntilAfterItsDeadlineIsNotSent() throws IOException {
    var sent = new AtomicInteger();
    var guard =
        new LateGuard(request -> {
          sent.incrementAndGet();
          return Mono.empty();
        });
    var request = new HttpRequest(HttpMethod.PUT, "http://127.0.0.1/");
    var inTime = new Context(LateGuard.DEADLINE, Deadline.in(LONG));
    guard.send(request, inTime).block();
    assertThat(sent).hasValue(1);
    for (Deadline passed :
        List.of(
            new Deadline(System.nanoTime() - 1, System.currentTimeMillis() + 10_000),
            new Deadline(System.nanoTime() + 10_000_000_000L, System.currentTimeMillis() - 1))) {
      var late = new Context(LateGuard.DEADLINE, passed);
      assertThat(guard.send(request, late).materialize().block().getThrowable())
          .isInstanceOf(TimeoutException.class);
    }
    assertThat(sent).hasValue(1);
  }

  @Test
  void aBodyThatStopsIsATimeout() throws IOException {
    var over = new CountDownLatch(1);
    String endpoint =
        server.serve(exchange -> {
          FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, 2000);
          FaultServer.hold(over);
        });
    assertThat(readFails(open("", endpoint, SHORT)).code()).isEqualTo(ErrorCode.TIMEOUT);
    over.countDown();
  }

  @Test
  void aBodyThatEndsEarlyIsNoPart() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, 2000);
          exchange.close();
        });
    ForebayException failure = readFails(open("", endpoint, LONG));
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("reading 5000 bytes at 1000");
  }

  @ParameterizedTest
  @CsvSource({
    "bytes 0-4999/9000,STORE_UNREACHABLE",
    "bytes 1000-1999/2000,RANGE_NOT_SATISFIABLE",
    "nonsense,STORE_UNREACHABLE",
  })
  void aPartThatWasNotAskedForIsNotTaken(String range, ErrorCode expected) throws IOException {
    String endpoint =
        server.serve(exchange -> {
          FaultServer.part(exchange, range, ETAG, 5000, 5000);
          exchange.close();
        });
    assertThat(readFails(open("", endpoint, LONG)).code()).isEqualTo(expected);
  }

  @Test
  void aWholeObjectIsNotTakenForAPart() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          FaultServer.describe(exchange, ETAG);
          exchange.sendResponseHeaders(200, 5000);
          exchange.getResponseBody().write(new byte[5000]);
          exchange.close();
        });
    ForebayException failure = readFails(open("", endpoint, LONG));
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("the whole object");
  }

  @Test
  void anotherVersionUnderAReadIsSeen() throws IOException {
    var answered = new AtomicInteger();
    String endpoint =
        server.serve(exchange -> {
          assertThat(exchange.getRequestHeaders().getFirst("If-Match")).isEqualTo('"' + ETAG + '"');
          switch (answered.incrementAndGet()) {
            case 1 -> {
              FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, 5000);
              exchange.close();
            }
            // A store that does not honour the condition.
            case 2 -> {
              FaultServer.part(exchange, "bytes 1000-5999/9000", "0x2", 5000, 5000);
              exchange.close();
            }
            case 3 -> answer(exchange, 412, "ConditionNotMet");
            default -> answer(exchange, 404, "BlobNotFound");
          }
        });
    ObjectStore store = open("", endpoint, LONG);
    assertThat(read(store))
        .isInstanceOfSatisfying(ReadResult.Data.class, data -> data.bytes().release());
    assertThat(read(store)).isInstanceOf(ReadResult.Changed.class);
    assertThat(read(store)).isInstanceOf(ReadResult.Changed.class);
    assertThat(read(store)).isInstanceOf(ReadResult.Missing.class);
  }

  @Test
  void readsAreTriedAgainAndEachIsCounted() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          if (requests.size() < 3) {
            answer(exchange, 503, "ServerBusy");
          } else {
            FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, 5000);
            exchange.close();
          }
        });
    ObjectStore store = open("", endpoint, LONG);
    assertThat(read(store))
        .isInstanceOfSatisfying(ReadResult.Data.class, data -> data.bytes().release());
    assertThat(requests).hasSize(3);
    assertThat(store.requests().reads()).isEqualTo(3);
  }

  @Test
  void whatAzureCannotHoldIsRefusedBeforeItIsSent() throws IOException {
    ObjectStore store = open("", server.serve(AzureFaultsTest::stored), LONG);
    for (var call :
        List.<Runnable>of(
            () ->
                store.put(
                    "some/key",
                    List.of(),
                    new PutOptions(OPTIONS.condition(), "text/plän", Map.of(), Map.of())),
            () ->
                store.begin(
                    "some/key",
                    "1-1",
                    new PutOptions(
                        OPTIONS.condition(), "", Map.of("cache-control", "a\nb"), Map.of())),
            () -> store.put("some/key/a./b", List.of(), OPTIONS),
            () -> store.delete("some/key\\b", new StoreCondition.Any()),
            () -> store.head("some/key" + "k".repeat(1024)))) {
      ForebayException failure = named(catchThrowableOfType(ForebayException.class, call::run));
      assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
      assertThat(failure).hasMessageContaining("not sent");
    }
    assertThat(requests).isEmpty();
  }

  @Test
  void aContainerIsMadeOnceAndAgainWhenItWent() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          if (exchange.getRequestURI().toString().contains("restype=container")) {
            stored(exchange);
          } else if (requests.size() == 4) {
            answer(exchange, 404, "ContainerNotFound");
          } else {
            stored(exchange);
          }
        });
    ObjectStore store = open("?create=true", endpoint, LONG);
    assertThat(requests).as("opening sends nothing").isEmpty();
    store.put("some/key", List.of(), OPTIONS);
    store.put("some/key", List.of(), OPTIONS);
    assertThat(putFails(store).code()).isEqualTo(ErrorCode.STORE_MISSING);
    store.put("some/key", List.of(), OPTIONS);
    assertThat(requests).hasSize(6);
    assertThat(requests.get(0)).contains("restype=container");
    assertThat(requests.get(4)).contains("restype=container");
  }

  @Test
  void whoMayNotMakeAContainerMayUseIt() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          if (exchange.getRequestURI().toString().contains("restype=container")) {
            answer(exchange, 403, "AuthorizationPermissionMismatch");
          } else {
            stored(exchange);
          }
        });
    ObjectStore store = open("?create=true", endpoint, LONG);
    assertThat(store.put("some/key", List.of(), OPTIONS)).isInstanceOf(PutResult.Stored.class);
  }

  @Test
  void aSignatureIsInNoMessage() throws IOException {
    String sas = "sv=2024&sr=c&sig=" + "c2lnbmF0dXJl";
    for (String endpoint :
        List.of(
            server.serve(exchange -> answer(exchange, 403, "AuthenticationFailed")),
            "http://[::1]:1")) {
      ObjectStore store =
          closing(
              AzureStore.open(
                  "azblob://acc/box",
                  name ->
                      switch (name) {
                        case AzureAddress.SAS_TOKEN -> Optional.of(sas);
                        case AzureAddress.ENDPOINT -> Optional.of(endpoint);
                        default -> Optional.empty();
                      },
                  LONG));
      assertThat(putFails(store)).hasMessageNotContaining("c2lnbmF0dXJl");
      for (Throwable at = putFails(store); at != null; at = at.getCause()) {
        assertThat(at.toString()).doesNotContain("c2lnbmF0dXJl");
      }
    }
  }
}
