package io.forebay.core.net;

import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;

/** One member of a chain: a volume and the node that has it. */
public record Hop(NodeId node, VolumeId volume) {}
