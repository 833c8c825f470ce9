package io.forebay.backing;

import io.forebay.backing.azure.AzureStore;
import io.forebay.backing.dir.DirStore;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * Opens stores by their URLs: {@code dir:PATH} or {@code
 * azblob://ACCOUNT/CONTAINER[/PREFIX][?create=true]}. Azure's credentials come from the
 * environment: {@code AZURE_STORAGE_CONNECTION_STRING}, {@code AZURE_STORAGE_KEY} or {@code
 * AZURE_STORAGE_SAS_TOKEN}, and without these the machine's identity.
 */
public final class StoreFactory {
  private static final String DIR = "dir:";
  private static final String AZURE = "azblob:";

  private StoreFactory() {}

  /** Opens a store with the credentials of this process's environment. */
  public static ObjectStore open(String url) {
    return open(url, System.getenv());
  }

  /**
   * Opens a store; nothing is sent yet, and a directory is made when it is not there.
   *
   * @param environment where credentials are looked up
   * @throws ForebayException CONFIGURATION for a URL that is no store's; what opening fails with
   */
  public static ObjectStore open(String url, Map<String, String> environment) {
    return url.startsWith(DIR)
        ? new DirStore(directory(url))
        : AzureStore.open(azure(url), settings(environment));
  }

  /**
   * Checks that a URL is a store's and that the environment fits it; opens and sends nothing.
   *
   * @param environment where credentials are looked up; an empty one fits every URL
   * @throws ForebayException CONFIGURATION naming what is wrong
   */
  public static void check(String url, Map<String, String> environment) {
    if (url.startsWith(DIR)) {
      directory(url);
    } else {
      AzureStore.check(azure(url), settings(environment));
    }
  }

  private static Function<String, Optional<String>> settings(Map<String, String> environment) {
    return name -> Optional.ofNullable(environment.get(name)).filter(value -> !value.isBlank());
  }

  private static Path directory(String url) {
    String path = url.substring(DIR.length());
    try {
      if (!path.isBlank()) {
        return Path.of(path);
      }
    } catch (InvalidPathException malformed) {
      throw unknown(url);
    }
    throw unknown(url);
  }

  private static String azure(String url) {
    if (!url.startsWith(AZURE)) {
      throw unknown(url);
    }
    return url;
  }

  private static ForebayException unknown(String url) {
    // Without what people put secrets into.
    String shown = url.replaceFirst("\\?.*", "").replaceFirst("//[^/]*@", "//");
    return new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + shown
            + "' is of no known kind; write dir:PATH or azblob://ACCOUNT/CONTAINER[/PREFIX]");
  }
}
