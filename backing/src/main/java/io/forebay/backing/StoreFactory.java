package io.forebay.backing;

import io.forebay.backing.azure.AzureStore;
import io.forebay.backing.dir.DirStore;
import io.forebay.backing.s3.S3Store;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * Opens stores by their URLs: {@code dir:PATH}, {@code
 * azblob://ACCOUNT/CONTAINER[/PREFIX][?create=true]} or {@code
 * s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION&pathStyle=true&create=true]}. Credentials come
 * from the environment: {@code AZURE_STORAGE_CONNECTION_STRING}, {@code AZURE_STORAGE_KEY} or
 * {@code AZURE_STORAGE_SAS_TOKEN}, {@code AWS_ACCESS_KEY_ID} and {@code AWS_SECRET_ACCESS_KEY};
 * without these they are the machine's.
 */
public final class StoreFactory {
  private static final String DIR = "dir:";
  private static final String AZURE = "azblob:";
  private static final String S3 = "s3:";

  private StoreFactory() {}

  /** Opens a store with the credentials of this process's environment. */
  public static ObjectStore open(String url) {
    return open(url, System.getenv());
  }

  /**
   * Opens a store; nothing is sent yet.
   *
   * @param environment where credentials are looked up
   * @throws ForebayException CONFIGURATION for a URL that is no store's; what opening fails with
   */
  public static ObjectStore open(String url, Map<String, String> environment) {
    if (url.startsWith(DIR)) {
      return new DirStore(directory(url));
    }
    if (url.startsWith(AZURE)) {
      return AzureStore.open(url, settings(environment));
    }
    if (url.startsWith(S3)) {
      return S3Store.open(url, settings(environment));
    }
    throw unknown(url);
  }

  /**
   * Makes what a store needs before it is opened for the first time: the directory of one. Others
   * are made at the first request, where their URL says so.
   *
   * @throws ForebayException STORE_DENIED when it cannot be made
   */
  public static void make(String url) {
    if (url.startsWith(DIR)) {
      DirStore.make(directory(url));
    }
  }

  /**
   * Checks that a URL is a store's and that the environment fits it; opens and sends nothing.
   *
   * @param environment where credentials are looked up; an empty one fits every URL
   * @throws ForebayException CONFIGURATION naming what is wrong
   */
  public static void check(String url, Map<String, String> environment) {
    if (url.startsWith(DIR)) {
      if (!directory(url).isAbsolute()) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "the store '" + url + "' depends on where a server was started; write dir:/PATH");
      }
    } else if (url.startsWith(AZURE)) {
      AzureStore.check(url, settings(environment));
    } else if (url.startsWith(S3)) {
      S3Store.check(url, settings(environment));
    } else {
      throw unknown(url);
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

  private static ForebayException unknown(String url) {
    // Without what people put secrets into.
    String shown = url.replaceFirst("\\?.*", "").replaceFirst("//[^/]*@", "//");
    return new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + shown
            + "' is of no known kind; write dir:PATH, azblob://ACCOUNT/CONTAINER[/PREFIX] or"
            + " s3://BUCKET[/PREFIX]");
  }
}
