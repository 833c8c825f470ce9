/**
 * Where may a thread be interrupted by others? Before each lock of the production classes that it
 * takes while it holds none, and at each call of its Env.
 *
 * <p>A simulated thread runs until it parks; on a real machine another one may come between any two
 * steps. The classes of core, node, client and transport are rewritten as they are loaded, so that
 * each of their locks asks here first.
 *
 * <p>Called by the rewritten classes and by io.forebay.sim.world; knows neither.
 *
 * <p>Threading: a world's threads run one at a time; other threads are let through.
 *
 * <p>Failure: classes that cannot be rewritten end the JVM's simulator with the reason.
 */
@NullMarked
package io.forebay.sim.preempt;

import org.jspecify.annotations.NullMarked;
