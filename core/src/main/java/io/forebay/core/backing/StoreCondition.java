package io.forebay.core.backing;

/** What must hold in the store for a change to be made. */
public sealed interface StoreCondition {
  /** Whatever is there. */
  record Any() implements StoreCondition {}

  /** Nothing is there. */
  record IfAbsent() implements StoreCondition {}

  /** The object has this ETag, without quotes. */
  record IfMatch(String etag) implements StoreCondition {}
}
