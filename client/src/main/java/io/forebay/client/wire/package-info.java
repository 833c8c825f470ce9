/**
 * How does a program on another host use the services? Through one node, message by message.
 *
 * <p>It never talks to volumes or voters itself, and keeps no data.
 *
 * <p>Called by the command line and by programs; {@link io.forebay.client.wire.FileEndpoint} is its
 * other end, inside the node.
 *
 * <p>Threading: services are for all threads; a reader or writer belongs to one thread at a time.
 *
 * <p>Failure: the serving node's codes and messages as they are; PEER_UNREACHABLE and TIMEOUT when
 * it does not answer. A write whose publish was not answered has an unknown outcome: ask {@code
 * stat}.
 */
@NullMarked
package io.forebay.client.wire;

import org.jspecify.annotations.NullMarked;
