/**
 * Which lines of the production code did this process execute?
 *
 * <p>It knows only while JaCoCo's agent watches, which scripts/sim.sh starts for runs that write
 * facts.
 *
 * <p>Called by {@code ./forebay sim}; calls JaCoCo.
 *
 * <p>Threading: any one thread, when the work is done.
 *
 * <p>Failure: without the agent there is nothing to tell.
 */
@NullMarked
package io.forebay.sim.coverage;

import org.jspecify.annotations.NullMarked;
