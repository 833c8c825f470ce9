/**
 * What may be deleted from this node's disks, and what goes first when they fill? What the
 * namespace says, and nothing else; of that the least recently used.
 *
 * <p>It never guesses: an unanswered question deletes nothing.
 *
 * <p>Runs in every node; calls own volumes and the control plane.
 *
 * <p>Threading: one loop.
 *
 * <p>Failure: whatever fails is asked again in the next round.
 */
@NullMarked
package io.forebay.node.collect;

import org.jspecify.annotations.NullMarked;
