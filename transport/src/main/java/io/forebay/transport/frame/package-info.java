/**
 * How do bytes on a connection become frames, and back? Fixed headers, bounded bodies, payloads
 * that land in their slab; drawn in docs/formats/wire.md.
 *
 * <p>It never does I/O and never interprets a message.
 *
 * <p>Called by the TCP network; calls core's bytes only.
 *
 * <p>Threading: a decoder belongs to one connection's event loop.
 *
 * <p>Failure: what is not a frame of ours is CORRUPT or WRONG_VERSION with the reason; the
 * connection cannot be used further.
 */
@NullMarked
package io.forebay.transport.frame;

import org.jspecify.annotations.NullMarked;
