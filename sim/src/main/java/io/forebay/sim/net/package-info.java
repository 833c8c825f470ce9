/**
 * What lies between the processes of a simulated world? Links with latency, order and partitions.
 *
 * <p>It never opens a socket, and never delivers to a process that was killed.
 *
 * <p>Called by sim.cluster; implements core's Network with the relay of transport.
 *
 * <p>Threading: all on the world's one carrier; events are delivered by the world's timers.
 *
 * <p>Failure: a dead peer is PEER_UNREACHABLE, a cut link loses silently until a time-out.
 */
@NullMarked
package io.forebay.sim.net;

import org.jspecify.annotations.NullMarked;
