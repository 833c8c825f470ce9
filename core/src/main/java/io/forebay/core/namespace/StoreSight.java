package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;

/** What a store key held when it was last known; the condition of the next attempt. */
public sealed interface StoreSight {
  /** Nothing: the next attempt carries If-None-Match: *. */
  @Tag(1)
  record Absent() implements StoreSight {}

  /** An object: the next attempt carries If-Match. */
  @Tag(2)
  record Present(String etag) implements StoreSight {}
}
