/**
 * How does a request over HTTP/1.1 reach a door, and the answer the client? A small server on Netty
 * for all doors that speak HTTP: parsing, TLS and sockets on event loops, each request's decisions
 * on a virtual thread.
 *
 * <p>It never holds a whole body, never knows a door's protocol, and listens only where it is told.
 * Over TLS it is plain HTTP/1.1 all the same: one layer of the pipeline more.
 *
 * <p>Called by the doors and by app for health and metrics; calls Netty, core.bytes and core.env.
 *
 * <p>Threading: {@link io.forebay.gateway.http.Connection} belongs to its event loop; an exchange
 * belongs to the virtual thread that handles it; the two meet in {@link
 * io.forebay.gateway.http.BodyQueue} (one lock, taken last). Memory for each connection is bounded:
 * reading stops while {@link io.forebay.gateway.http.BodyQueue#HIGH_WATER_BYTES} wait, writing
 * waits while the channel is not writable.
 *
 * <p>Failure: INCOMPLETE_BODY when a client goes away, TIMEOUT when it stalls, both thrown to the
 * handler; heads that do not parse and requests beyond the bound are answered by {@link
 * io.forebay.gateway.http.HttpHandler#refuse} and the connection is closed.
 */
@NullMarked
package io.forebay.gateway.http;

import org.jspecify.annotations.NullMarked;
