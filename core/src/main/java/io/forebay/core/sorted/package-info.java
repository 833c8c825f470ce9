/**
 * Where do state machines keep what they know? In an ordered map of byte strings.
 *
 * <p>It never interprets keys or values.
 *
 * <p>Called by the control state machines; implemented here in memory and in control on RocksDB.
 *
 * <p>Threading: one writer, many views.
 *
 * <p>Failure: an implementation that cannot write stops the node.
 */
@NullMarked
package io.forebay.core.sorted;

import org.jspecify.annotations.NullMarked;
