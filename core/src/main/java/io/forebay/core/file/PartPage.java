package io.forebay.core.file;

import java.util.List;

/**
 * A page of an upload's parts.
 *
 * @param more whether parts follow after the last one here
 */
public record PartPage(List<PartInfo> parts, boolean more) {
  public PartPage {
    parts = List.copyOf(parts);
  }
}
