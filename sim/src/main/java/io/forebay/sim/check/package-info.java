/**
 * What can happen in a small world of production state machines? Everything, state by state.
 *
 * <p>It never draws a number and never reads a clock.
 *
 * <p>Called by {@code ./forebay check} and tests; calls the state machines of core and node.
 *
 * <p>Threading: a world and its explorer belong to one thread.
 *
 * <p>Failure: a broken promise is a result, with the steps that lead to it; what escapes a state
 * machine ends the run.
 */
@NullMarked
package io.forebay.sim.check;

import org.jspecify.annotations.NullMarked;
