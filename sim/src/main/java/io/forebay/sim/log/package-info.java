/**
 * How do simulated voters agree? A replicated log with terms, elections and lost answers, but
 * without the messages of an algorithm: what it may do is what Raft may do.
 *
 * <p>It never commits without a majority that reaches each other, and never forgets what it
 * committed.
 *
 * <p>Called by sim.cluster; implements core's Consensus.
 *
 * <p>Threading: all on the world's one carrier; each voter applies on a thread of its process.
 *
 * <p>Failure: a leader without a majority commits nothing and confirms no read; what it had
 * proposed may come true later.
 */
@NullMarked
package io.forebay.sim.log;

import org.jspecify.annotations.NullMarked;
