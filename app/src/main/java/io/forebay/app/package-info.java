/**
 * How do the parts become one program? The entry point, the command line, configuration and wiring.
 *
 * <p>It never decides anything about data: every rule lives in {@code core} or in the module that
 * owns it.
 *
 * <p>Called by the launcher; calls every other module.
 *
 * <p>Threading: {@code main} runs on the JVM's main thread.
 *
 * <p>Failure: a command ends with exit code 0 when it did what was asked, 2 for a wrong command
 * line, 1 otherwise, and says on standard error what was attempted, why it failed and what to do.
 */
@NullMarked
package io.forebay.app;

import org.jspecify.annotations.NullMarked;
