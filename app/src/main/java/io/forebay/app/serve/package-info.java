/**
 * How is a server started from the command line?
 *
 * <p>It never serves anything itself.
 *
 * <p>Called by Main; calls server and config.
 *
 * <p>Threading: the main thread waits until the process is told to stop.
 *
 * <p>Failure: one line that says what is wrong and what to do; exit code 1.
 */
@NullMarked
package io.forebay.app.serve;

import org.jspecify.annotations.NullMarked;
