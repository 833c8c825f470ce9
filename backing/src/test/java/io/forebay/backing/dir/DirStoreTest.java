package io.forebay.backing.dir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.ObjectStoreContract;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DirStoreTest extends ObjectStoreContract {
  private static final PutOptions ANY =
      new PutOptions(new StoreCondition.Any(), "", Map.of(), Map.of());

  @TempDir private Path above;

  @Override
  protected ObjectStore open() {
    DirStore.make(above.resolve("root"));
    return new DirStore(above.resolve("root"));
  }

  private static ForebayException failureOf(ThrowingCallable call) {
    return catchThrowableOfType(ForebayException.class, call);
  }

  @Test
  void noKeyLeavesTheDirectory() throws IOException {
    try (ObjectStore store = open()) {
      for (String key :
          List.of("../out", "/../../out", "..", ".", "a/../../../out", "/etc/x", "")) {
        store.put(key, List.of(), ANY);
        assertThat(store.head(key)).as(key).isPresent();
      }
    }
    try (var left = Files.list(above)) {
      assertThat(left).containsExactly(above.resolve("root"));
    }
  }

  @Test
  void aForeignFileIsAnObjectWhoseEtagChangesWithIt() throws IOException {
    try (ObjectStore store = open()) {
      Path file = above.resolve("root/foreign.txt");
      Files.writeString(file, "one");
      FileTime written = Files.getLastModifiedTime(file);
      String before = store.head("foreign.txt").orElseThrow().etag();
      assertThat(
              store.put(
                  "foreign.txt",
                  List.of(),
                  new PutOptions(new StoreCondition.IfAbsent(), "", Map.of(), Map.of())))
          .isInstanceOf(ObjectStore.PutResult.Refused.class);
      // As long, and as old.
      Path other = Files.writeString(above.resolve("other"), "two");
      Files.setLastModifiedTime(other, written);
      Files.move(other, file, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
      assertThat(store.head("foreign.txt").orElseThrow().etag()).isNotEqualTo(before);
      assertThat(store.read("foreign.txt", 0, 3, Optional.of(before), pool))
          .isInstanceOf(ObjectStore.ReadResult.Changed.class);
      assertThat(store.copy("foreign.txt", before, "copy", ANY))
          .isInstanceOf(ObjectStore.PutResult.Refused.class);
      assertThat(Files.readString(file)).isEqualTo("two");
    }
  }

  /** Until the renaming nothing was changed; from there on a failure is no "not done". */
  @Test
  void afterTheRenamingNoFailureIsReportedAsNotDone() {
    Path root = above.resolve("root");
    var full = new AtomicBoolean();
    DirStore.DirectorySync sync =
        directory -> {
          if (full.get()) {
            throw new IOException("No space left on device");
          }
        };
    DirStore.make(root);
    try (ObjectStore store = new DirStore(root, sync)) {
      store.put("there", List.of(), ANY);
      full.set(true);
      ForebayException put = failureOf(() -> store.put("k", List.of(), ANY));
      assertThat(put.code()).as(put.getMessage()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
      assertThat(put).hasMessageContaining("'k'").hasMessageContaining("was carried out");
      // Nor may what is found be taken for done.
      assertThat(failureOf(() -> store.head("k")).code()).isEqualTo(ErrorCode.STORE_THROTTLED);
      ForebayException delete = failureOf(() -> store.delete("there", ANY.condition()));
      assertThat(delete.code()).isEqualTo(ErrorCode.STORE_UNREACHABLE);
      assertThat(failureOf(() -> store.head("there")).code()).isEqualTo(ErrorCode.STORE_THROTTLED);
      String upload = store.begin("up", "1-1", ANY);
      String tag = store.stage("up", upload, 1, List.of());
      assertThat(failureOf(() -> store.commit("up", upload, List.of(tag), ANY)).code())
          .isEqualTo(ErrorCode.STORE_UNREACHABLE);
      // A new directory's name could not be made safe: the object is not made.
      assertThat(failureOf(() -> store.put("new/k", List.of(), ANY)).code())
          .isEqualTo(ErrorCode.STORE_THROTTLED);
      full.set(false);
      assertThat(store.head("new/k")).isEmpty();
      assertThat(store.head("there")).isEmpty();
      assertThat(store.head("k")).isPresent();
      assertThat(store.head("up")).isPresent();
    }
  }

  /** A part that a holder sends late, when the commit has begun to write behind the joined ones. */
  @Test
  void aPartThatComesOnceMoreDoesNotTouchWhatIsJoined() throws IOException {
    try (ObjectStore store = open()) {
      String upload = store.begin("key", "1-1", ANY);
      store.stage("key", upload, 1, List.of(new Synthetic(1, 0, 5_000)));
      store.stage("key", upload, 2, List.of(new Synthetic(1, 5_000, 5_000)));
      Path joined;
      try (var all = Files.walk(above)) {
        joined = all.filter(file -> file.endsWith("joined")).findFirst().orElseThrow();
      }
      assertThat(joined).hasSize(10_000);
      Files.writeString(joined, "a trailer", StandardOpenOption.APPEND);
      store.stage("key", upload, 2, List.of(new Synthetic(1, 5_000, 5_000)));
      assertThat(joined).hasSize(10_009);
    }
  }

  /** Two deletions at once: the second's directory goes with the first, after its file did. */
  @Test
  void aDeletionWhoseDirectoryGoesMeanwhileIsDone() {
    Path root = above.resolve("root");
    Path directory = root.resolve("bucket.d/a.d");
    var neighbour = new AtomicBoolean();
    var synced = new ArrayList<Path>();
    DirStore.DirectorySync sync =
        at -> {
          if (neighbour.getAndSet(false)) {
            Files.delete(directory);
            Files.delete(directory.getParent());
          }
          if (Files.notExists(at)) {
            throw new NoSuchFileException(at.toString());
          }
          synced.add(at);
        };
    DirStore.make(root);
    try (ObjectStore store = new DirStore(root, sync)) {
      store.put("bucket/a/k", List.of(), ANY);
      synced.clear();
      neighbour.set(true);
      assertThat(store.delete("bucket/a/k", ANY.condition()))
          .isInstanceOf(ObjectStore.DeleteResult.Deleted.class);
      assertThat(synced).containsExactly(root);
    }
  }

  /** An unmounted file system must not look like a store from which all was deleted. */
  @Test
  void aDirectoryThatWentIsMissingAndItsObjectsAreNot() throws IOException {
    try (ObjectStore store = open()) {
      store.put("k", List.of(), ANY);
      Files.move(above.resolve("root"), above.resolve("elsewhere"));
      for (ThrowingCallable call :
          List.<ThrowingCallable>of(
              () -> store.head("k"),
              () -> store.read("k", 0, 1, Optional.empty(), pool),
              () -> store.put("k", List.of(), ANY),
              () -> store.begin("k", "1-1", ANY),
              () -> store.copy("k", "e", "k2", ANY),
              () -> store.delete("k", ANY.condition()))) {
        ForebayException failure = failureOf(call);
        assertThat(failure.code()).as(failure.getMessage()).isEqualTo(ErrorCode.STORE_MISSING);
        assertThat(failure).hasMessageContaining("mount it");
      }
      assertThat(above.resolve("root")).doesNotExist();
    }
  }

  /** It may be where one is not mounted, and what is stored there would be gone when it is. */
  @Test
  void aDirectoryThatIsNoStoreIsMissingUntilItIsMadeOne() {
    Path root = above.resolve("elsewhere");
    ForebayException failure = failureOf(() -> new DirStore(root).close());
    assertThat(failure.code()).isEqualTo(ErrorCode.STORE_MISSING);
    assertThat(failure).hasMessageContaining("mount it").hasMessageContaining(root.toString());
    assertThat(root).doesNotExist();
    DirStore.make(root);
    try (ObjectStore store = new DirStore(root)) {
      assertThat(store.head("k")).isEmpty();
    }
  }

  /** A JVM is refused a file's lock that it has, by whatever name. */
  @Test
  void twoNamesOfOneDirectoryDoNotGetInEachOthersWay() throws Exception {
    Path link = Files.createSymbolicLink(above.resolve("link"), above.resolve("root"));
    try (ObjectStore one = open();
        ObjectStore other = new DirStore(link)) {
      var failure = new AtomicReference<Throwable>();
      Thread writer =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  for (int i = 0; i < 200; i++) {
                    one.put("k", List.of(), ANY);
                  }
                } catch (Throwable failed) {
                  failure.set(failed);
                }
              });
      for (int i = 0; i < 200; i++) {
        other.put("k", List.of(), ANY);
      }
      writer.join();
      assertThat(failure).hasNullValue();
    }
  }

  @Test
  void aFileOfOursThatSomebodyHasMadeLongerIsTheirs() throws IOException {
    try (ObjectStore store = open()) {
      store.put("k", List.of(new Synthetic(1, 0, 100)), ANY);
      String ours = store.head("k").orElseThrow().etag();
      Path file = above.resolve("root/k");
      byte[] before = Files.readAllBytes(file);
      var edited = new ByteArrayOutputStream();
      edited.write('+');
      edited.writeBytes(before);
      Files.write(file, edited.toByteArray());
      assertThat(store.head("k").orElseThrow().etag()).isNotEqualTo(ours);
      assertThat(store.read("k", 0, 1, Optional.of(ours), pool))
          .isInstanceOf(ObjectStore.ReadResult.Changed.class);
      assertThat(store.delete("k", new StoreCondition.IfMatch(ours)))
          .isInstanceOf(ObjectStore.DeleteResult.Refused.class);
      assertThat(file).exists();
      Files.write(file, before);
      assertThat(store.head("k").orElseThrow().etag()).isEqualTo(ours);
      assertThat(store.head("k").orElseThrow().metadata()).isEmpty();
    }
  }

  /** A holder that staged its part and could not say so: it is sent again. */
  @Test
  void aPartThatIsSentTwiceIsOneAndTheNextIsJoinedToIt() throws IOException {
    try (ObjectStore store = open()) {
      String upload = store.begin("k", "1-1", ANY);
      Path directory = above.resolve("root/.forebay-store/uploads").resolve(upload);
      String two = store.stage("k", upload, 2, List.of(new Synthetic(2, 0, 20)));
      assertThat(
              store.stage("k", upload, 2, List.of(new Synthetic(2, 0, 7), new Synthetic(2, 7, 13))))
          .isEqualTo(two);
      String one = store.stage("k", upload, 1, List.of(new Synthetic(1, 0, 10)));
      assertThat(directory.resolve("joined")).hasSize(30);
      assertThat(store.stage("k", upload, 1, List.of(new Synthetic(1, 0, 10)))).isEqualTo(one);
      store.stage("k", upload, 3, List.of(new Synthetic(3, 0, 30)));
      assertThat(directory.resolve("joined")).hasSize(60);
    }
  }

  /** A long object could not be copied in time at its commit. */
  @Test
  void partsAreJoinedAsTheyComeAndACommitMayNameThemInAnyOrder() throws IOException {
    for (int round = 0; round < 4; round++) {
      String key = "k" + round;
      try (ObjectStore store = open()) {
        String upload = store.begin(key, "1-" + round, ANY);
        Path directory = above.resolve("root/.forebay-store/uploads").resolve(upload);
        String three = store.stage(key, upload, 3, List.of(new Synthetic(3, 0, 30)));
        String one = store.stage(key, upload, 1, List.of(new Synthetic(1, 0, 10)));
        assertThat(directory.resolve("joined")).hasSize(10);
        // As a process leaves it that died while it joined.
        Files.writeString(directory.resolve("joined"), "half", StandardOpenOption.APPEND);
        String two = store.stage(key, upload, 2, List.of(new Synthetic(2, 0, 20)));
        assertThat(directory.resolve("joined")).hasSize(60);
        assertThat(directory.resolve(two)).doesNotExist();
        String five = store.stage(key, upload, 5, List.of(new Synthetic(5, 0, 50)));
        List<String> tags =
            switch (round) {
              case 0 -> List.of(one, two, three);
              case 1 -> List.of(one, two, three, five);
              case 2 -> List.of(three, five, one);
              default -> List.of(five);
            };
        store.commit(key, upload, tags, ANY);
        assertThat(directory).doesNotExist();
        byte[] expected =
            switch (round) {
              case 0 -> joined(1, 2, 3);
              case 1 -> joined(1, 2, 3, 5);
              case 2 -> joined(3, 5, 1);
              default -> joined(5);
            };
        assertThat(store.head(key).orElseThrow().lengthBytes()).isEqualTo(expected.length);
        assertThat(store.read(key, 0, expected.length, Optional.empty(), pool))
            .isInstanceOfSatisfying(
                ObjectStore.ReadResult.Data.class,
                data -> {
                  assertThat(data.bytes().toArray()).isEqualTo(expected);
                  data.bytes().release();
                });
      }
    }
  }

  private static byte[] joined(int... parts) {
    var all = new ByteArrayOutputStream();
    for (int part : parts) {
      all.writeBytes(new Synthetic(part, 0, part * 10).toArray());
    }
    return all.toByteArray();
  }

  @Test
  void whatNobodyHasFinishedForAWeekIsRemovedWhenTheStoreIsOpened() throws IOException {
    Path hidden = above.resolve("root/.forebay-store");
    try (ObjectStore store = open()) {
      String old = store.begin("k", "1-1", ANY);
      store.stage("k", old, 1, List.of());
      String young = store.begin("k", "1-2", ANY);
      String tag = store.stage("k", young, 1, List.of());
      Path part = Files.writeString(hidden.resolve("tmp/part"), "half");
      FileTime then = FileTime.from(Instant.now().minus(Duration.ofDays(8)));
      Files.setLastModifiedTime(hidden.resolve("uploads").resolve(old), then);
      Files.setLastModifiedTime(part, then);
      open().close();
      assertThat(part).doesNotExist();
      assertThat(failureOf(() -> store.stage("k", old, 2, List.of())).code())
          .isEqualTo(ErrorCode.NO_SUCH_UPLOAD);
      assertThat(store.commit("k", young, List.of(tag), ANY))
          .isInstanceOf(ObjectStore.PutResult.Stored.class);
    }
  }
}
