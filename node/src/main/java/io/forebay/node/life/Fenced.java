package io.forebay.node.life;

import io.forebay.core.id.NodeId;

/**
 * A node that is there and takes no writes, because it is too slow.
 *
 * @param sinceMillis wall clock of the leader that has put it out
 * @param why by whose word, and how slow
 */
public record Fenced(NodeId node, long sinceMillis, String why) {}
