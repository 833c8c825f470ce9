/**
 * What would which eviction policy have kept? Access traces, made or read from a file, replayed
 * through policies.
 *
 * <p>It asks no server and stores no bytes.
 *
 * <p>Called by the {@code bench} command.
 *
 * <p>Threading: one thread.
 *
 * <p>Failure: CONFIGURATION for a trace that cannot be read, with its line.
 */
@NullMarked
package io.forebay.app.bench.evict;

import org.jspecify.annotations.NullMarked;
