package io.forebay.transport.tcp;

import io.forebay.core.env.Env;
import io.forebay.core.id.NodeId;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The lanes to one node: heartbeats have one of their own, so that a node is not taken for dead
 * because its commands wait for the log; small calls have one, so that they never queue behind
 * payloads; and what brings payloads back (reads) never shares one with what sends chunks (whose
 * credit must always be read).
 */
final class Peer {
  final String address;
  private final List<Lane> beats;
  private final List<Lane> calls;
  private final List<Lane> data;
  private final List<Lane> uploads;
  private final AtomicInteger turn = new AtomicInteger();

  Peer(TcpNetwork network, Env env, NodeId node, String address, TcpSettings settings) {
    this.address = address;
    this.beats = lanes(network, env, node, address, 1);
    this.calls = lanes(network, env, node, address, 1);
    this.data = lanes(network, env, node, address, settings.dataConnections());
    this.uploads = lanes(network, env, node, address, settings.uploadConnections());
  }

  private static List<Lane> lanes(
      TcpNetwork network, Env env, NodeId node, String address, int count) {
    return IntStream.range(0, count)
        .mapToObj(i -> new Lane(network, env, Optional.of(node), address))
        .toList();
  }

  Lane forBeats() {
    return beats.get(0);
  }

  Lane forCalls() {
    return calls.get(0);
  }

  Lane forData() {
    return next(data);
  }

  Lane forUploads() {
    return next(uploads);
  }

  private Lane next(List<Lane> lanes) {
    return lanes.get(Math.floorMod(turn.getAndIncrement(), lanes.size()));
  }

  void close(String why) {
    Stream.of(beats, calls, data, uploads).flatMap(List::stream).forEach(lane -> lane.close(why));
  }
}
