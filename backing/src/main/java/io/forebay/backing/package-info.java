/**
 * Which store does a URL mean?
 *
 * <p>It never keeps a store: whoever opens one closes it.
 *
 * <p>Called by the wiring.
 *
 * <p>Threading: for all threads.
 *
 * <p>Failure: CONFIGURATION naming the URL and the kinds that are known.
 */
@NullMarked
package io.forebay.backing;

import org.jspecify.annotations.NullMarked;
