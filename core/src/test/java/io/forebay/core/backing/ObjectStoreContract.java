package io.forebay.core.backing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.ObjectStore.DeleteResult;
import io.forebay.core.backing.ObjectStore.PutResult;
import io.forebay.core.backing.ObjectStore.ReadResult;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What every {@link ObjectStore} does. Each test begins with an empty one. */
public abstract class ObjectStoreContract {
  private static final int SLAB_BYTES = 64 << 10;
  private static final StoreCondition ANY = new StoreCondition.Any();
  private static final StoreCondition ABSENT = new StoreCondition.IfAbsent();

  protected final TestEnv env = new TestEnv();
  protected final SlabPool pool = new SlabPool(env, SLAB_BYTES, 128);
  private final List<ObjectStore> opened = new ArrayList<>();

  /** One more handle of the same store. */
  protected abstract ObjectStore open();

  private ObjectStore store() {
    ObjectStore store = open();
    opened.add(store);
    return store;
  }

  @AfterEach
  void everyBufferComesBack() {
    opened.forEach(ObjectStore::close);
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  private static PutOptions options(StoreCondition condition) {
    return new PutOptions(condition, "text/plain", Map.of(), Map.of());
  }

  private static byte[] content(int seed, int length) {
    byte[] content = new byte[length];
    new Random(seed).nextBytes(content);
    return content;
  }

  private List<Bytes> body(byte[] content) {
    var body = new ArrayList<Bytes>();
    for (int at = 0; at < content.length; at += SLAB_BYTES) {
      int length = Math.min(SLAB_BYTES, content.length - at);
      Slab slab = pool.take();
      slab.buffer().put(content, at, length);
      body.add(slab.bytes(0, length));
      slab.release();
    }
    return body;
  }

  private PutResult put(ObjectStore store, String key, byte[] content, PutOptions options) {
    List<Bytes> body = body(content);
    try {
      return store.put(key, body, options);
    } finally {
      body.forEach(Bytes::release);
    }
  }

  private String stage(ObjectStore store, String key, String upload, int part, byte[] content) {
    List<Bytes> body = body(content);
    try {
      return store.stage(key, upload, part, body);
    } finally {
      body.forEach(Bytes::release);
    }
  }

  private static String etag(PutResult result) {
    assertThat(result).isInstanceOf(PutResult.Stored.class);
    return ((PutResult.Stored) result).etag();
  }

  private byte[] readAll(ObjectStore store, String key) {
    StoreObject object = store.head(key).orElseThrow();
    var all = new ByteArrayOutputStream();
    for (long at = 0; at < object.lengthBytes(); at += SLAB_BYTES) {
      int length = (int) Math.min(SLAB_BYTES, object.lengthBytes() - at);
      all.writeBytes(data(store.read(key, at, length, Optional.of(object.etag()), pool)));
    }
    return all.toByteArray();
  }

  private static byte[] data(ReadResult result) {
    assertThat(result).isInstanceOf(ReadResult.Data.class);
    Bytes bytes = ((ReadResult.Data) result).bytes();
    try {
      return bytes.toArray();
    } finally {
      bytes.release();
    }
  }

  @Test
  void whatWasStoredIsReadBackInAnyPart() {
    ObjectStore store = store();
    byte[] content = content(1, 200_000);
    Map<String, String> metadata =
        Map.of("name_1", "plain", "other", " Grüße – 你好 ", "empty", "", "spaces", "a  b");
    String etag =
        etag(
            put(
                store,
                "dir/object.bin",
                content,
                new PutOptions(ABSENT, "application/x-test", Map.of(), metadata)));
    StoreObject object = store().head("dir/object.bin").orElseThrow();
    assertThat(object.etag()).isEqualTo(etag).doesNotContain("\"").isNotEmpty();
    assertThat(object.lengthBytes()).isEqualTo(content.length);
    assertThat(object.contentType()).isEqualTo("application/x-test");
    assertThat(object.metadata()).isEqualTo(metadata);
    assertThat(readAll(store, "dir/object.bin")).isEqualTo(content);
    assertThat(data(store.read("dir/object.bin", 199_999, 1, Optional.empty(), pool)))
        .isEqualTo(Arrays.copyOfRange(content, 199_999, 200_000));
  }

  @Test
  void anEmptyObjectIsAnObject() {
    ObjectStore store = store();
    etag(put(store, "empty", new byte[0], options(ABSENT)));
    assertThat(store.head("empty").orElseThrow().lengthBytes()).isZero();
  }

  @Test
  void whatIsNotThereIsMissing() {
    ObjectStore store = store();
    assertThat(store.head("nothing/here")).isEmpty();
    assertThat(store.read("nothing/here", 0, 1, Optional.empty(), pool))
        .isInstanceOf(ReadResult.Missing.class);
    assertThat(store.delete("nothing/here", ANY)).isInstanceOf(DeleteResult.Missing.class);
  }

  @Test
  void whatLiesBehindTheEndCannotBeRead() {
    ObjectStore store = store();
    etag(put(store, "k", content(1, 100), options(ABSENT)));
    for (int offset : new int[] {99, 100, 5_000}) {
      assertThatThrownBy(() -> store.read("k", offset, 2, Optional.empty(), pool))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.RANGE_NOT_SATISFIABLE))
          .hasMessageContaining("'k'");
    }
  }

  @Test
  void aCopyMayHaveHeadersOfItsOwn() {
    ObjectStore store = store();
    for (int length : new int[] {0, 30_000}) {
      String key = "copy/" + length;
      String source = etag(put(store, "source", content(5, length), options(ANY)));
      PutOptions options =
          new PutOptions(ABSENT, "application/x-other", Map.of(), Map.of("stamp", "3"));
      String copied = etag(store.copy("source", source, key, options));
      StoreObject object = store.head(key).orElseThrow();
      assertThat(object.etag()).isEqualTo(copied);
      assertThat(object.contentType()).isEqualTo("application/x-other");
      assertThat(object.metadata()).containsExactlyEntriesOf(Map.of("stamp", "3"));
      assertThat(readAll(store, key)).isEqualTo(content(5, length));
    }
  }

  @Test
  void aConditionThatDoesNotHoldChangesNothing() {
    ObjectStore store = store();
    assertThat(put(store, "k", content(1, 10), options(new StoreCondition.IfMatch("0xAB"))))
        .isInstanceOf(PutResult.Refused.class);
    assertThat(store.head("k")).isEmpty();
    String first = etag(put(store, "k", content(2, 10), options(ABSENT)));
    assertThat(put(store, "k", content(3, 10), options(ABSENT)))
        .isInstanceOf(PutResult.Refused.class);
    String second =
        etag(put(store, "k", content(4, 10), options(new StoreCondition.IfMatch(first))));
    assertThat(put(store, "k", content(5, 10), options(new StoreCondition.IfMatch(first))))
        .isInstanceOf(PutResult.Refused.class);
    assertThat(store.delete("k", new StoreCondition.IfMatch(first)))
        .isInstanceOf(DeleteResult.Refused.class);
    assertThat(readAll(store, "k")).isEqualTo(content(4, 10));
    assertThat(store.read("k", 0, 1, Optional.of(first), pool))
        .isInstanceOf(ReadResult.Changed.class);
    assertThat(store.delete("k", new StoreCondition.IfMatch(second)))
        .isInstanceOf(DeleteResult.Deleted.class);
    assertThat(store.head("k")).isEmpty();
  }

  @Test
  void anUploadInPartsIsVisibleWithItsCommitOnly() {
    ObjectStore store = store();
    int least = Math.toIntExact(store.limits().minPartBytes());
    byte[] one = content(1, Math.max(150_000, least));
    byte[] two = content(2, least);
    byte[] three = content(3, 90_000);
    // Stores take headers and metadata now, or with the commit.
    PutOptions options =
        new PutOptions(ABSENT, "text/plain", Map.of(), Map.of("forebay_attempt", "7"));
    String upload = store.begin("big", "1f-7", options);
    // From another node, and out of order.
    String thirdTag = stage(store(), "big", upload, 3, three);
    String firstTag = stage(store, "big", upload, 1, one);
    String secondTag = stage(store, "big", upload, 2, two);
    assertThat(store.head("big")).isEmpty();
    etag(store.commit("big", upload, List.of(firstTag, secondTag, thirdTag), options));
    var all = new ByteArrayOutputStream();
    all.writeBytes(one);
    all.writeBytes(two);
    all.writeBytes(three);
    assertThat(readAll(store, "big")).isEqualTo(all.toByteArray());
    assertThat(store.head("big").orElseThrow().metadata())
        .containsExactlyEntriesOf(Map.of("forebay_attempt", "7"));
  }

  @Test
  void partsOfTwoAttemptsDoNotMix() {
    ObjectStore store = store();
    String old = store.begin("k", "a-1", options(ANY));
    String oldTag = stage(store, "k", old, 1, content(1, 100));
    String next = store.begin("k", "a-2", options(ANY));
    String nextTag = stage(store, "k", next, 1, content(2, 100));
    etag(store.commit("k", next, List.of(nextTag), options(ANY)));
    assertThat(readAll(store, "k")).isEqualTo(content(2, 100));
    assertThat(oldTag).isNotEqualTo(nextTag);
    store.abort("k", old);
    store.abort("k", old);
    assertThat(readAll(store, "k")).isEqualTo(content(2, 100));
  }

  @Test
  void partsOfAnUploadThatWasCutOffAreNoObject() {
    ObjectStore store = store();
    String source = etag(put(store, "from", content(7, 70_000), options(ABSENT)));
    for (String key : List.of("put", "empty", "copied")) {
      stage(store, key, store.begin(key, "a-1", options(ABSENT)), 1, content(1, 100_000));
      assertThat(store.head(key)).isEmpty();
    }
    etag(put(store, "put", content(2, 90_000), options(ABSENT)));
    assertThat(readAll(store, "put")).isEqualTo(content(2, 90_000));
    etag(put(store, "empty", content(2, 0), options(ABSENT)));
    assertThat(store.head("empty").orElseThrow().lengthBytes()).isZero();
    etag(store.copy("from", source, "copied", options(ABSENT)));
    assertThat(readAll(store, "copied")).isEqualTo(content(7, 70_000));
    assertThat(put(store, "put", content(3, 10), options(ABSENT)))
        .isInstanceOf(PutResult.Refused.class);
  }

  @Test
  void aCommitThatIsRefusedLeavesWhatIsThere() {
    ObjectStore store = store();
    etag(put(store, "k", content(9, 50), options(ABSENT)));
    String upload = store.begin("k", "a-1", options(ABSENT));
    String tag = stage(store, "k", upload, 1, content(1, 100));
    assertThat(store.commit("k", upload, List.of(tag), options(ABSENT)))
        .isInstanceOf(PutResult.Refused.class);
    assertThat(readAll(store, "k")).isEqualTo(content(9, 50));
  }

  @Test
  void aCommitOfPartsThatAreNotThereChangesNothing() {
    ObjectStore store = store();
    String elsewhere =
        stage(store, "other", store.begin("other", "b-2", options(ANY)), 1, content(1, 10));
    String upload = store.begin("k", "a-1", options(ANY));
    String tag = stage(store, "k", upload, 1, content(2, 10));
    assertThatThrownBy(() -> store.commit("k", upload, List.of(tag, elsewhere), options(ANY)))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NO_SUCH_UPLOAD));
    assertThat(store.head("k")).isEmpty();
  }

  @Test
  void aCopyNamesItsSourceAndItsTarget() {
    ObjectStore store = store();
    String source = etag(put(store, "from/a", content(1, 70_000), options(ABSENT)));
    PutOptions options = new PutOptions(ABSENT, "text/plain", Map.of(), Map.of("stamp", "2"));
    assertThat(store.copy("from/a", "0xAB", "to/b", options)).isInstanceOf(PutResult.Refused.class);
    assertThat(store.copy("from/none", source, "to/b", options))
        .isInstanceOf(PutResult.Refused.class);
    assertThat(store.head("to/b")).isEmpty();
    String copied = etag(store.copy("from/a", source, "to/b", options));
    StoreObject object = store.head("to/b").orElseThrow();
    assertThat(object.etag()).isEqualTo(copied);
    assertThat(object.metadata()).containsExactlyEntriesOf(Map.of("stamp", "2"));
    assertThat(readAll(store, "to/b")).isEqualTo(content(1, 70_000));
    assertThat(store.copy("from/a", source, "to/b", options)).isInstanceOf(PutResult.Refused.class);
  }

  @Test
  void keysThatLookAlikeAreDifferentObjects() {
    ObjectStore store = store();
    List<String> keys =
        List.of(
            "a",
            "a/b",
            "a.d",
            "a.d/b",
            "a b",
            "a%20b",
            "a+b",
            "a%2Bb",
            "a?b#c",
            "A",
            "ä",
            "a\u0308",
            "你好/€",
            "%41",
            ".hidden",
            ".forebay-store/x",
            "l".repeat(250) + "/" + "m".repeat(250),
            "l".repeat(250) + "/" + "m".repeat(249) + "n");
    for (int i = 0; i < keys.size(); i++) {
      etag(put(store, keys.get(i), content(i, 20 + i), options(ABSENT)));
    }
    for (int i = 0; i < keys.size(); i++) {
      assertThat(readAll(store, keys.get(i))).as(keys.get(i)).isEqualTo(content(i, 20 + i));
    }
    for (String key : keys) {
      assertThat(store.delete(key, ANY)).as(key).isInstanceOf(DeleteResult.Deleted.class);
    }
  }

  @Test
  void ofManyThatFindNothingOneStores() {
    List<ObjectStore> stores = List.of(store(), store());
    var outcomes = new ArrayList<Outcome<PutResult>>();
    for (int i = 0; i < 8; i++) {
      int seed = i;
      var outcome = new Outcome<PutResult>(env);
      outcomes.add(outcome);
      env.spawn(
          "put",
          () -> {
            try {
              outcome.complete(
                  put(stores.get(seed % 2), "race", content(seed, 1000), options(ABSENT)));
            } catch (RuntimeException failure) {
              outcome.fail(failure);
            }
          });
    }
    int winner = -1;
    for (int i = 0; i < outcomes.size(); i++) {
      if (outcomes.get(i).await() instanceof PutResult.Stored) {
        assertThat(winner).as("two stored").isNegative();
        winner = i;
      }
    }
    assertThat(winner).isNotNegative();
    assertThat(readAll(stores.getFirst(), "race")).isEqualTo(content(winner, 1000));
  }

  @Test
  void requestsAreCountedByKind() {
    ObjectStore store = store();
    StoreRequests before = store.requests();
    put(store, "k", content(1, 10), options(ABSENT));
    store.head("k");
    store.delete("k", ANY);
    StoreRequests after = store.requests();
    assertThat(after.puts() - before.puts()).isEqualTo(1);
    assertThat(after.heads() - before.heads()).isEqualTo(1);
    assertThat(after.deletes() - before.deletes()).isEqualTo(1);
    assertThat(after.total() - before.total()).isEqualTo(3);
  }
}
