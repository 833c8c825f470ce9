/**
 * Where does a reader find its bytes? On an own disk, at a member of the group, in the store.
 *
 * <p>It never writes, and never mixes generations.
 *
 * <p>Called by the file service and the flusher; calls the network, volumes and the store.
 *
 * <p>Threading: readers of chunks are for all threads; a read-ahead belongs to one.
 *
 * <p>Failure: CHUNK_ABSENT with what everybody said; the store's own faults.
 */
@NullMarked
package io.forebay.node.read;

import org.jspecify.annotations.NullMarked;
