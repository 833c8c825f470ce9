package io.forebay.core.file;

import java.util.List;
import java.util.Optional;

/**
 * A page of a listing.
 *
 * @param objects in order; metadata may be left out ({@link ObjectMetadata#NONE})
 * @param commonPrefixes in order
 * @param next the {@code startAfter} of the next page; empty: this was the last
 */
public record ListPage(
    List<ObjectInfo> objects, List<String> commonPrefixes, Optional<String> next) {
  public ListPage {
    objects = List.copyOf(objects);
    commonPrefixes = List.copyOf(commonPrefixes);
  }
}
