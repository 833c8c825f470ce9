/**
 * How do published bytes reach the store? By attempts that the log numbers and the objects carry.
 *
 * <p>It never decides what is foreign: the namespace does, from what a HEAD said.
 *
 * <p>Runs in every node; calls readers, stores and the control plane.
 *
 * <p>Threading: one loop, a bounded number of keys and parts at once.
 *
 * <p>Failure: what the store refused is recorded with its reason and tried again later; what is
 * unknown becomes unresolved, and a HEAD decides.
 */
@NullMarked
package io.forebay.node.flush;

import org.jspecify.annotations.NullMarked;
