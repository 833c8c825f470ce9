package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;
import io.forebay.core.id.Generation;
import java.util.Optional;

/** What a HEAD of a store key answered. */
public sealed interface StoreHead {
  /** There is none. */
  @Tag(1)
  record Missing() implements StoreHead {}

  /**
   * There is one.
   *
   * @param etag without quotes
   * @param stamp what its metadata say, when they name this cluster
   */
  @Tag(2)
  record Found(String etag, long lengthBytes, Optional<Stamp> stamp) implements StoreHead {}

  /** What each of our attempts writes into the object's metadata, beside the cluster's id (F1). */
  record Stamp(Generation generation, long attempt) {}

  /** The same without the stamp. */
  default StoreSight sight() {
    return switch (this) {
      case Missing missing -> new StoreSight.Absent();
      case Found found -> new StoreSight.Present(found.etag());
    };
  }
}
