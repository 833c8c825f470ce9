/**
 * What is behind the cache? The port to object stores.
 *
 * <p>It never retries a change, and never decides what is foreign.
 *
 * <p>Called by the flusher and by readers; implemented by {@code backing}.
 *
 * <p>Threading: for all threads; blocking.
 *
 * <p>Failure: values for what is expected, STORE_* and TIMEOUT for faults.
 */
@NullMarked
package io.forebay.core.backing;

import org.jspecify.annotations.NullMarked;
