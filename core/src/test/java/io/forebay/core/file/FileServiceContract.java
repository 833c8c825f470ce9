package io.forebay.core.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.Generation;
import io.forebay.core.id.UploadId;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What every {@link FileService} does, whatever is behind it. */
public abstract class FileServiceContract {
  protected static final String BUCKET = "training";

  private final TestEnv env = new TestEnv();
  private final SlabPool bodies = new SlabPool(env, 1 << 20, 96);

  /** The service under test, without buckets. Called once for each test. */
  protected abstract FileService service() throws Exception;

  /** The family of the buckets made here. */
  protected Family family() {
    return new Family(1, 1, Durability.REPLICATED);
  }

  private FileService files;

  @BeforeEach
  void createTheBucket() throws Exception {
    files = service();
    files.createBucket(BucketSpec.of(BUCKET, family(), ""));
  }

  @AfterEach
  void everyBufferCameBack() {
    assertThat(bodies.available()).isEqualTo(bodies.count());
    env.close();
  }

  @Test
  void aBucketIsCreatedListedAndDeletedOnce() {
    files.createBucket(BucketSpec.of("models", family(), ""));
    assertThat(files.listBuckets()).extracting(Bucket::name).containsExactly("models", BUCKET);
    assertThat(files.bucket("models")).isPresent();
    refused(
        ErrorCode.BUCKET_EXISTS, () -> files.createBucket(BucketSpec.of("models", family(), "")));
    files.deleteBucket("models");
    assertThat(files.bucket("models")).isEmpty();
    refused(ErrorCode.NO_SUCH_BUCKET, () -> files.deleteBucket("models"));
    refused(ErrorCode.NO_SUCH_BUCKET, () -> files.stat("models", "a"));
    refused(
        ErrorCode.INVALID_BUCKET_NAME,
        () -> files.createBucket(BucketSpec.of("Models", family(), "")));
  }

  @Test
  void aBucketTakesNoMoreThanItsQuota() {
    assertThat(files.use(BUCKET)).isEqualTo(new BucketUse(0, 0));
    files.setQuota(BUCKET, 10);
    put("a", "12345");
    refused(ErrorCode.QUOTA_EXCEEDED, () -> put("b", "123456"));
    assertThat(files.stat(BUCKET, "b")).isEmpty();
    put("b", "12345");
    put("empty", "");
    assertThat(files.use(BUCKET)).isEqualTo(new BucketUse(10, 10));
    refused(
        ErrorCode.QUOTA_EXCEEDED,
        () -> files.copy(BUCKET, "a", ReadConditions.NONE, BUCKET, "c", CopyOptions.DEFAULT));
    // Neither a rename nor a copy onto itself adds anything.
    files.rename(BUCKET, "a", "d");
    files.copy(BUCKET, "d", ReadConditions.NONE, BUCKET, "d", CopyOptions.DEFAULT);
    assertThat(files.use(BUCKET)).isEqualTo(new BucketUse(10, 10));
    UploadId upload = files.createUpload(BUCKET, "big", ObjectMetadata.NONE);
    refused(ErrorCode.QUOTA_EXCEEDED, () -> part(upload, 1, new byte[1]));
    files.setQuota(BUCKET, 13);
    PartInfo part = part(upload, 1, new byte[3]);
    files.completeUpload(
        BUCKET,
        "big",
        upload,
        List.of(new CompletedPart(1, part.etag())),
        WriteConditions.NONE,
        OptionalLong.empty());
    assertThat(files.use(BUCKET)).isEqualTo(new BucketUse(13, 13));
    files.setQuota(BUCKET, 5);
    refused(ErrorCode.QUOTA_EXCEEDED, () -> put("f", "1"));
    files.setQuota(BUCKET, 0);
    put("f", "1");
    assertThat(files.use(BUCKET)).isEqualTo(new BucketUse(14, 0));
    refused(ErrorCode.INVALID_ARGUMENT, () -> files.setQuota(BUCKET, -1));
    refused(ErrorCode.NO_SUCH_BUCKET, () -> files.use("none"));
  }

  @Test
  void aBucketKeepsTheNewestPoliciesOfItsPrefixes() {
    assertThat(files.policies(BUCKET)).isEmpty();
    var run = new PrefixPolicy("run/", ".metadata", 3, 0, 0);
    var scratch = new PrefixPolicy("scratch/", "", 0, 0, 60_000);
    files.setPolicies(BUCKET, List.of(), List.of(run, scratch));
    refused(
        ErrorCode.CONCURRENT_CHANGE, () -> files.setPolicies(BUCKET, List.of(), List.of(scratch)));
    assertThat(files.policies(BUCKET)).containsExactly(run, scratch);
    refused(
        ErrorCode.INVALID_ARGUMENT,
        () ->
            files.setPolicies(
                BUCKET,
                files.policies(BUCKET),
                List.of(run, new PrefixPolicy("run/a/", "", 0, 0, 1))));
    files.setPolicies(BUCKET, files.policies(BUCKET), List.of(scratch));
    assertThat(files.policies(BUCKET)).containsExactly(scratch);
    refused(ErrorCode.NO_SUCH_BUCKET, () -> files.policies("none"));
  }

  @Test
  void aCheckpointIsListedWhileItHoldsItsMarkerAndToWhoeverNamesIt() {
    put("run/1/rank-0", "a");
    put("run/1/deep/rank-1", "b");
    put("run/1/done", "");
    put("run/2/rank-0", "c");
    put("run/latest", "2");
    put("seen", "d");
    assertThat(keys("", "")).contains("run/2/rank-0");
    var run = new PrefixPolicy("run/", "done", 1, 0, 0);
    files.setPolicies(BUCKET, files.policies(BUCKET), List.of(run));

    assertThat(keys("", ""))
        .containsExactly("run/1/deep/rank-1", "run/1/done", "run/1/rank-0", "run/latest", "seen");
    assertThat(keys("run/", "/")).containsExactly("run/1/", "run/latest");
    assertThat(keys("run/2", "")).isEmpty();
    assertThat(keys("run/2/", "/")).containsExactly("run/2/rank-0");
    assertThat(keys("run/2/r", "")).containsExactly("run/2/rank-0");
    assertThat(files.stat(BUCKET, "run/2/rank-0")).isPresent();
    assertThat(files.prefixStatus(BUCKET, "run/").objects()).isEqualTo(5);
    assertThat(everything("", ""))
        .containsExactly(
            "run/1/deep/rank-1",
            "run/1/done",
            "run/1/rank-0",
            "run/2/rank-0",
            "run/latest",
            "seen");
    assertThat(everything("run/", "/")).containsExactly("run/1/", "run/2/", "run/latest");
    refused(
        ErrorCode.NO_SUCH_BUCKET,
        () -> files.listAll("none", new ListQuery("", "", "", ListQuery.MAX)));

    put("run/2/done", "");
    assertThat(keys("run/", "/")).containsExactly("run/1/", "run/2/", "run/latest");
    files.delete(BUCKET, "run/1/done", WriteConditions.NONE);
    files.delete(BUCKET, "run/2/done", WriteConditions.NONE);
    files.delete(BUCKET, "run/latest", WriteConditions.NONE);
    assertThat(keys("", "/")).as("nothing of it is shown").containsExactly("seen");
    files.setPolicies(BUCKET, files.policies(BUCKET), List.of());
    assertThat(keys("run/", "/")).containsExactly("run/1/", "run/2/");
  }

  @Test
  void whoDeletesPageByPageIsShownTheRestOfACheckpointWhoseMarkerIsGone() {
    for (String key :
        List.of("1/a", "1/b", "1/done", "1/e", "1/f", "2/a", "2/done", "2/e", "3/a")) {
      put("run/" + key, "x");
    }
    files.setPolicies(
        BUCKET, files.policies(BUCKET), List.of(new PrefixPolicy("run/", "done", 1, 0, 0)));
    for (Optional<String> after = Optional.of(""); after.isPresent(); ) {
      ListPage page = files.list(BUCKET, new ListQuery("", "", after.get(), 3));
      page.objects().forEach(each -> files.delete(BUCKET, each.key(), WriteConditions.NONE));
      after = page.next();
    }
    files.setPolicies(BUCKET, files.policies(BUCKET), List.of());
    assertThat(keys("", "")).as("it was begun all the time").containsExactly("run/3/a");
  }

  @Test
  void whatIsInNoStoreIsCountedBelowAPrefix() {
    put("run/1/a", "12345");
    put("run/1/b", "123");
    put("run/2/a", "1");
    PrefixStatus status = files.prefixStatus(BUCKET, "run/1/");
    assertThat(status.objects()).isEqualTo(2);
    assertThat(status.bytes()).isEqualTo(8);
    assertThat(status.heldObjects()).isEqualTo(2);
    assertThat(status.heldBytes()).isEqualTo(8);
    assertThat(status.neverFlushed()).isEqualTo(2);
    assertThat(status.inLogBytes()).isEqualTo(8);
    assertThat(status.unknownBytes()).isZero();
    assertThat(status.oldestMillis())
        .isEqualTo(files.stat(BUCKET, "run/1/a").orElseThrow().modifiedMillis());
    assertThat(files.prefixStatus(BUCKET, "").objects()).isEqualTo(3);
    assertThat(files.prefixStatus(BUCKET, "none/").oldestMillis()).isZero();
    refused(ErrorCode.NO_SUCH_BUCKET, () -> files.prefixStatus("none", ""));
  }

  @Test
  void aBucketWithObjectsIsNotDeletedAndTheFirstInTheWayIsNamedListedOrNot() {
    put("run/2/rank-0", "x");
    put("seen", "x");
    files.setPolicies(
        BUCKET, files.policies(BUCKET), List.of(new PrefixPolicy("run/", "done", 1, 0, 0)));
    assertThat(keys("", "")).containsExactly("seen");
    for (String first : List.of("run/2/rank-0", "seen")) {
      assertThatThrownBy(() -> files.deleteBucket(BUCKET))
          .isInstanceOfSatisfying(
              ForebayException.class,
              refusal -> assertThat(refusal.code()).isEqualTo(ErrorCode.BUCKET_NOT_EMPTY))
          .hasMessageContaining("'" + first + "'");
      assertThat(files.delete(BUCKET, first, WriteConditions.NONE)).isTrue();
    }
    files.deleteBucket(BUCKET);
  }

  @Test
  void whatWasPublishedIsReadBackWithItsMetadata() {
    var metadata =
        new ObjectMetadata("text/plain", Map.of("cache-control", "no-store"), Map.of("run", "7"));
    ObjectInfo made = put("dir/a", "hello".getBytes(StandardCharsets.UTF_8), metadata);
    assertThat(made.lengthBytes()).isEqualTo(5);
    assertThat(made.etag()).isEqualTo("5d41402abc4b2a76b9719d911017c592");
    assertThat(made.metadata()).isEqualTo(metadata);
    assertThat(files.stat(BUCKET, "dir/a")).contains(made);
    assertThat(get("dir/a")).isEqualTo("hello".getBytes(StandardCharsets.UTF_8));
    assertThat(files.stat(BUCKET, "dir")).isEmpty();
  }

  @Test
  void anEmptyObjectIsAnObject() {
    ObjectInfo made = put("empty", "");
    assertThat(made.etag()).isEqualTo("d41d8cd98f00b204e9800998ecf8427e");
    assertThat(get("empty")).isEmpty();
  }

  @Test
  void nothingIsVisibleBeforeThePublishNorAfterAnAbandonedWrite() {
    put("a", "old");
    try (BodyWriter<ObjectInfo> writer = files.create(BUCKET, "a", WriteOptions.DEFAULT)) {
      write(writer, "newer".getBytes(StandardCharsets.UTF_8));
      assertThat(get("a")).isEqualTo("old".getBytes(StandardCharsets.UTF_8));
    }
    assertThat(get("a")).isEqualTo("old".getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void aReaderStaysWithItsGeneration() {
    put("a", "old");
    try (ObjectReader reader = files.open(BUCKET, "a", ReadConditions.NONE)) {
      put("a", "newer");
      assertThat(drain(reader)).isEqualTo("old".getBytes(StandardCharsets.UTF_8));
    }
    assertThat(get("a")).isEqualTo("newer".getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void aBodyOfAnotherLengthThanAnnouncedIsNotPublished() {
    var options =
        new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.of(4), false);
    refused(
        ErrorCode.INCOMPLETE_BODY,
        () -> {
          try (BodyWriter<ObjectInfo> writer = files.create(BUCKET, "a", options)) {
            write(writer, new byte[3]);
            writer.publish(Optional.empty());
          }
        });
    assertThat(files.stat(BUCKET, "a")).isEmpty();
  }

  @Test
  void aLargeBodyHasAnEtagThatNobodyTakesForAnMd5() throws Exception {
    byte[] body = random(9 << 20, 1);
    ObjectInfo made = put("large", body, ObjectMetadata.NONE);
    assertThat(made.etag()).matches("[0-9a-f]{32}-1");
    assertThat(get("large")).isEqualTo(body);
    String md5 = HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(body));
    var options =
        new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.empty(), true);
    try (BodyWriter<ObjectInfo> writer = files.create(BUCKET, "large", options)) {
      write(writer, body);
      assertThat(writer.publish(Optional.of(md5)).etag()).isEqualTo(md5);
    }
  }

  @Test
  void readsAtAnyOffset() {
    byte[] body = random(3_000_001, 2);
    put("a", body, ObjectMetadata.NONE);
    var random = new Random(3);
    try (ObjectReader reader = files.open(BUCKET, "a", ReadConditions.NONE)) {
      for (int i = 0; i < 100; i++) {
        int offset = random.nextInt(body.length);
        Bytes read = reader.read(offset, 1 + random.nextInt(100_000));
        assertThat(read.length()).isPositive();
        assertThat(ByteBuffer.wrap(read.toArray()))
            .isEqualTo(ByteBuffer.wrap(body, offset, read.length()));
        read.release();
      }
    }
  }

  @Test
  void readConditionsHold() {
    ObjectInfo made = put("a", "x");
    files.open(BUCKET, "a", ReadConditions.ifMatch(made.etag())).close();
    refused(
        ErrorCode.PRECONDITION_FAILED,
        () -> files.open(BUCKET, "a", ReadConditions.ifMatch("other")));
    var unlessChanged =
        new ReadConditions(
            List.of(), List.of(made.etag()), OptionalLong.empty(), OptionalLong.empty());
    refused(ErrorCode.NOT_MODIFIED, () -> files.open(BUCKET, "a", unlessChanged));
    refused(ErrorCode.NOT_FOUND, () -> files.open(BUCKET, "b", ReadConditions.NONE));
  }

  @Test
  void writeConditionsAreDecidedAtThePublish() {
    ObjectInfo first = put("a", "1");
    refused(
        ErrorCode.PRECONDITION_FAILED,
        () -> files.create(BUCKET, "a", options(WriteConditions.ABSENT)));
    var ifFirst = new WriteConditions(Optional.of(first.etag()), false);
    refused(ErrorCode.NOT_FOUND, () -> files.create(BUCKET, "b", options(ifFirst)));
    refused(
        ErrorCode.PRECONDITION_FAILED,
        () -> {
          try (BodyWriter<ObjectInfo> writer = files.create(BUCKET, "a", options(ifFirst))) {
            put("a", "2");
            writer.publish(Optional.empty());
          }
        });
    refused(
        ErrorCode.PRECONDITION_FAILED,
        () -> {
          try (BodyWriter<ObjectInfo> writer =
              files.create(BUCKET, "c", options(WriteConditions.ABSENT))) {
            put("c", "first");
            writer.publish(Optional.empty());
          }
        });
    assertThat(get("a")).isEqualTo("2".getBytes(StandardCharsets.UTF_8));
    assertThat(get("c")).isEqualTo("first".getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void deletingIsIdempotentAndConditional() {
    put("a", "x");
    refused(
        ErrorCode.PRECONDITION_FAILED,
        () -> files.delete(BUCKET, "a", new WriteConditions(Optional.of("other"), false)));
    assertThat(files.delete(BUCKET, "a", WriteConditions.NONE)).isTrue();
    assertThat(files.delete(BUCKET, "a", WriteConditions.NONE)).isFalse();
    assertThat(files.stat(BUCKET, "a")).isEmpty();
  }

  @Test
  void manyAreDeletedEachForItself() {
    put("a", "x");
    put("b", "x");
    List<DeleteResult> results = files.deleteMany(BUCKET, List.of("a", "absent", "/bad", "b"));
    assertThat(results).extracting(DeleteResult::key).containsExactly("a", "absent", "/bad", "b");
    assertThat(results)
        .extracting(result -> result.failure().map(ForebayException::code))
        .containsExactly(
            Optional.empty(),
            Optional.empty(),
            Optional.of(ErrorCode.INVALID_KEY),
            Optional.empty());
    assertThat(keys("", "")).isEmpty();
  }

  /** As S3 has it: it is one of the generations, and its writer need not know of the other. */
  @Test
  void aCopyIsMadeHoweverOftenItsSourceIsOverwrittenMeanwhile() throws Exception {
    put("a", "0");
    var over = new AtomicBoolean();
    var failure = new AtomicReference<Throwable>();
    Thread writer =
        Thread.ofPlatform()
            .start(() -> {
              try {
                for (int i = 1; !over.get(); i++) {
                  put("a", Integer.toString(i));
                  Thread.sleep(2);
                }
              } catch (Throwable failed) {
                failure.set(failed);
              }
            });
    try {
      int last = 0;
      for (int i = 0; i < 100; i++) {
        files.copy(BUCKET, "a", ReadConditions.NONE, BUCKET, "b", CopyOptions.DEFAULT);
        int copied = Integer.parseInt(new String(get("b"), StandardCharsets.UTF_8));
        assertThat(copied).isGreaterThanOrEqualTo(last);
        last = copied;
      }
    } finally {
      over.set(true);
      writer.join();
    }
    assertThat(failure).hasNullValue();
  }

  @Test
  void aCopyIsAnObjectOfItsOwn() {
    var metadata = new ObjectMetadata("a/b", Map.of(), Map.of("k", "v"));
    ObjectInfo source = put("a", "one".getBytes(StandardCharsets.UTF_8), metadata);
    ObjectInfo copy =
        files.copy(BUCKET, "a", ReadConditions.NONE, BUCKET, "b", CopyOptions.DEFAULT);
    put("a", "two");
    assertThat(get("b")).isEqualTo("one".getBytes(StandardCharsets.UTF_8));
    assertThat(copy.etag()).isEqualTo(source.etag());
    assertThat(copy.metadata()).isEqualTo(metadata);
    var other = new ObjectMetadata("c/d", Map.of(), Map.of());
    files.copy(
        BUCKET,
        "b",
        ReadConditions.NONE,
        BUCKET,
        "b",
        new CopyOptions(Optional.of(other), WriteConditions.NONE));
    assertThat(files.stat(BUCKET, "b").orElseThrow().metadata()).isEqualTo(other);
    assertThat(get("b")).isEqualTo("one".getBytes(StandardCharsets.UTF_8));
    refused(
        ErrorCode.PRECONDITION_FAILED,
        () ->
            files.copy(
                BUCKET, "a", ReadConditions.ifMatch("no"), BUCKET, "c", CopyOptions.DEFAULT));
  }

  @Test
  void anObjectAndAPrefixAreRenamed() {
    put("tmp/a", "1");
    put("tmp/b/c", "2");
    put("target", "old");
    files.rename(BUCKET, "tmp/a", "target");
    assertThat(keys("", "")).containsExactly("target", "tmp/b/c");
    assertThat(get("target")).isEqualTo("1".getBytes(StandardCharsets.UTF_8));
    files.rename(BUCKET, "tmp/", "done/");
    assertThat(keys("", "")).containsExactly("done/b/c", "target");
    put("tmp/x", "3");
    refused(ErrorCode.PRECONDITION_FAILED, () -> files.rename(BUCKET, "tmp/", "done/"));
    refused(ErrorCode.INVALID_ARGUMENT, () -> files.rename(BUCKET, "tmp/", "tmp/deeper/"));
    refused(ErrorCode.INVALID_ARGUMENT, () -> files.rename(BUCKET, "tmp/", "file"));
    refused(ErrorCode.NOT_FOUND, () -> files.rename(BUCKET, "absent", "b"));
  }

  @Test
  void pagesOfAnySizeTogetherListEverythingOnceInOrder() {
    List<String> made =
        List.of("a", "a/", "a/b", "a/c/d", "a//e", "b", "ä", "\uFFFD", "\uD83D\uDE00", "a-", "a0");
    made.forEach(key -> put(key, "x"));
    var expected = new TreeSet<>(ObjectKey.ORDER);
    expected.addAll(made);
    for (int max = 1; max <= made.size() + 1; max++) {
      assertThat(pages("", "", max)).containsExactlyElementsOf(expected);
      assertThat(pages("", "/", max))
          .containsExactly("a", "a-", "a/", "a0", "b", "ä", "\uFFFD", "\uD83D\uDE00");
      assertThat(pages("a/", "/", max)).containsExactly("a/", "a//", "a/b", "a/c/");
      assertThat(pages("a", "", max))
          .containsExactly("a", "a-", "a/", "a//e", "a/b", "a/c/d", "a0");
      assertThat(pages("zz", "/", max)).isEmpty();
    }
    ListPage after = files.list(BUCKET, new ListQuery("a/", "", "z", 10));
    assertThat(after.objects()).isEmpty();
    assertThat(files.list(BUCKET, new ListQuery("b", "", "a", 10)).objects()).hasSize(1);
  }

  @Test
  void illegalKeysAreRefusedByName() {
    for (String key : List.of("", "/a", "a/../b", "..", "a/..", "a\0b", "\uD800")) {
      refused(ErrorCode.INVALID_KEY, () -> files.create(BUCKET, key, WriteOptions.DEFAULT));
    }
    refused(ErrorCode.KEY_TOO_LONG, () -> files.stat(BUCKET, "ä".repeat(512) + "a"));
    assertThat(files.stat(BUCKET, "ä".repeat(512))).isEmpty();
    put("..a/b..", "legal");
  }

  @Test
  void anUploadIsTheConcatenationOfTheNamedParts() {
    UploadId upload =
        files.createUpload(BUCKET, "big", new ObjectMetadata("m/n", Map.of(), Map.of("u", "1")));
    byte[] one = random(5 << 20, 4);
    byte[] two = random(1000, 5);
    PartInfo second = part(upload, 7, two);
    part(upload, 2, random(100, 6));
    PartInfo first = part(upload, 2, one);
    part(upload, 9, new byte[3]);
    assertThat(files.listParts(BUCKET, "big", upload, 0, 2).parts())
        .extracting(PartInfo::number)
        .containsExactly(2, 7);
    assertThat(files.listParts(BUCKET, "big", upload, 0, 2).more()).isTrue();
    assertThat(files.listParts(BUCKET, "big", upload, 7, 2).more()).isFalse();
    assertThat(files.stat(BUCKET, "big")).isEmpty();
    var parts = List.of(new CompletedPart(2, first.etag()), new CompletedPart(7, second.etag()));
    ObjectInfo made = complete(upload, parts);
    assertThat(made.etag()).endsWith("-2");
    assertThat(made.metadata().user()).containsEntry("u", "1");
    byte[] whole = new byte[one.length + two.length];
    System.arraycopy(one, 0, whole, 0, one.length);
    System.arraycopy(two, 0, whole, one.length, two.length);
    assertThat(get("big")).isEqualTo(whole);
    assertThat(complete(upload, parts)).as("repeated completion").isEqualTo(made);
    refused(ErrorCode.NO_SUCH_UPLOAD, () -> files.abortUpload(BUCKET, "big", upload));
    assertThat(files.listUploads(BUCKET, "", "", Optional.empty(), 10).uploads()).isEmpty();
  }

  @Test
  void whatADoorKeepsWithPartsAndObjectsComesBackAndCanBeChanged() {
    UploadId upload =
        files.createUpload(
            BUCKET, "big", new ObjectMetadata("", Map.of("x-amz-begun", "1"), Map.of()));
    PartInfo made;
    try (BodyWriter<PartInfo> writer =
        files.createPart(BUCKET, "big", upload, 4, WriteOptions.DEFAULT)) {
      write(writer, random(3_000, 9));
      made = writer.publish(Optional.empty(), Map.of("x-amz-sum", "s"));
    }
    PartPage page = files.listParts(BUCKET, "big", upload, 0, 10);
    assertThat(page.headers()).containsExactly(Map.of("x-amz-sum", "s"));
    assertThat(page.uploadHeaders()).isEqualTo(Map.of("x-amz-begun", "1"));
    ObjectInfo object =
        files.completeUpload(
            BUCKET,
            "big",
            upload,
            List.of(new CompletedPart(4, made.etag())),
            WriteConditions.NONE,
            OptionalLong.empty(),
            Map.of("x-amz-end", "2"));
    assertThat(object.metadata().headers()).isEqualTo(Map.of("x-amz-begun", "1", "x-amz-end", "2"));
    assertThat(files.partsOf(BUCKET, "big", object.generation(), 0, 1).parts())
        .containsExactly(new ObjectPart(4, 0, 3_000, Map.of("x-amz-sum", "s")));
    assertThat(files.partsOf(BUCKET, "big", object.generation(), 4, 1).parts()).isEmpty();
    ObjectInfo changed =
        files.changeHeaders(BUCKET, "big", Map.of("x-amz-end", "", "x-amz-new", "3"));
    assertThat(changed.metadata().headers())
        .isEqualTo(Map.of("x-amz-begun", "1", "x-amz-new", "3"));
    assertThat(changed.etag()).isEqualTo(object.etag());
    assertThat(files.stat(BUCKET, "big").map(ObjectInfo::metadata)).contains(changed.metadata());
    try (BodyWriter<ObjectInfo> writer = files.create(BUCKET, "plain", WriteOptions.DEFAULT)) {
      assertThat(writer.publish(Optional.empty(), Map.of("x-amz-sum", "p")).metadata().headers())
          .isEqualTo(Map.of("x-amz-sum", "p"));
    }
    Generation plain = files.stat(BUCKET, "plain").orElseThrow().generation();
    assertThat(files.partsOf(BUCKET, "plain", plain, 0, 10).parts()).isEmpty();
    refused(
        ErrorCode.INVALID_ARGUMENT,
        () -> files.changeHeaders(BUCKET, "big", Map.of("expires", "x")));
    refused(ErrorCode.NOT_FOUND, () -> files.changeHeaders(BUCKET, "absent", Map.of()));
  }

  @Test
  void aCompletionThatNamesWrongPartsIsRefusedAndTheUploadStays() {
    UploadId upload = files.createUpload(BUCKET, "big", ObjectMetadata.NONE);
    PartInfo small = part(upload, 1, new byte[10]);
    PartInfo last = part(upload, 2, new byte[10]);
    var one = new CompletedPart(1, small.etag());
    var two = new CompletedPart(2, last.etag());
    refused(ErrorCode.INVALID_PART_ORDER, () -> complete(upload, List.of(two, one)));
    refused(ErrorCode.INVALID_PART, () -> complete(upload, List.of(new CompletedPart(3, "x"))));
    refused(ErrorCode.INVALID_PART, () -> complete(upload, List.of(new CompletedPart(1, "x"))));
    refused(ErrorCode.PART_TOO_SMALL, () -> complete(upload, List.of(one, two)));
    put("big", "other");
    refused(
        ErrorCode.PRECONDITION_FAILED,
        () ->
            files.completeUpload(
                BUCKET, "big", upload, List.of(one), WriteConditions.ABSENT, OptionalLong.empty()));
    refused(
        ErrorCode.INVALID_ARGUMENT,
        () ->
            files.completeUpload(
                BUCKET, "big", upload, List.of(one), WriteConditions.NONE, OptionalLong.of(11)));
    assertThat(get("big")).isEqualTo("other".getBytes(StandardCharsets.UTF_8));
    files.abortUpload(BUCKET, "big", upload);
    refused(ErrorCode.NO_SUCH_UPLOAD, () -> complete(upload, List.of(one)));
    refused(ErrorCode.NO_SUCH_UPLOAD, () -> part(upload, 1, new byte[1]));
  }

  @Test
  void aPartThatIsSentTwiceHasOneEtagWhicheverAttemptLandsLast() {
    UploadId upload = files.createUpload(BUCKET, "big", ObjectMetadata.NONE);
    byte[] body = random(10_000, 10);
    // Without an MD5, as parts above 8 MiB.
    var options =
        new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.empty(), true);
    PartInfo answered;
    try (BodyWriter<PartInfo> late = files.createPart(BUCKET, "big", upload, 1, options);
        BodyWriter<PartInfo> retry = files.createPart(BUCKET, "big", upload, 1, options)) {
      write(late, body);
      write(retry, body);
      answered = retry.publish(Optional.empty());
      late.publish(Optional.empty());
    }
    try (BodyWriter<PartInfo> other = files.createPart(BUCKET, "big", upload, 2, options)) {
      write(other, random(10_000, 11));
      assertThat(other.publish(Optional.empty()).etag()).isNotEqualTo(answered.etag());
    }
    assertThat(answered.etag()).matches("[0-9a-f]{32}-1");
    complete(upload, List.of(new CompletedPart(1, answered.etag())));
    assertThat(get("big")).isEqualTo(body);
  }

  @Test
  void aPartIsCopiedFromARangeOfAnObject() {
    byte[] body = random(200_000, 8);
    put("source", body, ObjectMetadata.NONE);
    UploadId upload = files.createUpload(BUCKET, "big", ObjectMetadata.NONE);
    PartInfo made =
        files.copyPart(
            BUCKET,
            "big",
            upload,
            1,
            BUCKET,
            "source",
            ReadConditions.NONE,
            Optional.of(new ByteRange(1_000, 100_001)));
    assertThat(made.lengthBytes()).isEqualTo(100_001);
    complete(upload, List.of(new CompletedPart(1, made.etag())));
    assertThat(ByteBuffer.wrap(get("big"))).isEqualTo(ByteBuffer.wrap(body, 1_000, 100_001));
  }

  @Test
  void uploadsAreListedInPages() {
    var made = new ArrayList<String>();
    for (String key : List.of("b", "a", "a", "c/d")) {
      made.add(key + files.createUpload(BUCKET, key, ObjectMetadata.NONE));
    }
    var seen = new ArrayList<String>();
    UploadPage page = files.listUploads(BUCKET, "", "", Optional.empty(), 1);
    while (true) {
      page.uploads().forEach(upload -> seen.add(upload.key() + upload.id()));
      if (!page.more()) {
        break;
      }
      UploadInfo last = page.uploads().getLast();
      page = files.listUploads(BUCKET, "", last.key(), Optional.of(last.id()), 1);
    }
    assertThat(seen).containsExactly(made.get(1), made.get(2), made.get(0), made.get(3));
    assertThat(files.listUploads(BUCKET, "c", "", Optional.empty(), 5).uploads()).hasSize(1);
  }

  @Test
  void whereAnObjectIsCanBeAsked() {
    put("a", "x");
    assertThat(files.pathStatus(BUCKET, "a").fewestCopies()).isPositive();
    refused(ErrorCode.NOT_FOUND, () -> files.pathStatus(BUCKET, "b"));
    assertThat(files.conflicts(BUCKET)).isEmpty();
  }

  // ---

  private static void refused(ErrorCode code, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            ForebayException.class,
            refusal -> assertThat(refusal.code()).as(refusal.getMessage()).isEqualTo(code));
  }

  private static WriteOptions options(WriteConditions conditions) {
    return new WriteOptions(ObjectMetadata.NONE, conditions, OptionalLong.empty(), false);
  }

  private ObjectInfo complete(UploadId upload, List<CompletedPart> parts) {
    return files.completeUpload(
        BUCKET, "big", upload, parts, WriteConditions.NONE, OptionalLong.empty());
  }

  private PartInfo part(UploadId upload, int number, byte[] body) {
    try (BodyWriter<PartInfo> writer =
        files.createPart(BUCKET, "big", upload, number, WriteOptions.DEFAULT)) {
      write(writer, body);
      return writer.publish(Optional.empty());
    }
  }

  private ObjectInfo put(String key, String body) {
    return put(key, body.getBytes(StandardCharsets.UTF_8), ObjectMetadata.NONE);
  }

  private ObjectInfo put(String key, byte[] body, ObjectMetadata metadata) {
    var options =
        new WriteOptions(metadata, WriteConditions.NONE, OptionalLong.of(body.length), false);
    try (BodyWriter<ObjectInfo> writer = files.create(BUCKET, key, options)) {
      write(writer, body);
      return writer.publish(Optional.empty());
    }
  }

  private void write(BodyWriter<?> writer, byte[] body) {
    for (int offset = 0; offset < body.length; offset += bodies.slabBytes()) {
      int length = Math.min(bodies.slabBytes(), body.length - offset);
      Slab slab = bodies.take();
      slab.buffer().put(body, offset, length);
      Bytes bytes = slab.bytes(0, length);
      slab.release();
      writer.write(bytes);
      bytes.release();
    }
  }

  private byte[] get(String key) {
    try (ObjectReader reader = files.open(BUCKET, key, ReadConditions.NONE)) {
      return drain(reader);
    }
  }

  private static byte[] drain(ObjectReader reader) {
    ByteBuffer whole = ByteBuffer.allocate((int) reader.info().lengthBytes());
    while (whole.hasRemaining()) {
      Bytes read = reader.read(whole.position(), whole.remaining());
      read.copyTo(whole);
      read.release();
    }
    return whole.array();
  }

  private List<String> keys(String prefix, String delimiter) {
    return pages(prefix, delimiter, ListQuery.MAX);
  }

  private List<String> pages(String prefix, String delimiter, int max) {
    return pages(query -> files.list(BUCKET, query), prefix, delimiter, max);
  }

  /** In pages of two. */
  private List<String> everything(String prefix, String delimiter) {
    return pages(query -> files.listAll(BUCKET, query), prefix, delimiter, 2);
  }

  private static List<String> pages(
      Function<ListQuery, ListPage> list, String prefix, String delimiter, int max) {
    var all = new ArrayList<String>();
    String startAfter = "";
    while (true) {
      ListPage page = list.apply(new ListQuery(prefix, delimiter, startAfter, max));
      assertThat(page.objects().size() + page.commonPrefixes().size()).isLessThanOrEqualTo(max);
      var merged = new TreeSet<>(ObjectKey.ORDER);
      page.objects().forEach(object -> merged.add(object.key()));
      merged.addAll(page.commonPrefixes());
      all.addAll(merged);
      if (page.next().isEmpty()) {
        return all;
      }
      startAfter = page.next().get();
    }
  }

  private static byte[] random(int length, long seed) {
    var body = new byte[length];
    new Random(seed).nextBytes(body);
    return body;
  }
}
