/**
 * Does a cluster of production nodes keep its promises under faults? Clusters in one thread, a
 * scenario, and a model that remembers what was acknowledged.
 *
 * <p>It never decides what a node does: nodes are those of production, only their ports differ.
 *
 * <p>Called by sim's main class and tests.
 *
 * <p>Threading: all on the world's one carrier.
 *
 * <p>Failure: what breaks a promise becomes a line in the report's violations.
 */
@NullMarked
package io.forebay.sim.cluster;

import org.jspecify.annotations.NullMarked;
