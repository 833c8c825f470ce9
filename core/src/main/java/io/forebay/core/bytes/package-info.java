/**
 * How does data lie in memory on its way through? As parts of pooled, aligned, counted off-heap
 * slabs.
 *
 * <p>It never blocks on I/O, and never allocates beyond a pool's bound.
 *
 * <p>Called by every package that moves data; calls env only.
 *
 * <p>Threading: Bytes are immutable while shared; reference counts are atomic; a slab is written by
 * the holder of its only reference.
 *
 * <p>Failure: BUSY when a pool is empty past a deadline; IllegalState for a release or use too many
 * (a bug of ours).
 */
@NullMarked
package io.forebay.core.bytes;

import org.jspecify.annotations.NullMarked;
