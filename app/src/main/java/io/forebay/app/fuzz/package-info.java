/**
 * What does a server do with what no client should send? Seeded nonsense at the S3 door and at the
 * transport of a real process, and a judge.
 *
 * <p>It never looks into the server, beyond its report and its log.
 *
 * <p>Called by Main; starts a server process.
 *
 * <p>Threading: one thread talks; a thread for each connection reads, so that neither end waits for
 * the other.
 *
 * <p>Failure: {@link io.forebay.app.fuzz.Defect} says what did not hold, and the last talks go with
 * it; the process is ended whatever happens.
 */
@NullMarked
package io.forebay.app.fuzz;

import org.jspecify.annotations.NullMarked;
