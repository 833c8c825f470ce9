/**
 * Which rules of the protocols does the code keep, and where?
 *
 * <p>It never does anything in production: every rule holds. The checker and the simulator leave
 * one out to see that they notice.
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
