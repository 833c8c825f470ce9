/**
 * How do published bytes reach the store? By attempts that the log numbers and the objects carry.
 *
 * <p>It never decides what is foreign: the namespace does, from what a HEAD said. It never sends a
 * change twice, nor one after its lease, and never reads or writes without a condition.
 *
 * <p>Runs in every node; calls readers, stores and the control plane.
 *
 * <p>Threading: one loop; a bounded number of keys, parts and bytes at once, and of keys for each
 * store as many as its pace allows.
 *
 * <p>Failure: what the store refused is recorded with its reason and tried again later, by
 * whichever node is first; what is unknown becomes unresolved, and a HEAD decides. A store that
 * throttles or fails is left alone for a while. An exception that nobody expected is recorded like
 * the others and counted; an Error stops the node.
 */
@NullMarked
package io.forebay.node.flush;

import org.jspecify.annotations.NullMarked;
