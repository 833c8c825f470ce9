package io.forebay.backing.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.ObjectStore.DeleteResult;
import io.forebay.core.backing.ObjectStore.PutResult;
import io.forebay.core.backing.ObjectStoreContract;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * The contract against MiniStack, each test in a bucket of its own. It checks the checksums of
 * bodies and the conditions of PutObject, CompleteMultipartUpload, UploadPartCopy and DeleteObject;
 * it knows key ids, but checks neither signatures of the key that it was started with nor the least
 * length of a part.
 */
@Tag("e2e")
final class MinistackTest extends ObjectStoreContract {
  private static final PutOptions OPTIONS =
      new PutOptions(new StoreCondition.Any(), "", Map.of(), Map.of());
  private static final String KEY_ID = "AKIAFOREBAYTEST00000";
  private static final String SECRET = "forebay-test-secret";
  private static final AtomicInteger BUCKETS = new AtomicInteger();
  private static Process ministack;
  private static String endpoint;

  private String bucket;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException, InterruptedException {
    Path root = Path.of(System.getProperty("forebay.root"));
    Path python = root.resolve(".venv/bin/python");
    if (!Files.exists(root.resolve(".venv/bin/ministack"))) {
      int code =
          new ProcessBuilder(root.resolve("scripts/test-tools.sh").toString())
              .inheritIO()
              .start()
              .waitFor();
      assertThat(code).as("scripts/test-tools.sh").isZero();
    }
    // In one process, which is what is killed in the end.
    var builder =
        new ProcessBuilder(
                python.toString(),
                "-m",
                "hypercorn",
                "ministack.app:app",
                "--workers",
                "0",
                "--bind",
                "127.0.0.1:0")
            .directory(directory.toFile())
            .redirectErrorStream(true);
    builder
        .environment()
        .putAll(
            Map.of(
                "SERVICES", "s3",
                "LOG_LEVEL", "WARNING",
                "AUTH", "true",
                "AWS_ACCESS_KEY_ID", KEY_ID,
                "AWS_SECRET_ACCESS_KEY", SECRET));
    ministack = builder.start();
    BufferedReader words = ministack.inputReader(StandardCharsets.UTF_8);
    while (endpoint == null) {
      String line = words.readLine();
      assertThat(line).as("MiniStack ended").isNotNull();
      if (line.contains("Running on")) {
        endpoint = line.replaceAll(".*(http://[0-9.:]+).*", "$1");
      }
    }
    // Somebody must read what it logs.
    Thread.ofVirtual().start(() -> words.lines().forEach(line -> {}));
  }

  @AfterAll
  static void stop() {
    if (ministack != null) {
      ministack.destroyForcibly();
    }
  }

  @BeforeEach
  void nextBucket() {
    bucket = "bucket-" + BUCKETS.incrementAndGet();
  }

  private static Optional<String> settings(String name) {
    return switch (name) {
      case S3Address.KEY_ID -> Optional.of(KEY_ID);
      case S3Address.SECRET -> Optional.of(SECRET);
      default -> Optional.empty();
    };
  }

  private ObjectStore open(String path, String options) {
    return S3Store.open(
        "s3://" + bucket + path + "?endpoint=" + endpoint + options, MinistackTest::settings);
  }

  @Override
  protected ObjectStore open() {
    return open("/some/prefix", "&create=true");
  }

  @Test
  void aBucketThatIsNotThereIsNamed() {
    try (ObjectStore store = open("", "")) {
      assertThatThrownBy(() -> store.head("k"))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.STORE_MISSING))
          .hasMessageContaining(bucket)
          .hasMessageContaining("create=true");
    }
  }

  @Test
  void aBucketMayBeInAnyRegion() {
    try (ObjectStore store = open("", "&create=true&region=eu-central-1")) {
      assertThat(store.put("k", List.of(), OPTIONS)).isInstanceOf(PutResult.Stored.class);
    }
  }

  @Test
  void anUnknownKeyIsDenied() {
    try (ObjectStore store = open("", "&create=true")) {
      store.put("k", List.of(), OPTIONS);
    }
    try (ObjectStore store =
        S3Store.open(
            "s3://" + bucket + "?endpoint=" + endpoint,
            name ->
                switch (name) {
                  case S3Address.KEY_ID -> Optional.of("AKIAUNKNOWN000000000");
                  case S3Address.SECRET -> Optional.of("c2VjcmV0");
                  default -> Optional.empty();
                })) {
      for (Runnable call :
          List.<Runnable>of(() -> store.head("k"), () -> store.put("k", List.of(), OPTIONS))) {
        assertThatThrownBy(call::run)
            .isInstanceOfSatisfying(
                ForebayException.class,
                failure -> assertThat(failure.code()).isEqualTo(ErrorCode.STORE_DENIED))
            .hasMessageNotContaining("c2VjcmV0");
      }
    }
  }

  private List<String> names() {
    try (S3AsyncClient client =
        S3AsyncClient.builder()
            .endpointOverride(URI.create(endpoint))
            .region(Region.US_EAST_1)
            .forcePathStyle(true)
            .credentialsProvider(
                StaticCredentialsProvider.create(AwsBasicCredentials.create(KEY_ID, SECRET)))
            .build()) {
      return client.listObjectsV2(request -> request.bucket(bucket)).join().contents().stream()
          .map(S3Object::key)
          .toList();
    }
  }

  /** So that others find them. */
  @Test
  void objectsHaveTheNamesOfTheirKeys() {
    List<String> keys = List.of("a b/c+d", "a%20b", "ä/你好", "a?b#c", "a//b", "x=1&y=2;*'()!~");
    try (ObjectStore store = open()) {
      keys.forEach(key -> store.put(key, List.of(), OPTIONS));
      assertThat(names())
          .containsExactlyInAnyOrderElementsOf(
              keys.stream().map(key -> "some/prefix/" + key).toList());
    }
  }

  /** A key that needs escapes in a header: the source of a copy is named in one. */
  @Test
  void sourcesOfCopiesMayHaveAnyName() {
    try (ObjectStore store = open()) {
      for (String key : List.of("a b+c%20", "ä/你好?x#y", "a//b")) {
        Bytes body = new Synthetic(1, 0, 1000);
        store.put(key, List.of(body), OPTIONS);
        String etag = store.head(key).orElseThrow().etag();
        assertThat(store.copy(key, etag, "copy of " + key, OPTIONS))
            .as(key)
            .isInstanceOf(PutResult.Stored.class);
        assertThat(store.head("copy of " + key).orElseThrow().lengthBytes()).isEqualTo(1000);
      }
    }
  }

  @Test
  void aCommitWithAConditionIsRefusedLikeAPut() {
    try (ObjectStore store = open()) {
      var match = new PutOptions(new StoreCondition.IfMatch("none"), "", Map.of(), Map.of());
      String upload = store.begin("k", "1-1", match);
      String tag = store.stage("k", upload, 1, List.of(new Synthetic(1, 0, 1000)));
      assertThat(store.commit("k", upload, List.of(tag), match))
          .isInstanceOf(PutResult.Refused.class);
      assertThat(store.put("k", List.of(), OPTIONS)).isInstanceOf(PutResult.Stored.class);
      assertThat(store.commit("k", upload, List.of(tag), match))
          .isInstanceOf(PutResult.Refused.class);
      String etag = store.head("k").orElseThrow().etag();
      var now = new PutOptions(new StoreCondition.IfMatch(etag), "", Map.of(), Map.of());
      assertThat(store.commit("k", upload, List.of(tag), now)).isInstanceOf(PutResult.Stored.class);
      assertThat(store.head("k").orElseThrow().lengthBytes()).isEqualTo(1000);
    }
  }

  /** What ends a commit that may take minutes (F2). */
  @Test
  void anUploadThatWasDroppedCannotBeCommitted() {
    try (ObjectStore store = open()) {
      String upload = store.begin("k", "1-1", OPTIONS);
      String tag = store.stage("k", upload, 1, List.of(new Synthetic(1, 0, 1000)));
      store.abort("k", upload);
      store.abort("k", upload);
      assertThatThrownBy(() -> store.commit("k", upload, List.of(tag), OPTIONS))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NO_SUCH_UPLOAD));
      assertThat(store.head("k")).isEmpty();
      assertThat(store.delete("k", new StoreCondition.IfAbsent()))
          .isInstanceOf(DeleteResult.Missing.class);
    }
  }
}
