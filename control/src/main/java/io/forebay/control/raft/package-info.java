/**
 * How do voters agree? Apache Ratis, one server with several logs.
 *
 * <p>It never interprets an entry.
 *
 * <p>Called by the wiring; implements core.log.Consensus.
 *
 * <p>Threading: Ratis' own threads apply and answer; callbacks only complete outcomes.
 *
 * <p>Failure: NOT_LEADER with the leader's name, UNAVAILABLE for unknown outcomes.
 */
@NullMarked
package io.forebay.control.raft;

import org.jspecify.annotations.NullMarked;
