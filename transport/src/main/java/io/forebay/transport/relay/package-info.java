/**
 * How does a chunk pass through a node? Cut-through: each slice goes to the local disk and to the
 * next hop as it comes; the answers of both are merged on the way back.
 *
 * <p>It never touches a socket, a disk or the bytes themselves, and takes no memory beyond the
 * window of slices that it grants.
 *
 * <p>Called by the networks (TCP and simulated), which implement its ports {@link
 * io.forebay.transport.relay.Dialer} and {@link io.forebay.transport.relay.Outgoing}; calls core's
 * chunk receiver and sink.
 *
 * <p>Threading: {@link io.forebay.transport.relay.Relay} is a plain state machine; {@link
 * io.forebay.transport.relay.RelayHop} feeds it one event at a time from whichever thread brings
 * one. No callback blocks; admission and commit run on virtual threads of their own.
 *
 * <p>Failure: whatever happens to a hop becomes its acknowledgement; a broken next hop leaves the
 * local copy to complete.
 */
@NullMarked
package io.forebay.transport.relay;

import org.jspecify.annotations.NullMarked;
