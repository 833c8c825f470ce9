/**
 * What can go wrong, and what does each door call it? One table of codes and one exception.
 *
 * <p>It never decides whether to retry: the table only advises.
 *
 * <p>Called by everything; calls nothing.
 *
 * <p>Threading: immutable.
 *
 * <p>Failure: none of its own.
 */
@NullMarked
package io.forebay.core.error;

import org.jspecify.annotations.NullMarked;
