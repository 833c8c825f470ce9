package io.forebay.backing.azure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.ObjectStoreContract;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The contract against Azurite, each test in a container of its own. */
@Tag("e2e")
final class AzuriteTest extends ObjectStoreContract {
  // Azurite's published development account; it protects nothing.
  private static final String ACCOUNT = "devstoreaccount1";
  private static final String KEY =
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
  private static final AtomicInteger CONTAINERS = new AtomicInteger();
  private static Process azurite;
  private static String endpoint;

  private String container;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException, InterruptedException {
    Path root = Path.of("").toAbsolutePath();
    while (!Files.exists(root.resolve("scripts/test-tools.sh"))) {
      root = root.getParent();
    }
    Path program = root.resolve(".tools/node/node_modules/.bin/azurite-blob");
    if (!Files.exists(program)) {
      int code =
          new ProcessBuilder(root.resolve("scripts/test-tools.sh").toString())
              .inheritIO()
              .start()
              .waitFor();
      assertThat(code).as("scripts/test-tools.sh").isZero();
    }
    azurite =
        new ProcessBuilder(
                program.toString(),
                "--blobHost",
                "127.0.0.1",
                "--blobPort",
                "0",
                "--inMemoryPersistence",
                "--skipApiVersionCheck")
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .start();
    BufferedReader words = azurite.inputReader(StandardCharsets.UTF_8);
    while (endpoint == null) {
      String line = words.readLine();
      assertThat(line).as("Azurite ended").isNotNull();
      if (line.contains("successfully listen")) {
        endpoint = line.replaceAll(".*(http://[0-9.:]+).*", "$1") + "/" + ACCOUNT;
      }
    }
    // Azurite logs every request: somebody must read that.
    Thread.ofVirtual().start(() -> words.lines().forEach(line -> {}));
  }

  @AfterAll
  static void stop() {
    if (azurite != null) {
      azurite.destroyForcibly();
    }
  }

  @BeforeEach
  void nextContainer() {
    container = "c-" + CONTAINERS.incrementAndGet();
  }

  private static Optional<String> settings(String name) {
    return switch (name) {
      case AzureAddress.CONNECTION_STRING ->
          Optional.of(
              "DefaultEndpointsProtocol=http;AccountName="
                  + ACCOUNT
                  + ";AccountKey="
                  + KEY
                  + ";BlobEndpoint="
                  + endpoint
                  + ";");
      default -> Optional.empty();
    };
  }

  @Override
  protected ObjectStore open() {
    return AzureStore.open(
        "azblob://" + ACCOUNT + "/" + container + "/some/prefix?create=true",
        AzuriteTest::settings);
  }

  @Test
  void aContainerThatIsNotThereIsNamed() {
    try (ObjectStore store =
        AzureStore.open("azblob://" + ACCOUNT + "/" + container, AzuriteTest::settings)) {
      assertThatThrownBy(() -> store.head("k"))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.STORE_MISSING))
          .hasMessageContaining(container)
          .hasMessageContaining("create=true");
    }
  }

  @Test
  void aWrongKeyIsDenied() {
    try (ObjectStore store =
        AzureStore.open(
            "azblob://" + ACCOUNT + "/" + container,
            name ->
                switch (name) {
                  case AzureAddress.KEY -> Optional.of("c2VjcmV0");
                  case AzureAddress.ENDPOINT -> Optional.of(endpoint);
                  default -> Optional.empty();
                })) {
      assertThatThrownBy(() -> store.head("k"))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.STORE_DENIED))
          .hasMessageNotContaining("c2VjcmV0");
    }
  }
}
