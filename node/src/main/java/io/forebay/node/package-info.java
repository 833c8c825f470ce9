/**
 * What is a node? The parts of one machine, put together between ports.
 *
 * <p>It never reads a clock, opens a file or a socket: those come through its ports.
 *
 * <p>Called by the wiring in {@code app} and by the simulator; calls every package of this module.
 *
 * <p>Threading: started and closed once; what it hands out is for all threads.
 *
 * <p>Failure: an exception that escapes one of its threads is a bug, and stops the process.
 */
@NullMarked
package io.forebay.node;

import org.jspecify.annotations.NullMarked;
