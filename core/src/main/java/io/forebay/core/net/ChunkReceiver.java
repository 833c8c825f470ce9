package io.forebay.core.net;

import io.forebay.core.id.NodeId;

/** Decides whether this node stores a chunk. */
@FunctionalInterface
public interface ChunkReceiver {
  /**
   * Admits or refuses a chunk for {@code put.chain().get(0)}. Runs on a virtual thread of its own
   * and may block; slices wait within the credit window meanwhile. What it throws refuses the chunk
   * with the message as detail.
   *
   * @param from who sends it: the hop before, or this node itself
   */
  Admission admit(NodeId from, ChunkPut put);
}
