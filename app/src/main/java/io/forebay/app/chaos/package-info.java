/**
 * Does a cluster of real processes keep its promises while its nodes, network, disks and store
 * fail? Seeded faults, clients, and a judge.
 *
 * <p>It never looks into a server, beyond its report and its log.
 *
 * <p>Called by Main; starts server processes, network namespaces, file systems, a store, and
 * outside clients.
 *
 * <p>Threading: one thread runs seeds; during one there are a thread that makes faults and one for
 * each client.
 *
 * <p>Failure: {@link io.forebay.app.chaos.Violation} says which promise was broken; whatever was
 * started is ended.
 */
@NullMarked
package io.forebay.app.chaos;

import org.jspecify.annotations.NullMarked;
