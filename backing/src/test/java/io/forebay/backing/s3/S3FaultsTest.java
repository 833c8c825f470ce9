package io.forebay.backing.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import io.forebay.backing.http.Deadline;
import io.forebay.backing.http.FaultServer;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.ObjectStore.DeleteResult;
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
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;

/**
 * What a store's bad answers turn into, that a change is sent once whatever they are, and that no
 * buffer is touched after its call. The other side is a small real server.
 */
final class S3FaultsTest {
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

  private static Optional<String> settings(String name) {
    return switch (name) {
      case S3Address.KEY_ID -> Optional.of("AKIDEXAMPLE");
      case S3Address.SECRET -> Optional.of("c2VjcmV0");
      default -> Optional.empty();
    };
  }

  private static ObjectStore open(String endpoint, String options, Duration timeout) {
    return S3Store.open("s3://box?endpoint=" + endpoint + options, S3FaultsTest::settings, timeout);
  }

  /** The SDK takes seconds to load, which are no part of a short time-out. */
  @BeforeAll
  static void load() {
    try (ObjectStore store = open("http://127.0.0.1:1", "", LONG)) {
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

  private ObjectStore open(String endpoint, Duration timeout) {
    ObjectStore store = open(endpoint, "", timeout);
    opened.add(store);
    return store;
  }

  private ObjectStore open(String endpoint) {
    return open(endpoint, LONG);
  }

  private static void answer(HttpExchange exchange, int status, String code) throws IOException {
    boolean bare = code == null || exchange.getRequestMethod().equals("HEAD");
    byte[] body =
        bare
            ? new byte[0]
            : ("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code>"
                    + "<Message>a stub says so</Message></Error>")
                .formatted(code)
                .getBytes(StandardCharsets.UTF_8);
    answer(exchange, status, body);
  }

  private static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "application/xml");
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    if (body.length > 0) {
      exchange.getResponseBody().write(body);
    }
    exchange.close();
  }

  private static void stored(HttpExchange exchange) throws IOException {
    FaultServer.describe(exchange, ETAG);
    exchange.sendResponseHeaders(200, -1);
    exchange.close();
  }

  private static void xml(HttpExchange exchange, String text) throws IOException {
    answer(
        exchange,
        200,
        ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>" + text).getBytes(StandardCharsets.UTF_8));
  }

  private ReadResult read(ObjectStore store) {
    return store.read("some/key", 1000, 5000, Optional.of(ETAG), pool);
  }

  private static ForebayException named(ForebayException failure) {
    assertThat(failure)
        .isNotNull()
        .hasMessageContaining("some/key")
        .hasMessageContaining("s3://box")
        .hasMessageNotContaining("c2VjcmV0");
    return failure;
  }

  private static ForebayException fails(Runnable call) {
    return named(catchThrowableOfType(ForebayException.class, call::run));
  }

  private ForebayException readFails(ObjectStore store) {
    return fails(() -> read(store));
  }

  private static ForebayException putFails(ObjectStore store) {
    return fails(() -> store.put("some/key", List.of(), OPTIONS));
  }

  @ParameterizedTest
  @CsvSource({
    "403,AccessDenied,STORE_DENIED,check their rights",
    "403,RequestTimeTooSkewed,STORE_DENIED,clock",
    "400,ExpiredToken,STORE_DENIED,their end",
    "403,,STORE_UNREACHABLE,without a word of S3's",
    "404,NoSuchBucket,STORE_MISSING,create=true",
    "404,,STORE_UNREACHABLE,without a word of S3's",
    "404,NoSuchUpload,NO_SUCH_UPLOAD,begins anew",
    "301,PermanentRedirect,STORE_MISSING,not in the region us-east-1 but in eu-west-9",
    "400,AuthorizationHeaderMalformed,STORE_MISSING,region=",
    "409,InvalidBucketState,STORE_CONFLICT,a lock",
    "400,MetadataTooLarge,INVALID_ARGUMENT,does not take",
    "400,EntityTooLarge,INVALID_ARGUMENT,does not take",
    "501,NotImplemented,INVALID_ARGUMENT,If-None-Match",
    "400,BadDigest,STORE_UNREACHABLE,damaged",
    "400,RequestTimeout,TIMEOUT,may have been carried out",
    "429,,STORE_THROTTLED,17 s",
    "503,SlowDown,STORE_THROTTLED,17 s",
    "503,,STORE_UNREACHABLE,may have been carried out",
    "503,ServiceUnavailable,STORE_UNREACHABLE,may have been carried out",
    "502,,STORE_UNREACHABLE,may have been carried out",
    "500,InternalError,STORE_UNREACHABLE,may have been carried out",
  })
  void anAnswerIsTakenForWhatItSaysAndTheChangeIsSentOnce(
      int status, String code, ErrorCode expected, String advice) throws IOException {
    String endpoint =
        server.serve(exchange -> {
          exchange.getResponseHeaders().add("Retry-After", "17");
          exchange.getResponseHeaders().add("x-amz-bucket-region", "eu-west-9");
          answer(exchange, status, code);
        });
    ForebayException failure = putFails(open(endpoint));
    assertThat(failure.code()).as(failure.getMessage()).isEqualTo(expected);
    assertThat(failure)
        .hasMessageContaining(Integer.toString(status))
        .hasMessageContaining("storing")
        .hasMessageContaining(advice);
    assertThat(requests).hasSize(1);
  }

  @Test
  void aProxysPageIsNoAnswerOfTheStores() throws IOException {
    String endpoint =
        server.serve(exchange ->
            answer(
                exchange,
                403,
                "<html><body><h1>403 Forbidden</h1></body></html>"
                    .getBytes(StandardCharsets.UTF_8)));
    ForebayException failure = putFails(open(endpoint));
    assertThat(failure.code()).as(failure.getMessage()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(requests).hasSize(1);
  }

  /** The last one: two conditional changes at once, of which S3 refuses one. */
  @ParameterizedTest
  @CsvSource({"412,PreconditionFailed", "404,NoSuchKey", "409,ConditionalRequestConflict"})
  void aConditionThatDoesNotHoldIsRefusedAndSentOnce(int status, String code) throws IOException {
    ObjectStore store = open(server.serve(exchange -> answer(exchange, status, code)));
    assertThat(store.put("some/key", List.of(), OPTIONS)).isInstanceOf(PutResult.Refused.class);
    assertThat(store.commit("some/key", "u", List.of("1 e c"), OPTIONS))
        .isInstanceOf(PutResult.Refused.class);
    assertThat(requests).hasSize(2);
  }

  /** CompleteMultipartUpload begins its answer before it knows. */
  @ParameterizedTest
  @CsvSource({
    "InternalError,STORE_UNREACHABLE",
    "SlowDown,STORE_THROTTLED",
    "NoSuchUpload,NO_SUCH_UPLOAD",
    "InvalidPart,NO_SUCH_UPLOAD",
    "InvalidPartOrder,NO_SUCH_UPLOAD",
  })
  void anErrorInsideOfA200IsAnError(String code, ErrorCode expected) throws IOException {
    ObjectStore store =
        open(
            server.serve(exchange ->
                xml(exchange, "<Error><Code>" + code + "</Code><Message>m</Message></Error>")));
    ForebayException failure =
        fails(() -> store.commit("some/key", "u", List.of("1 e c"), OPTIONS));
    assertThat(failure.code()).as(failure.getMessage()).isEqualTo(expected);
    assertThat(requests).hasSize(1);
  }

  @Test
  void anAnswerWithoutAnEtagIsUnclear() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    assertThat(putFails(open(endpoint)).code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(requests).hasSize(1);
  }

  @Test
  void nobodyAtThePortIsUnreachable() throws IOException {
    ForebayException failure = putFails(open(FaultServer.nobody()));
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("check the network");
  }

  @Test
  void anAnswerThatDoesNotComeIsATimeout() throws IOException {
    var over = new CountDownLatch(1);
    String endpoint = server.serve(exchange -> FaultServer.hold(over));
    ForebayException failure = putFails(open(endpoint, SHORT));
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
    ObjectStore store = open(endpoint);
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
  @ValueSource(booleans = {true, false})
  void aConnectionThatIsCutAfterTheRequestIsNotTriedAgain(boolean reset) throws IOException {
    ObjectStore store = open(server.cutting(reset, "200 OK"));
    assertThat(putFails(store).code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(requests).hasSize(1);
    store.put("some/key", List.of(), OPTIONS);
    ForebayException failure = putFails(store);
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("may have been carried out");
    assertThat(requests).hasSize(3);
  }

  @Test
  void anAnswerThatIsCutInItsMiddleIsUnclear() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          exchange.sendResponseHeaders(200, 500);
          exchange.getResponseBody().write("<CompleteMultipart".getBytes(StandardCharsets.UTF_8));
          exchange.getResponseBody().flush();
          exchange.close();
        });
    ObjectStore store = open(endpoint);
    ForebayException failure =
        fails(() -> store.commit("some/key", "u", List.of("1 e c"), OPTIONS));
    assertThat(failure.code()).as(failure.getMessage()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("may have been carried out");
    assertThat(requests).hasSize(1);
  }

  /** F2: what was not sent when the call gave up is never sent, least of all somebody else's. */
  @Test
  void aBufferIsNotSentAfterItsCallHasReturned() throws Exception {
    var gaveUp = new CountDownLatch(1);
    var received = new CompletableFuture<FaultServer.Received>();
    ObjectStore store = open(server.reluctant(gaveUp, received), SHORT);
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
    assertThat(all.ones()).as("bytes of the body").isPositive().isLessThan(12L * SLAB_BYTES);
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
  void whatWasHeldUpUntilAfterItsDeadlineIsNotSent() {
    var guard = new LateGuard();
    guard.beforeTransmission(null, attributes(Deadline.in(LONG)));
    for (Deadline passed :
        List.of(
            new Deadline(System.nanoTime() - 1, System.currentTimeMillis() + 10_000),
            new Deadline(System.nanoTime() + 10_000_000_000L, System.currentTimeMillis() - 1))) {
      assertThatThrownBy(() -> guard.beforeTransmission(null, attributes(passed)))
          .isInstanceOf(SdkClientException.class)
          .hasCauseInstanceOf(TimeoutException.class);
    }
  }

  private static ExecutionAttributes attributes(Deadline deadline) {
    return new ExecutionAttributes().putAttribute(LateGuard.DEADLINE, deadline);
  }

  /** Every change asks the guard: one whose time is over before it begins reaches nobody. */
  @Test
  void noChangeIsSentAfterItsTime() throws IOException {
    ObjectStore store = open(server.serve(S3FaultsTest::stored), Duration.ofNanos(1));
    List.<Runnable>of(
            () -> store.put("some/key", List.of(), OPTIONS),
            () -> store.begin("some/key", "1-1", OPTIONS),
            () -> store.stage("some/key", "u", 1, List.of()),
            () -> store.commit("some/key", "u", List.of("1 e c"), OPTIONS),
            () -> store.abort("some/key", "u"),
            () -> store.delete("some/key", new StoreCondition.Any()))
        .forEach(call -> assertThat(fails(call).code()).isEqualTo(ErrorCode.TIMEOUT));
    assertThat(requests).isEmpty();
  }

  @Test
  void conditionsAndChecksumsTravelWithTheBytes() throws IOException {
    var headers = new ArrayList<Headers>();
    var bodies = new ArrayList<byte[]>();
    String endpoint =
        server.serve(exchange -> {
          headers.add(exchange.getRequestHeaders());
          bodies.add((byte[]) exchange.getAttribute("body"));
          if (exchange.getRequestMethod().equals("POST")) {
            xml(
                exchange,
                "<CompleteMultipartUploadResult><ETag>\"0x2\"</ETag></CompleteMultipartUploadResult>");
          } else {
            stored(exchange);
          }
        });
    ObjectStore store = open(endpoint);
    List<Bytes> body = List.of(new Synthetic(1, 0, 70_000), new Synthetic(2, 0, 30_001));
    var expected = ByteBuffer.allocate(100_001);
    body.forEach(bytes -> bytes.copyTo(expected));
    var crc = new CRC32C();
    crc.update(expected.array());
    String base64 =
        Base64.getEncoder()
            .encodeToString(ByteBuffer.allocate(4).putInt((int) crc.getValue()).array());

    var absent = new PutOptions(new StoreCondition.IfAbsent(), "", Map.of(), Map.of("a_b", "1"));
    var match = new PutOptions(new StoreCondition.IfMatch("e"), "", Map.of(), Map.of());
    store.put("some/key", body, absent);
    store.put("some/key", body, match);
    String tag = store.stage("some/key", "u", 7, body);
    store.commit("some/key", "u", List.of(tag), absent);
    store.commit("some/key", "u", List.of(tag), match);

    for (int i = 0; i < 3; i++) {
      assertThat(bodies.get(i)).isEqualTo(expected.array());
      assertThat(headers.get(i).getFirst("x-amz-checksum-crc32c")).isEqualTo(base64);
      assertThat(headers.get(i).getFirst("Expect")).isNull();
      assertThat(headers.get(i).getFirst("Content-Encoding")).isNull();
    }
    assertThat(headers.get(0).getFirst("If-None-Match")).isEqualTo("*");
    assertThat(headers.get(0).getFirst("x-amz-meta-a-b")).isEqualTo("1");
    assertThat(headers.get(1).getFirst("If-Match")).isEqualTo("\"e\"");
    assertThat(headers.get(3).getFirst("If-None-Match")).isEqualTo("*");
    assertThat(headers.get(4).getFirst("If-Match")).isEqualTo("\"e\"");
    assertThat(new String(bodies.get(4), StandardCharsets.UTF_8))
        .contains("<PartNumber>7</PartNumber>", base64, ETAG);
    assertThat(requests.get(2)).contains("partNumber=7", "uploadId=u");
  }

  @Test
  void aBodyThatStopsIsATimeout() throws IOException {
    var over = new CountDownLatch(1);
    String endpoint =
        server.serve(exchange -> {
          FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, 2000);
          FaultServer.hold(over);
        });
    assertThat(readFails(open(endpoint, SHORT)).code()).isEqualTo(ErrorCode.TIMEOUT);
    over.countDown();
  }

  @Test
  void aBodyThatEndsEarlyIsNoPart() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, 2000);
          exchange.close();
        });
    ForebayException failure = readFails(open(endpoint));
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(failure).hasMessageContaining("reading 5000 bytes at 1000");
    assertThat(requests).hasSize(3);
  }

  @Test
  void aBodyThatEndedEarlyIsReadAnew() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          boolean whole = requests.size() == 2;
          FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, whole ? 5000 : 2000);
          exchange.close();
        });
    assertThat(read(open(endpoint)))
        .isInstanceOfSatisfying(
            ReadResult.Data.class,
            data -> {
              assertThat(data.bytes().length()).isEqualTo(5000);
              data.bytes().release();
            });
    assertThat(requests).hasSize(2);
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
    assertThat(readFails(open(endpoint)).code()).isEqualTo(expected);
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
    ForebayException failure = readFails(open(endpoint));
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
            case 3 -> answer(exchange, 412, "PreconditionFailed");
            default -> answer(exchange, 404, "NoSuchKey");
          }
        });
    ObjectStore store = open(endpoint);
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
            answer(exchange, 503, "SlowDown");
          } else {
            FaultServer.part(exchange, "bytes 1000-5999/9000", ETAG, 5000, 5000);
            exchange.close();
          }
        });
    ObjectStore store = open(endpoint);
    assertThat(read(store))
        .isInstanceOfSatisfying(ReadResult.Data.class, data -> data.bytes().release());
    assertThat(requests).hasSize(3);
    assertThat(store.requests().reads()).isEqualTo(3);
  }

  /** A HEAD's 404 has no words: the bucket may be missing, or a proxy may have said it. */
  @Test
  void whetherAnObjectIsMissingIsNotTakenFromABareStatus() throws IOException {
    var said = new AtomicInteger();
    String endpoint =
        server.serve(exchange -> {
          if (exchange.getRequestMethod().equals("HEAD")) {
            answer(exchange, 404, (String) null);
          } else {
            switch (said.incrementAndGet()) {
              case 1 -> answer(exchange, 404, "NoSuchKey");
              case 2 -> answer(exchange, 404, "NoSuchBucket");
              default -> answer(exchange, 404, (String) null);
            }
          }
        });
    ObjectStore store = open(endpoint);
    assertThat(store.head("some/key")).isEmpty();
    assertThat(fails(() -> store.head("some/key")).code()).isEqualTo(ErrorCode.STORE_MISSING);
    assertThat(fails(() -> store.head("some/key")).code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(fails(() -> store.delete("some/key", new StoreCondition.IfMatch(ETAG))).code())
        .isEqualTo(ErrorCode.STORE_UNREACHABLE);
    assertThat(requests).noneMatch(request -> request.startsWith("DELETE"));
  }

  @ParameterizedTest
  @CsvSource({
    "403,AccessDenied,STORE_DENIED,s3:ListBucket",
    "301,PermanentRedirect,STORE_MISSING,region=",
    "400,AuthorizationHeaderMalformed,STORE_MISSING,region=",
    "403,,STORE_UNREACHABLE,without a word",
  })
  void aHeadThatIsRefusedSaysWhy(int status, String code, ErrorCode expected, String advice)
      throws IOException {
    ObjectStore store = open(server.serve(exchange -> answer(exchange, status, code)));
    ForebayException failure = fails(() -> store.head("some/key"));
    assertThat(failure.code()).isEqualTo(expected);
    assertThat(failure).hasMessageContaining(advice);
  }

  /** Some stores ignore the condition of a deletion: a look comes first. */
  @Test
  void aDeletionLooksFirstAndThenCarriesItsCondition() throws IOException {
    var conditions = new ArrayList<String>();
    String endpoint =
        server.serve(exchange -> {
          if (exchange.getRequestMethod().equals("DELETE")) {
            conditions.add(exchange.getRequestHeaders().getFirst("If-Match"));
          }
          stored(exchange);
        });
    ObjectStore store = open(endpoint);
    assertThat(store.delete("some/key", new StoreCondition.IfMatch("other")))
        .isInstanceOf(DeleteResult.Refused.class);
    assertThat(store.delete("some/key", new StoreCondition.IfAbsent()))
        .isInstanceOf(DeleteResult.Refused.class);
    assertThat(conditions).isEmpty();
    assertThat(store.delete("some/key", new StoreCondition.IfMatch(ETAG)))
        .isInstanceOf(DeleteResult.Deleted.class);
    assertThat(store.delete("some/key", new StoreCondition.Any()))
        .isInstanceOf(DeleteResult.Deleted.class);
    assertThat(conditions).containsExactly('"' + ETAG + '"', "*");
  }

  /** An upload that nobody else knows ends with its call, and with it a commit on its way. */
  @ParameterizedTest
  @ValueSource(strings = {"part", "commit"})
  void aCopyThatFailsDropsItsUpload(String failing) throws IOException {
    String endpoint =
        server.serve(exchange -> {
          String uri = exchange.getRequestURI().toString();
          switch (exchange.getRequestMethod()) {
            case "HEAD" -> {
              exchange.getResponseHeaders().add("Content-Length", "100");
              stored(exchange);
            }
            case "POST" -> {
              if (uri.contains("?uploads")) {
                xml(
                    exchange,
                    "<InitiateMultipartUploadResult><UploadId>u7</UploadId>"
                        + "</InitiateMultipartUploadResult>");
              } else {
                answer(exchange, 500, "InternalError");
              }
            }
            case "PUT" -> {
              assertThat(exchange.getRequestHeaders().getFirst("x-amz-copy-source-if-match"))
                  .isEqualTo('"' + ETAG + '"');
              if (failing.equals("part")) {
                answer(exchange, 412, "PreconditionFailed");
              } else {
                xml(exchange, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>");
              }
            }
            default -> answer(exchange, 204, new byte[0]);
          }
        });
    ObjectStore store = open(endpoint);
    if (failing.equals("part")) {
      assertThat(store.copy("source", ETAG, "some/key", OPTIONS))
          .isInstanceOf(PutResult.Refused.class);
    } else {
      assertThat(fails(() -> store.copy("source", ETAG, "some/key", OPTIONS)).code())
          .isEqualTo(ErrorCode.STORE_UNREACHABLE);
    }
    assertThat(requests.getLast()).startsWith("DELETE").contains("uploadId=u7");
  }

  @Test
  void anUploadThatIsGoneIsDroppedAndAnyOtherAnswerIsAFault() throws IOException {
    var answered = new AtomicInteger();
    ObjectStore store =
        open(
            server.serve(exchange -> {
              if (answered.incrementAndGet() == 1) {
                answer(exchange, 404, "NoSuchUpload");
              } else {
                answer(exchange, 500, "InternalError");
              }
            }));
    store.abort("some/key", "u");
    assertThat(fails(() -> store.abort("some/key", "u")).code())
        .isEqualTo(ErrorCode.STORE_UNREACHABLE);
  }

  /** One that is closed may already be the next call's. */
  @Test
  void anAnswerThatSaysNoLeavesTheConnectionOpen() throws IOException {
    Set<Integer> ports = ConcurrentHashMap.newKeySet();
    ObjectStore store =
        open(
            server.serve(exchange -> {
              ports.add(exchange.getRemoteAddress().getPort());
              answer(exchange, 404, "NoSuchUpload");
            }));
    for (int i = 0; i < 100; i++) {
      assertThat(fails(() -> store.commit("some/key", "u", List.of("1 e c"), OPTIONS)).code())
          .isEqualTo(ErrorCode.NO_SUCH_UPLOAD);
    }
    // Not one: it may not be back in the pool yet when the next call is made.
    assertThat(ports).hasSizeLessThan(10);
  }

  @Test
  void whatS3CannotHoldIsRefusedBeforeItIsSent() throws IOException {
    ObjectStore store = open(server.serve(S3FaultsTest::stored));
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
            () -> store.put("some/key/../b", List.of(), OPTIONS),
            () -> store.delete("some/key/.", new StoreCondition.Any()),
            () -> store.head("some/key" + "ü".repeat(512)))) {
      ForebayException failure = fails(call);
      assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
      assertThat(failure).hasMessageContaining("not sent");
    }
    assertThat(requests).isEmpty();
  }

  @Test
  void aBucketIsMadeOnceAndAgainWhenItWent() throws IOException {
    String endpoint =
        server.serve(exchange -> {
          if (requests.size() == 4) {
            answer(exchange, 404, "NoSuchBucket");
          } else {
            stored(exchange);
          }
        });
    ObjectStore store = open(endpoint, "&create=true", LONG);
    opened.add(store);
    assertThat(requests).as("opening sends nothing").isEmpty();
    store.put("some/key", List.of(), OPTIONS);
    store.put("some/key", List.of(), OPTIONS);
    assertThat(putFails(store).code()).isEqualTo(ErrorCode.STORE_MISSING);
    store.put("some/key", List.of(), OPTIONS);
    assertThat(requests)
        .containsExactly(
            "PUT /box",
            "PUT /box/some/key",
            "PUT /box/some/key",
            "PUT /box/some/key",
            "PUT /box",
            "PUT /box/some/key");
  }

  @ParameterizedTest
  @CsvSource({"403,AccessDenied", "409,BucketAlreadyOwnedByYou", "409,BucketAlreadyExists"})
  void whoMayNotMakeABucketMayUseIt(int status, String code) throws IOException {
    String endpoint =
        server.serve(exchange -> {
          if (exchange.getRequestURI().toString().equals("/box")) {
            answer(exchange, status, code);
          } else {
            stored(exchange);
          }
        });
    ObjectStore store = open(endpoint, "&create=true", LONG);
    opened.add(store);
    assertThat(store.put("some/key", List.of(), OPTIONS)).isInstanceOf(PutResult.Stored.class);
  }

  @Test
  void aSecretIsInNoMessage() throws IOException {
    for (String endpoint :
        List.of(
            server.serve(exchange -> answer(exchange, 403, "SignatureDoesNotMatch")),
            FaultServer.nobody())) {
      for (Throwable at = putFails(open(endpoint)); at != null; at = at.getCause()) {
        assertThat(at.toString()).doesNotContain("c2VjcmV0");
      }
    }
  }
}
