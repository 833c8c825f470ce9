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
 * <p>Failure: UNAVAILABLE or NO_SPACE with what each member said, after 30 s of trying elsewhere;
 * after 5 s of answers that there is no room.
 */
@NullMarked
package io.forebay.node.write;

import org.jspecify.annotations.NullMarked;
