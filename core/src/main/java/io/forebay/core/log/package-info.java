/**
 * How do facts become agreed? Commands go to a replicated log, are applied once, and are answered.
 *
 * <p>It never interprets a command, and moves no data.
 *
 * <p>Called by nodes (as clients) and voters (as leaders); calls env, codec, sorted and net. The
 * consensus itself is a port, implemented by {@code control}.
 *
 * <p>Threading: for all threads; the machine is called by one. Lock order: none is held across a
 * call out, except that image listeners run under the image's lock and must not call back.
 *
 * <p>Failure: NOT_LEADER and unknown outcomes are retried under the same number; what is left is
 * UNAVAILABLE.
 */
@NullMarked
package io.forebay.core.log;

import org.jspecify.annotations.NullMarked;
