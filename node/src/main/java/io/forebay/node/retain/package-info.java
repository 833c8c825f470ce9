/**
 * What of what lies below a prefix is let go, and what is sent to the store? What its policy says
 * (decision 0021).
 *
 * <p>It never deletes anything itself: the namespace does, in one command for each checkpoint, and
 * refuses where the policy was changed, something newer was published, or the store is concerned.
 *
 * <p>Runs on every voter; calls the control plane.
 *
 * <p>Threading: one loop.
 *
 * <p>Failure: what could not be asked or logged is looked at again; nothing but the log remembers
 * anything.
 */
@NullMarked
package io.forebay.node.retain;

import org.jspecify.annotations.NullMarked;
