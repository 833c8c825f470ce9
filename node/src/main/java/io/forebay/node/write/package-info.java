/**
 * How does a body get onto enough volumes? In chunks, each to every member of one group at one
 * epoch.
 *
 * <p>It never makes anything visible: publishing belongs to the file service.
 *
 * <p>Called by the file service; calls the network and the control plane.
 *
 * <p>Threading: a body belongs to one thread; sessions, suspects and choosers are for all.
 *
 * <p>Failure: UNAVAILABLE with what each member said, after 30 s of trying elsewhere; NO_SPACE
 * naming the full volumes, after 5 s where there is no store behind, and else once no writer of
 * this node has found room for as long as is configured; QUOTA_EXCEEDED likewise, of a bucket.
 */
@NullMarked
package io.forebay.node.write;

import org.jspecify.annotations.NullMarked;
