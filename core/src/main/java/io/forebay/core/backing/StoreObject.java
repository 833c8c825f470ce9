package io.forebay.core.backing;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * An object as the store has it.
 *
 * @param etag without quotes
 * @param metadata names in lower case
 * @param modifiedMillis wall clock of the store, since 1970
 */
public record StoreObject(
    String key,
    long lengthBytes,
    String etag,
    String contentType,
    Map<String, String> metadata,
    long modifiedMillis) {
  public StoreObject {
    metadata = Collections.unmodifiableMap(new TreeMap<>(metadata));
  }
}
