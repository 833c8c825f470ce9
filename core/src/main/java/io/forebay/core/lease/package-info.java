/**
 * Who may answer for a directory from memory, and until when?
 *
 * <p>It never sends a message and never logs: it keeps the books of both ends.
 *
 * <p>Called by core.log (the leader's table, the node's cache) and by nodes; calls env, error, id,
 * namespace and rule.
 *
 * <p>Threading: for all threads; one lock per object, held across no call out.
 *
 * <p>Failure: what does not fit, or came too late, is no lease; too many commands at once are BUSY.
 */
@NullMarked
package io.forebay.core.lease;

import org.jspecify.annotations.NullMarked;
