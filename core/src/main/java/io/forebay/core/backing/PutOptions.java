package io.forebay.core.backing;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * How an object is stored.
 *
 * @param contentType empty: the store's default
 * @param headers Cache-Control and the like, names in lower case
 * @param metadata names of lower-case letters, digits and '_' (what every store takes)
 */
public record PutOptions(
    StoreCondition condition,
    String contentType,
    Map<String, String> headers,
    Map<String, String> metadata) {
  public PutOptions {
    headers = Collections.unmodifiableMap(new TreeMap<>(headers));
    metadata = Collections.unmodifiableMap(new TreeMap<>(metadata));
  }
}
