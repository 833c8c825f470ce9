package io.forebay.app.bench.evict;

/**
 * What a cache of so many chunks keeps. Chunks are numbered from 0. For each access of a trace, in
 * its order, {@link #use} is called, and then {@link #add} where it was not there and is kept; or
 * {@link #drop}.
 */
interface Policy {
  /** Whether the chunk is there; counts as a use. */
  boolean use(int chunk);

  /** Takes in a chunk that is not there, and evicts what gives way to it. */
  void add(int chunk);

  /** The chunk is deleted, there or not. */
  void drop(int chunk);
}
