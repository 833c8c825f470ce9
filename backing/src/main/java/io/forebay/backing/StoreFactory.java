package io.forebay.backing;

import io.forebay.backing.azure.AzureStore;
import io.forebay.backing.dir.DirStore;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Opens stores by their URLs. */
public final class StoreFactory {
  // Account, container, prefix, and whether to create the container.
  private static final Pattern AZURE =
      Pattern.compile("azblob://([a-z0-9]{3,24})/([a-z0-9-]{3,63})(?:/([^?]*))?(\\?create=true)?");

  private StoreFactory() {}

  /** Opens a store with the credentials of this process's environment. */
  public static ObjectStore open(String url) {
    return open(url, System.getenv());
  }

  /**
   * Opens a store.
   *
   * @param environment where credentials are looked up
   * @param url {@code dir:PATH} or {@code azblob://ACCOUNT/CONTAINER[/PREFIX]}
   * @throws ForebayException CONFIGURATION for a URL that is none of these; what opening fails with
   */
  public static ObjectStore open(String url, Map<String, String> environment) {
    if (url.startsWith("dir:")) {
      return new DirStore(Path.of(url.substring("dir:".length())));
    }
    Matcher azure = AZURE.matcher(url);
    if (azure.matches()) {
      String prefix = Optional.ofNullable(azure.group(3)).orElse("");
      return new AzureStore(
          azure.group(1),
          azure.group(2),
          prefix.isEmpty() || prefix.endsWith("/") ? prefix : prefix + "/",
          environment,
          azure.group(4) != null);
    }
    throw new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + url
            + "' is of no known kind; write dir:PATH or azblob://ACCOUNT/CONTAINER[/PREFIX]");
  }
}
