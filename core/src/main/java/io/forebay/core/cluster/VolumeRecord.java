package io.forebay.core.cluster;

import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;

/**
 * A volume of a node.
 *
 * @param capacityBytes what it may hold
 * @param downSinceMillis leader's wall clock when its node was found down; 0 while up
 */
public record VolumeRecord(
    VolumeId id, NodeId node, Incarnation incarnation, long capacityBytes, long downSinceMillis) {}
