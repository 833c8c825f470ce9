/**
 * Which rules of the protocols does the code keep, and where? And since when may a log hold what?
 *
 * <p>It never leaves a rule out in production. The checker and the simulator leave one out to see
 * that they notice.
 *
 * <p>Called by whoever keeps a rule; calls nothing.
 *
 * <p>Threading: rules are left out and taken back while nothing else runs.
 *
 * <p>Failure: none.
 */
@NullMarked
package io.forebay.core.rule;

import org.jspecify.annotations.NullMarked;
