package io.forebay.core.file;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A page of an upload's parts.
 *
 * @param more whether parts follow after the last one here
 * @param headers of each part, in their order: what was given when it was published
 * @param uploadHeaders the headers that the upload was begun with
 */
public record PartPage(
    List<PartInfo> parts,
    boolean more,
    List<Map<String, String>> headers,
    Map<String, String> uploadHeaders) {
  public PartPage {
    parts = List.copyOf(parts);
    headers = List.copyOf(headers);
    uploadHeaders = Collections.unmodifiableMap(new TreeMap<>(uploadHeaders));
    if (headers.size() != parts.size()) {
      throw new IllegalArgumentException(
          headers.size() + " sets of headers for " + parts.size() + " parts");
    }
  }
}
