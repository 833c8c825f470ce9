package io.forebay.backing.dir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The directory store on a real file system of 1 MiB that fills up or may not be written. */
@Tag("e2e")
final class FullDiskTest {
  private static final PutOptions OPTIONS =
      new PutOptions(new StoreCondition.Any(), "", Map.of(), Map.of());

  @TempDir private Path above;
  private Path mounted;

  @BeforeEach
  void mount() throws IOException, InterruptedException {
    mounted = Files.createDirectory(above.resolve("small"));
    String said = run("mount", "-t", "tmpfs", "-o", "size=1m", "forebay-test", mounted.toString());
    assumeTrue(said.isEmpty(), "only root may mount a small file system: " + said);
  }

  @AfterEach
  void unmount() throws IOException, InterruptedException {
    run("umount", mounted.toString());
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    return process.waitFor() == 0 ? "" : said + " (" + process.exitValue() + ")";
  }

  private static Bytes body(int length) {
    return new Synthetic(7, 0, length);
  }

  private static ForebayException failureOf(Runnable call) {
    return catchThrowableOfType(ForebayException.class, call::run);
  }

  @Test
  void aFullDiskRefusesByNameKeepsWhatIsThereAndTakesAgainWhenThereIsRoom() throws IOException {
    DirStore.make(mounted.resolve("store"));
    try (ObjectStore store = new DirStore(mounted.resolve("store"))) {
      store.put("old", List.of(body(600_000)), OPTIONS);
      for (ForebayException failure :
          List.of(
              failureOf(() -> store.put("old", List.of(body(900_000)), OPTIONS)),
              failureOf(() -> {
                String upload = store.begin("old", "1-1", OPTIONS);
                String tag = store.stage("old", upload, 1, List.of(body(300_000)));
                store.commit("old", upload, List.of(tag), OPTIONS);
              }),
              failureOf(() ->
                  store.copy("old", store.head("old").orElseThrow().etag(), "new", OPTIONS)))) {
        assertThat(failure.code()).as(failure.getMessage()).isEqualTo(ErrorCode.STORE_THROTTLED);
        assertThat(failure)
            .hasMessageContaining("'old'")
            .hasMessageContaining("no room is left")
            .hasMessageContaining("make some");
      }
      assertThat(store.head("old").orElseThrow().lengthBytes()).isEqualTo(600_000);
      assertThat(store.head("new")).isEmpty();
      store.delete("old", new StoreCondition.Any());
      assertThat(store.put("new", List.of(body(600_000)), OPTIONS))
          .isInstanceOf(ObjectStore.PutResult.Stored.class);
    }
  }

  @Test
  void aDiskThatMayNotBeWrittenIsDeniedAndStillRead() throws IOException, InterruptedException {
    DirStore.make(mounted.resolve("store"));
    try (ObjectStore store = new DirStore(mounted.resolve("store"))) {
      store.put("k", List.of(body(1000)), OPTIONS);
      assertThat(run("mount", "-o", "remount,ro", mounted.toString())).isEmpty();
      for (ForebayException failure :
          List.of(
              failureOf(() -> store.put("k", List.of(body(10)), OPTIONS)),
              failureOf(() -> store.begin("k", "1-1", OPTIONS)),
              failureOf(() -> store.delete("k", new StoreCondition.Any())))) {
        assertThat(failure.code()).as(failure.getMessage()).isEqualTo(ErrorCode.STORE_DENIED);
        assertThat(failure).hasMessageContaining("'k'").hasMessageContaining("give this process");
      }
      assertThat(store.head("k").orElseThrow().lengthBytes()).isEqualTo(1000);
    }
    // Also when it is opened so.
    try (ObjectStore store = new DirStore(mounted.resolve("store"))) {
      assertThat(store.head("k")).isPresent();
    }
    assertThat(failureOf(() -> DirStore.make(mounted.resolve("another"))).code())
        .isEqualTo(ErrorCode.STORE_DENIED);
  }
}
