package io.forebay.core.file;

/** How far a generation is on its way to the store. */
public enum FlushState {
  /** It has no store to go to. */
  CACHE_ONLY,
  /** Published, not begun to flush. */
  PENDING,
  /** An attempt is open. */
  FLUSHING,
  /** The store has it. */
  FLUSHED,
  /** The last attempt failed; it is tried again. The reason is in {@link FlushReport}. */
  FAILED,
  /** Someone else wrote the store object; waits for {@code conflict keep} or {@code take}. */
  CONFLICT
}
