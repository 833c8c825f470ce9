/**
 * Is this node in the cluster, and who else is? Registration, heartbeats, leases, and what the
 * leader does about those that fall silent.
 *
 * <p>It never decides by itself that data are lost: it only has commands logged.
 *
 * <p>Runs in every node (the agent) and on voters (the coordinator).
 *
 * <p>Threading: one loop each; heartbeats on threads of the network.
 *
 * <p>Failure: without a leader nothing is expelled and no lease is renewed.
 */
@NullMarked
package io.forebay.node.life;

import org.jspecify.annotations.NullMarked;
