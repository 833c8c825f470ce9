/**
 * What does deciding code want from its machine? Time, chance, threads and ways to wait, as one
 * port.
 *
 * <p>It never reads a clock or starts a thread itself: implementations live in {@code app}
 * (production) and {@code sim}.
 *
 * <p>Called by every package that decides; calls {@code core.rule} only.
 *
 * <p>Threading: all types are safe for threads of one Env, except {@link
 * io.forebay.core.env.Scope}, which belongs to its creator. Locks here are leaves: nothing is
 * called back while one is held.
 *
 * <p>Failure: waiting ends by value, by the failure of what was awaited, by TIMEOUT, or by
 * CANCELLED when the thread is interrupted; the interrupt stays set.
 */
@NullMarked
package io.forebay.core.env;

import org.jspecify.annotations.NullMarked;
