package io.forebay.core.file;

import java.util.List;

/**
 * A page of an object's parts.
 *
 * @param more whether parts follow after the last one here
 */
public record ObjectParts(List<ObjectPart> parts, boolean more) {
  public ObjectParts {
    parts = List.copyOf(parts);
  }
}
