/**
 * Can a stranger see the main job with one command? A cluster of real processes, faults, and a
 * table.
 *
 * <p>It never looks into a server: it uses the command line's connection, and signals.
 *
 * <p>Called by Main; starts server processes.
 *
 * <p>Threading: one thread and a watch.
 *
 * <p>Failure: says what did not hold, leaves the logs, exit code 1; processes are ended whatever
 * happens.
 */
@NullMarked
package io.forebay.app.demo;

import org.jspecify.annotations.NullMarked;
