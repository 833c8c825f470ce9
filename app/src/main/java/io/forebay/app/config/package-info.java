/**
 * How is a server told what to be? One record of settings, and the file it is read from.
 *
 * <p>It never opens a data directory or a socket.
 *
 * <p>Called by the commands; calls nothing of ours but values.
 *
 * <p>Threading: immutable values.
 *
 * <p>Failure: CONFIGURATION, naming the file, the setting, what was written and what would be
 * right.
 */
@NullMarked
package io.forebay.app.config;

import org.jspecify.annotations.NullMarked;
