package io.forebay.core.cluster;

/** When published data reach the store. */
public enum FlushMode {
  /** Some seconds after the publish. */
  BACK,
  /** Before the publish returns. */
  THROUGH,
  /** Never: the bucket has no store, or the prefix is not for it. */
  CACHE_ONLY
}
