package io.forebay.core.backing;

/** Requests by kind. */
public record StoreRequests(
    long heads, long reads, long puts, long stages, long commits, long copies, long deletes) {
  /** All of them. */
  public long total() {
    return heads + reads + puts + stages + commits + copies + deletes;
  }
}
