package io.forebay.core.cluster;

import io.forebay.core.id.NodeId;

/**
 * A node of the cluster.
 *
 * @param address HOST:PORT of its transport
 * @param domain failure domain; the node's name where none is configured
 * @param registration the log index of its last registration: names one run of its process
 */
public record NodeRecord(
    NodeId id, String address, String domain, long registration, NodeState state) {}
