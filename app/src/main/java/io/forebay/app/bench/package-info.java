/**
 * How fast is it, against what? The macro benchmarks, over real processes and shaped NICs.
 *
 * <p>It never runs inside a server.
 *
 * <p>Called by the {@code bench} command; starts server processes and outside programs.
 *
 * <p>Threading: one thread, plus the processes that it starts.
 *
 * <p>Failure: CONFIGURATION when the machine lacks what is needed; whatever was started is ended.
 */
@NullMarked
package io.forebay.app.bench;

import org.jspecify.annotations.NullMarked;
