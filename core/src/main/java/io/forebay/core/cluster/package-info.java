/**
 * Who is in the cluster, and who is in sync? The values of the cluster log and their state machine.
 *
 * <p>It never decides from a clock or from a node's word alone: only logged commands change it.
 *
 * <p>Read by every node; changed through the log port.
 *
 * <p>Threading: values are immutable; the machine belongs to the log's apply thread.
 *
 * <p>Failure: refusals are results.
 */
@NullMarked
package io.forebay.core.cluster;

import org.jspecify.annotations.NullMarked;
