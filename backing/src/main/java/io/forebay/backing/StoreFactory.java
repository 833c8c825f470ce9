package io.forebay.backing;

import io.forebay.backing.azure.AzureStore;
import io.forebay.backing.dir.DirStore;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** Opens stores by their URLs. */
public final class StoreFactory {
  private StoreFactory() {}

  /** Opens a store with the credentials of this process's environment. */
  public static ObjectStore open(String url) {
    return open(url, System.getenv());
  }

  /**
   * Opens a store; nothing is sent yet. Azure's credentials come from the environment: {@code
   * AZURE_STORAGE_CONNECTION_STRING}, {@code AZURE_STORAGE_KEY} or {@code AZURE_STORAGE_SAS_TOKEN},
   * and without these the machine's identity.
   *
   * @param environment where credentials are looked up
   * @param url {@code dir:PATH} or {@code azblob://ACCOUNT/CONTAINER[/PREFIX][?create=true]}
   * @throws ForebayException CONFIGURATION for a URL that is none of these; what opening fails with
   */
  public static ObjectStore open(String url, Map<String, String> environment) {
    if (url.startsWith("dir:")) {
      return new DirStore(Path.of(url.substring("dir:".length())));
    }
    if (url.startsWith("azblob://")) {
      return AzureStore.open(
          url,
          name -> Optional.ofNullable(environment.get(name)).filter(value -> !value.isBlank()));
    }
    throw new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + url
            + "' is of no known kind; write dir:PATH or azblob://ACCOUNT/CONTAINER[/PREFIX]");
  }
}
