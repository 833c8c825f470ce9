package io.forebay.core.namespace;

/** Whether a copy of a chunk has to be kept. CLEAN and GARBAGE are final: late answers are safe. */
public enum ChunkState {
  /** A generation or upload names it and is not in the store: every copy is accounted for. */
  OWED,
  /** Named, but in the store: a copy may be evicted. */
  CLEAN,
  /** Named by nothing, and its session is past it: delete it. */
  GARBAGE,
  /** Its session is unknown, or open and not past it: treat it as owed. */
  OPEN
}
