package io.forebay.transport.relay;

import io.forebay.core.net.ChunkPut;

/** The way to the next hop; implemented by each network. */
@FunctionalInterface
public interface Dialer {
  /**
   * Sends the head of an upload to {@code put.chain().get(0)}, connecting first if need be. Does
   * not block and does not throw: what goes wrong is {@code events.broken}.
   */
  Outgoing open(ChunkPut put, Outgoing.Events events);
}
