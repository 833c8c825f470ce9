/**
 * Is this node in the cluster, and who else is? Registration, heartbeats, leases, what the leader
 * does about those that fall silent, and whose disks are fuller than others'.
 *
 * <p>It never decides by itself that data are lost: it only has commands logged.
 *
 * <p>Runs in every node (the agent, its own fill) and on voters (the coordinator, the balancer).
 *
 * <p>Threading: one loop each; heartbeats on threads of the network.
 *
 * <p>Failure: without a leader nothing is expelled and no lease is renewed.
 */
@NullMarked
package io.forebay.node.life;

import org.jspecify.annotations.NullMarked;
