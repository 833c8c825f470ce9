package io.forebay.core.namespace;

/** What an attempt sends. */
public enum FlushKind {
  /** Uploads the pieces of the manifest, then commits them. */
  PUT,
  /** One store-side copy of a whole store object, with If-Match on the source. */
  COPY,
  /** Deletes the store object. */
  DELETE,
  /**
   * Sends nothing: a HEAD that resolves attempts which can no longer land ({@code FlushResolve}).
   */
  RESOLVE
}
