/**
 * Where do voters keep what they know? In RocksDB, with the applied index in the same batch.
 *
 * <p>It never logs for itself: the Raft log is replayed.
 *
 * <p>Called by raft.
 *
 * <p>Threading: one writer, many views.
 *
 * <p>Failure: IO_ERROR with the directory; a voter that cannot write stops.
 */
@NullMarked
package io.forebay.control.rocks;

import org.jspecify.annotations.NullMarked;
