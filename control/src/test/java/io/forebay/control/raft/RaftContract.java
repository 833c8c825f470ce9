package io.forebay.control.raft;

import io.forebay.core.id.NodeId;
import io.forebay.core.log.ConsensusContract;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.io.TempDir;

/** The contract on voters of Ratis and RocksDB in this process, which can be stopped one by one. */
abstract class RaftContract extends ConsensusContract {
  // Small files and few entries, so that a log is purged within a test.
  static final RaftVoter.Retention SHORT = new RaftVoter.Retention(16 << 10, 50, 1 << 20);

  @TempDir Path directory;
  private final int count;
  private final RaftVoter.Retention retention;
  private final Map<NodeId, String> addresses = new TreeMap<>();
  private final Map<NodeId, RaftVoter> running = new TreeMap<>();

  RaftContract(int count, RaftVoter.Retention retention) {
    this.count = count;
    this.retention = retention;
  }

  /** Addresses of this machine that nobody listens on. */
  static List<String> free(int count) {
    var sockets = new ArrayList<ServerSocket>();
    try {
      for (int i = 0; i < count; i++) {
        sockets.add(new ServerSocket(0, 1, InetAddress.getLoopbackAddress()));
      }
      List<String> free =
          sockets.stream().map(socket -> "127.0.0.1:" + socket.getLocalPort()).toList();
      for (ServerSocket socket : sockets) {
        socket.close();
      }
      return free;
    } catch (IOException failure) {
      throw new IllegalStateException(failure);
    }
  }

  @Override
  protected void startVoters() {
    List<String> free = free(count);
    for (int i = 0; i < count; i++) {
      addresses.put(new NodeId("n" + (i + 1)), free.get(i));
    }
    addresses.keySet().forEach(this::start);
  }

  final List<NodeId> nodes() {
    return List.copyOf(addresses.keySet());
  }

  final void start(NodeId node) {
    start(node, "c1");
  }

  final void start(NodeId node, String clusterId) {
    start(node, clusterId, addresses);
  }

  final void start(NodeId node, String clusterId, Map<NodeId, String> named) {
    var voter =
        new RaftVoter(
            env,
            clusterId,
            node,
            named,
            directory.resolve(node.name()),
            List.of(new RaftVoter.Log(LOG, machine)),
            retention);
    running.put(node, voter);
    serve(node, voter.log(LOG));
  }

  final void handOver(NodeId node) {
    running.get(node).handOver(PATIENCE_NANOS);
  }

  final void stop(NodeId node) {
    forget(node);
    running.remove(node).close();
  }

  @Override
  protected void stopVoters() {
    running.values().forEach(RaftVoter::close);
  }
}
