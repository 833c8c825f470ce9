package io.forebay.core.cluster;

/** What has happened to a chunk on a member when the member acknowledges it. */
public enum Durability {
  /**
   * In the memory of the member's kernel or device: survives the loss of processes and nodes below
   * replicas.
   */
  REPLICATED,
  /** On the device: survives a power cut as well. */
  SYNCED
}
