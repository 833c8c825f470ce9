package io.forebay.backing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class StoreFactoryTest {
  @Test
  void eachUrlOpensItsKindAndCheckingOpensNothing(@TempDir Path directory) {
    Path root = directory.resolve("store");
    StoreFactory.check("dir:" + root, Map.of());
    assertThat(root).doesNotExist();
    assertThatThrownBy(() -> StoreFactory.check("dir:store", Map.of()))
        .isInstanceOf(ForebayException.class)
        .hasMessageContaining("dir:/PATH");
    StoreFactory.make("dir:" + root);
    StoreFactory.make("s3://box");
    try (ObjectStore store = StoreFactory.open("dir:" + root, Map.of())) {
      assertThat(store.description()).isEqualTo("dir:" + root);
      assertThat(root).exists();
    }
    StoreFactory.check("azblob://acc/box/prefix?create=true", Map.of());
    try (ObjectStore store =
        StoreFactory.open(
            "azblob://acc/box/prefix?create=true", Map.of("AZURE_STORAGE_KEY", "c2VjcmV0"))) {
      assertThat(store.description()).isEqualTo("azblob://acc/box/prefix");
    }
    StoreFactory.check("s3://box/prefix?region=eu-central-1", Map.of());
    try (ObjectStore store =
        StoreFactory.open(
            "s3://box/prefix?region=eu-central-1",
            Map.of("AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", "c2VjcmV0"))) {
      assertThat(store.description()).isEqualTo("s3://box/prefix at Amazon S3 in eu-central-1");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "dir:",
        "dir: ",
        "s3:bucket",
        "s3://bucket?endpint=http://elsewhere",
        "/data/store",
        "DIR:/x",
        "azblob://acc",
        "azblob:x",
        "azblob://acc/box?endpoint=http://elsewhere",
        "file://u:secret@host/x"
      })
  void aUrlThatIsNoStoresIsRefusedWithWhatToWrite(String url) {
    for (Runnable call :
        new Runnable[] {
          () -> StoreFactory.check(url, Map.of()), () -> StoreFactory.open(url, Map.of()).close()
        }) {
      assertThatThrownBy(call::run)
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.CONFIGURATION))
          .hasMessageMatching("(?s).*(azblob://ACCOUNT/CONTAINER|s3://BUCKET).*")
          .hasMessageNotContaining("secret");
    }
  }
}
