package io.forebay.backing.dir;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.ObjectStoreContract;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DirStoreTest extends ObjectStoreContract {
  @TempDir private Path above;

  @Override
  protected ObjectStore open() {
    return new DirStore(above.resolve("root"));
  }

  @Test
  void noKeyLeavesTheDirectory() throws IOException {
    PutOptions options = new PutOptions(new StoreCondition.Any(), "", Map.of(), Map.of());
    try (ObjectStore store = open()) {
      for (String key :
          List.of("../out", "/../../out", "..", ".", "a/../../../out", "/etc/x", "")) {
        store.put(key, List.of(), options);
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
      String before = store.head("foreign.txt").orElseThrow().etag();
      assertThat(
              store.put(
                  "foreign.txt",
                  List.of(),
                  new PutOptions(new StoreCondition.IfAbsent(), "", Map.of(), Map.of())))
          .isInstanceOf(ObjectStore.PutResult.Refused.class);
      Files.writeString(file, "other");
      assertThat(store.head("foreign.txt").orElseThrow().etag()).isNotEqualTo(before);
      assertThat(Files.readString(file)).isEqualTo("other");
    }
  }
}
