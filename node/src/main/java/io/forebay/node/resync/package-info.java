/**
 * How does a member that missed chunks get them? By comparing lists and pulling the difference.
 *
 * <p>It never deletes, and never takes a member's word for what the namespace has to say.
 *
 * <p>Runs in every node; calls the network, own volumes and the control plane.
 *
 * <p>Threading: one loop, a bounded number of groups and chunks at once.
 *
 * <p>Failure: whatever fails is begun again at the next look.
 */
@NullMarked
package io.forebay.node.resync;

import org.jspecify.annotations.NullMarked;
