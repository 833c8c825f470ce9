/**
 * What does a server process take from the JDK and the operating system? The production
 * environment.
 *
 * <p>It never decides anything about data.
 *
 * <p>Called by the wiring in {@code app}; implements core's Env.
 *
 * <p>Threading: safe for all threads.
 *
 * <p>Failure: what escapes a task is handed to the process, which stops.
 */
@NullMarked
package io.forebay.app.runtime;

import org.jspecify.annotations.NullMarked;
