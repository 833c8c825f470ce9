package io.forebay.core.cluster;

/** What the cluster thinks of a node. */
public enum NodeState {
  UP,
  /** Its lease ended; its volumes are OUT of their groups. */
  DOWN,
  /** Being emptied on an operator's word: takes no new members, serves until its groups moved. */
  DRAINING
}
