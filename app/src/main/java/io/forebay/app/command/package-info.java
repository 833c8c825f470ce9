/**
 * What can be said on the command line? One class for each command, over a connection to a node.
 *
 * <p>It never touches a data directory; only {@code serve} does.
 *
 * <p>Called by Main; calls the services over the wire.
 *
 * <p>Threading: a command runs on the main thread.
 *
 * <p>Failure: messages on the standard error, exit code 1 for what was refused and 2 for bad usage.
 */
@NullMarked
package io.forebay.app.command;

import org.jspecify.annotations.NullMarked;
