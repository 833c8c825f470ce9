package io.forebay.core.net;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import java.util.Optional;

/** Answers calls. */
@FunctionalInterface
public interface CallHandler {
  /**
   * Answers one call. Runs on a virtual thread of its own and may block.
   *
   * @param from who asks, as authenticated by the cluster's secret
   * @param payload valid until the handler returns, unless retained
   * @return the reply; its payload's reference passes to the network
   * @throws ForebayException goes to the caller with code and message; anything else becomes
   *     INTERNAL there
   */
  Reply handle(NodeId from, Message message, Optional<Bytes> payload);
}
