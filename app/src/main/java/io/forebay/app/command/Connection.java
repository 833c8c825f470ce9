package io.forebay.app.command;

import io.forebay.app.runtime.JdkEnv;
import io.forebay.client.wire.RemoteFileService;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.id.NodeId;
import io.forebay.transport.tcp.TcpNetwork;
import io.forebay.transport.tcp.TcpSettings;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** A command's connection to one node, over the wire and with the cluster's secret. */
public final class Connection implements AutoCloseable {
  private static final long LEARN_NANOS = 5_000_000_000L;
  // A node that is gone is found out within seconds; what it does may take its time.
  private static final long PATIENCE_NANOS = 86_400_000_000_000L;
  private static final int SLAB_BYTES = 1 << 20;
  private static final int SLABS = 24;

  private final JdkEnv env;
  private final TcpNetwork network;
  private final RemoteFileService files;
  private final SlabPool pool;

  private Connection(JdkEnv env, TcpNetwork network, RemoteFileService files) {
    this.env = env;
    this.network = network;
    this.files = files;
    this.pool = new SlabPool(env, SLAB_BYTES, SLABS);
  }

  /**
   * Connects.
   *
   * @param address HOST:PORT of a node's transport
   * @throws io.forebay.core.error.ForebayException PEER_UNREACHABLE; UNAUTHENTICATED; WRONG_VERSION
   */
  public static Connection open(String address, String secret) {
    return open(address, secret, PATIENCE_NANOS);
  }

  /**
   * The same.
   *
   * @param patienceNanos how long a write may take, each call of it, while its node lives
   */
  public static Connection open(String address, String secret, long patienceNanos) {
    var env =
        new JdkEnv(escaped -> {
          escaped.printStackTrace();
          Runtime.getRuntime().halt(3);
        });
    var self = new NodeId("cli-" + Long.toHexString(ThreadLocalRandom.current().nextLong()));
    TcpNetwork network =
        TcpNetwork.start(
            env,
            self,
            () -> "",
            TcpSettings.defaults(Optional.empty(), secret.getBytes(StandardCharsets.UTF_8)));
    try {
      NodeId server = network.learn(address, LEARN_NANOS);
      return new Connection(
          env, network, new RemoteFileService(env, network, server, patienceNanos));
    } catch (RuntimeException failure) {
      network.close();
      env.close();
      throw failure;
    }
  }

  /** The node's file service. */
  public RemoteFileService files() {
    return files;
  }

  /** Buffers for bodies. */
  public SlabPool pool() {
    return pool;
  }

  /** Has an operator's command logged. */
  public ClusterResult operate(ClusterCommand command) {
    byte[] answer = files.operate(RecordCodec.of(ClusterCommand.class).encode(command));
    return RecordCodec.of(ClusterResult.class).decode(answer);
  }

  @Override
  public void close() {
    network.close();
    env.close();
  }
}
