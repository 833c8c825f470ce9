package io.forebay.core.log;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.CallHandler;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkReceiver;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** The way to voters of the same process; one that is not attached cannot be reached. */
public final class VoterNetwork implements Network {
  private final Env env;
  private final Map<NodeId, VoterEndpoint> endpoints = new ConcurrentHashMap<>();

  public VoterNetwork(Env env) {
    this.env = env;
  }

  public void attach(NodeId node, VoterEndpoint endpoint) {
    endpoints.put(node, endpoint);
  }

  public void detach(NodeId node) {
    endpoints.remove(node);
  }

  @Override
  public NodeId self() {
    return new NodeId("client");
  }

  @Override
  public Outcome<Reply> call(
      NodeId to, Message message, Optional<Bytes> payload, long timeoutNanos) {
    VoterEndpoint endpoint = endpoints.get(to);
    if (endpoint == null) {
      return Outcome.failed(
          env, new ForebayException(ErrorCode.PEER_UNREACHABLE, to + " is stopped"));
    }
    var outcome = new Outcome<Reply>(env);
    Env.Timer timer =
        env.schedule(
            timeoutNanos,
            () -> outcome.fail(new ForebayException(ErrorCode.TIMEOUT, to + " is silent")));
    env.spawn(
        "call",
        () -> {
          try {
            outcome.complete(
                switch (message) {
                  case ControlMessage.Submit submit -> endpoint.submit(submit);
                  case ControlMessage.Query query -> endpoint.query(query);
                  case ControlMessage.LeasedQuery query -> endpoint.query(query);
                  default -> throw new IllegalArgumentException(message.toString());
                });
          } catch (ForebayException failure) {
            outcome.fail(failure);
          } finally {
            timer.cancel();
          }
        });
    return outcome;
  }

  @Override
  public void serve(CallHandler calls, ChunkReceiver chunks) {
    throw new UnsupportedOperationException();
  }

  @Override
  public ChunkUpload upload(ChunkPut put, long deadlineNanos) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void addresses(Map<NodeId, String> hostPorts) {
    throw new UnsupportedOperationException();
  }
}
