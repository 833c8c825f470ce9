/**
 * What is a simulated machine made of? A clock, chance, threads and processes that one seed
 * governs.
 *
 * <p>It never runs a second platform thread, and never looks at the real clock.
 *
 * <p>Called by scenarios and tests; implements core's Env.
 *
 * <p>Threading: all of a world runs on the thread that calls SimWorld.run.
 *
 * <p>Failure: an exception that escapes a simulated thread ends the run with its seed.
 */
@NullMarked
package io.forebay.sim.world;

import org.jspecify.annotations.NullMarked;
