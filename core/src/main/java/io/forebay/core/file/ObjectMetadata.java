package io.forebay.core.file;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a writer says about an object, kept as it is.
 *
 * @param contentType a media type; empty: not given
 * @param headers standard headers by lower-case name (cache-control, content-disposition,
 *     content-encoding, content-language, expires) and what a door keeps for itself (x-amz-...)
 * @param user the user's own, by lower-case name without a door's prefix
 */
public record ObjectMetadata(
    String contentType, Map<String, String> headers, Map<String, String> user) {
  public static final ObjectMetadata NONE =
      new ObjectMetadata("", Collections.emptyMap(), Collections.emptyMap());

  public ObjectMetadata {
    headers = Collections.unmodifiableMap(new TreeMap<>(headers));
    user = Collections.unmodifiableMap(new TreeMap<>(user));
  }

  /** The same with other headers; an empty value takes a header away. */
  public ObjectMetadata with(Map<String, String> changed) {
    if (changed.isEmpty()) {
      return this;
    }
    var all = new TreeMap<>(headers);
    changed.forEach((name, value) -> {
      if (value.isEmpty()) {
        all.remove(name);
      } else {
        all.put(name, value);
      }
    });
    return new ObjectMetadata(contentType, all, user);
  }
}
