package io.forebay.node;

import io.forebay.core.log.Consensus;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.node.life.ClusterLog;

/**
 * What makes a node a voter: its part in the two logs, and what their entries mean.
 *
 * @param level the newest level of logs that it knows ({@link io.forebay.core.rule.Level})
 */
public record Voter(
    Consensus cluster,
    ClusterLog clusterLog,
    Consensus namespace,
    NamespaceCommands namespaceCommands,
    int level) {}
