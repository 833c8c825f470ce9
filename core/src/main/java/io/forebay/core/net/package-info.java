/**
 * How does a node speak to another? Calls with small answers, and uploads of chunks along a chain
 * of replicas; the port that the sockets and the simulated network both implement.
 *
 * <p>It never decides what a message means, and never tries again by itself: a lost answer is the
 * caller's to judge.
 *
 * <p>Called by node, client and control; implemented in transport (TCP) and in the simulator.
 *
 * <p>Threading: a Network is safe for all threads. Handlers run on virtual threads, one for each
 * call, and may block. One {@link ChunkUpload} belongs to one thread.
 *
 * <p>Failure: PEER_UNREACHABLE when the peer cannot be reached or the connection breaks, TIMEOUT
 * when it does not answer in time (in both cases what was asked may have happened), BUSY when too
 * much is outstanding, and whatever code the peer's handler threw.
 */
@NullMarked
package io.forebay.core.net;

import org.jspecify.annotations.NullMarked;
