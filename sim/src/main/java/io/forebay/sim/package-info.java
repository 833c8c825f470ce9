/**
 * Which seeds break a promise? The simulator's command line.
 *
 * <p>It never ships with the server. Called by people and CI; one world at a time, on one thread. A
 * violation is printed with its seed, and the exit status is 1.
 */
@NullMarked
package io.forebay.sim;

import org.jspecify.annotations.NullMarked;
