package io.forebay.backing.azure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.BlobContainerClientBuilder;
import com.azure.storage.blob.models.BlobItem;
import com.azure.storage.blob.sas.BlobContainerSasPermission;
import com.azure.storage.blob.sas.BlobServiceSasSignatureValues;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.ObjectStoreContract;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
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

/** The contract against Azurite, each test in a container of its own. */
@Tag("e2e")
final class AzuriteTest extends ObjectStoreContract {
  // Azurite's published development account; it protects nothing.
  private static final String ACCOUNT = "devstoreaccount1";
  private static final String KEY =
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
  private static final PutOptions OPTIONS =
      new PutOptions(new StoreCondition.Any(), "", Map.of(), Map.of());
  private static final AtomicInteger CONTAINERS = new AtomicInteger();
  private static Process azurite;
  private static String endpoint;

  private String container;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException, InterruptedException {
    Path root = Path.of(System.getProperty("forebay.root"));
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

  private BlobContainerClient client() {
    return new BlobContainerClientBuilder()
        .connectionString(settings(AzureAddress.CONNECTION_STRING).orElseThrow())
        .containerName(container)
        .buildClient();
  }

  /** So that others find them. */
  @Test
  void blobsHaveTheNamesOfTheirKeys() {
    List<String> keys = List.of("a b/c+d", "a%20b", "ä/你好", "a?b#c", "a//b");
    try (ObjectStore store = open()) {
      keys.forEach(key -> store.put(key, List.of(), OPTIONS));
      assertThat(client().listBlobs().stream().map(BlobItem::getName))
          .containsExactlyInAnyOrderElementsOf(
              keys.stream().map(key -> "some/prefix/" + key).toList());
    }
  }

  @Test
  void aKeyAndASignatureDoAsWellAsAConnectionString() {
    String url = "azblob://" + ACCOUNT + "/" + container;
    client().create();
    String sas =
        client()
            .generateSas(
                new BlobServiceSasSignatureValues(
                    OffsetDateTime.now(ZoneOffset.UTC).plusHours(1),
                    BlobContainerSasPermission.parse("rwcd")));
    for (Map<String, String> settings :
        List.of(
            Map.of(AzureAddress.KEY, KEY, AzureAddress.ENDPOINT, endpoint),
            Map.of(AzureAddress.SAS_TOKEN, sas, AzureAddress.ENDPOINT, endpoint),
            Map.of(
                AzureAddress.CONNECTION_STRING,
                "BlobEndpoint=" + endpoint + ";SharedAccessSignature=" + sas))) {
      try (ObjectStore store =
          AzureStore.open(url + "?create=true", name -> Optional.ofNullable(settings.get(name)))) {
        String upload = store.begin("k", "1-1", OPTIONS);
        String tag = store.stage("k", upload, 1, List.of(new Synthetic(1, 0, 70_000)));
        assertThat(store.commit("k", upload, List.of(tag), OPTIONS))
            .isInstanceOf(ObjectStore.PutResult.Stored.class);
        String etag = store.head("k").orElseThrow().etag();
        assertThat(store.copy("k", etag, "copy", OPTIONS))
            .isInstanceOf(ObjectStore.PutResult.Stored.class);
        assertThat(store.read("copy", 69_999, 1, Optional.empty(), pool))
            .isInstanceOfSatisfying(
                ObjectStore.ReadResult.Data.class, data -> data.bytes().release());
        assertThat(store.delete("copy", new StoreCondition.Any()))
            .isInstanceOf(ObjectStore.DeleteResult.Deleted.class);
      }
    }
  }
}
