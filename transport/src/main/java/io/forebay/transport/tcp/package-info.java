/**
 * How do bytes move between two machines? Over TCP, with Netty: the {@link
 * io.forebay.core.net.Network} of production.
 *
 * <p>It never decides about data, never runs a handler on an event loop, and never tries a call
 * again.
 *
 * <p>Called through core's port; calls the frame codec and the relay.
 *
 * <p>Threading: a connection belongs to its event loop, which does everything to it; handlers,
 * admissions and commits run on virtual threads. Lock order: a lane's lock, then nothing.
 *
 * <p>Failure: a connection that breaks, falls silent or speaks nonsense is closed with a named
 * reason; its calls fail with PEER_UNREACHABLE at once, its uploads break.
 */
@NullMarked
package io.forebay.transport.tcp;

import org.jspecify.annotations.NullMarked;
