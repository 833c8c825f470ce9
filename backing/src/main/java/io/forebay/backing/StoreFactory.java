package io.forebay.backing;

import io.forebay.backing.dir.DirStore;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.file.Path;

/** Opens stores by their URLs. */
public final class StoreFactory {
  private StoreFactory() {}

  /**
   * Opens a store.
   *
   * @param url {@code dir:PATH} or {@code azblob://ACCOUNT/CONTAINER[/PREFIX]}
   * @throws ForebayException CONFIGURATION for a URL that is none of these; what opening fails with
   */
  public static ObjectStore open(String url) {
    if (url.startsWith("dir:")) {
      return new DirStore(Path.of(url.substring("dir:".length())));
    }
    throw new ForebayException(
        ErrorCode.CONFIGURATION,
        "the store '"
            + url
            + "' is of no known kind; write dir:PATH or azblob://ACCOUNT/CONTAINER[/PREFIX]");
  }
}
