package io.forebay.core.net;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Outcome;
import io.forebay.core.id.NodeId;
import java.util.Map;
import java.util.Optional;

/** The way to other nodes. */
public interface Network {
  /** The largest payload of a call, a reply or a slice, in bytes. */
  int MAX_PAYLOAD_BYTES = 1 << 20;

  /** The largest encoded message, in bytes: a batch of commands, or a cluster image. */
  int MAX_MESSAGE_BYTES = 4 << 20;

  /** Who this end is. */
  NodeId self();

  /**
   * Asks a node, once. The outcome fails with PEER_UNREACHABLE, TIMEOUT, BUSY, or the code and
   * message that the peer's handler threw; after the first two the peer may have done it all the
   * same. Calling oneself works, without a socket.
   *
   * @param payload at most {@link #MAX_PAYLOAD_BYTES}; retained for as long as it is needed, the
   *     caller keeps (and releases) its own reference
   * @param timeoutNanos from now until the failure with TIMEOUT
   * @return the reply; whoever takes it releases its payload
   */
  Outcome<Reply> call(NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos);

  /**
   * Begins to take calls and chunks. Called once, before anybody is given this node's address;
   * until then, and on an end that never calls it, calls are answered with UNAVAILABLE.
   */
  void serve(CallHandler calls, ChunkReceiver chunks);

  /**
   * Starts to send a chunk to the nodes of a chain, each passing the slices on while it stores
   * them. Never blocks. {@code put.chain().get(0)} may be this node: then its own receiver gets the
   * slices without a socket.
   *
   * <p>An upload holds up to a window of the caller's slices (8 unless configured otherwise) until
   * the hops have taken them. Whoever runs n uploads at once out of one pool gives it n × (window +
   * 1) buffers, or runs fewer: else the uploads that have credit may wait for buffers that those
   * without credit hold.
   *
   * @param deadlineNanos monotonic; whoever has not acknowledged by then counts as UNREACHED
   */
  ChunkUpload upload(ChunkPut put, long deadlineNanos);

  /**
   * Replaces the address book. Connections to addresses that are no longer a node's are closed.
   *
   * @param hostPorts HOST:PORT of each node, from the cluster image or the seeds
   */
  void addresses(Map<NodeId, String> hostPorts);
}
