/**
 * How does one disk keep chunks? The port of a data directory, and its implementation in memory.
 *
 * <p>It never knows what a chunk is for, who owes it, or where its other copies are.
 *
 * <p>Called by the node's replica, read and re-sync paths; implemented on disks by {@code store}.
 *
 * <p>Threading: volumes are for all threads; an appender for one at a time.
 *
 * <p>Failure: NO_SPACE, IO_ERROR, CORRUPT, CHUNK_ABSENT, CHECKSUM_MISMATCH, each naming volume and
 * chunk.
 */
@NullMarked
package io.forebay.core.volume;

import org.jspecify.annotations.NullMarked;
