/**
 * What are things called? The identities that logs, disks and wires carry.
 *
 * <p>It never says where a thing is.
 *
 * <p>Called by everything; calls nothing.
 *
 * <p>Threading: immutable.
 *
 * <p>Failure: IllegalArgument for impossible values.
 */
@NullMarked
package io.forebay.core.id;

import org.jspecify.annotations.NullMarked;
