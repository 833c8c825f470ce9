package io.forebay.app.server;

import io.forebay.app.command.Json;
import io.forebay.app.config.ServerConfig;
import io.forebay.app.runtime.JdkEnv;
import io.forebay.backing.StoreFactory;
import io.forebay.client.wire.FileEndpoint;
import io.forebay.control.raft.RaftVoter;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.AccessKey;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlaneClient;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.volume.Volume;
import io.forebay.node.Node;
import io.forebay.node.NodeConfig;
import io.forebay.node.Voter;
import io.forebay.node.flush.BucketStores;
import io.forebay.node.flush.Flusher;
import io.forebay.node.life.ClusterLog;
import io.forebay.store.disk.DiskSettings;
import io.forebay.store.disk.DiskVolume;
import io.forebay.transport.tcp.TcpNetwork;
import io.forebay.transport.tcp.TcpSettings;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One server process: a node between its real ports, and its doors. */
public final class Server implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Server.class);
  private static final int SLAB_BYTES = 1 << 20;
  private static final long READY_NANOS = 60_000_000_000L;
  private static final long COLLECT_MILLIS = 10_000;

  private final ServerConfig config;
  private final ArrayDeque<AutoCloseable> open = new ArrayDeque<>();
  private final JdkEnv env;
  private final TcpNetwork network;
  private final Node node;
  private final BucketStores stores;
  private final Flusher flusher;

  /**
   * Starts a server; returns when its ports are bound, before it has joined the cluster.
   *
   * @throws ForebayException CONFIGURATION and others, naming what is wrong and what to do
   */
  public Server(ServerConfig config) {
    this.config = config;
    this.env = new JdkEnv(Server::dieOf);
    open.push(env);
    try {
      var volumes = new ArrayList<Volume>();
      for (int i = 0; i < config.data().size(); i++) {
        DiskVolume volume =
            DiskVolume.open(
                env,
                config.data().get(i),
                new DiskSettings(
                    config.capacityBytes(),
                    (int) config.segmentBytes(),
                    DiskSettings.DEFAULT.ioThreads(),
                    true));
        volumes.add(volume);
        open.push(volume);
        volume.bindCluster(clusterId());
      }
      network =
          TcpNetwork.start(
              env,
              config.node(),
              this::clusterId,
              TcpSettings.defaults(
                  Optional.of(config.listen()), config.secret().getBytes(StandardCharsets.UTF_8)));
      open.push(network);
      Optional<Voter> voter = config.voter() ? Optional.of(startVoter()) : Optional.empty();
      var pool = new SlabPool(env, SLAB_BYTES, slabs(config.memoryBytes() / 2));
      stores = new BucketStores(StoreFactory::open, pool);
      open.push(stores);
      var addresses = new TreeMap<NodeId, String>();
      config.voters().forEach((name, each) -> addresses.put(new NodeId(name), each.address()));
      node =
          new Node(
              env,
              network,
              volumes,
              voter,
              pool,
              stores,
              stores,
              new NodeConfig(
                  config.listen(),
                  config.domain(),
                  addresses,
                  Math.max(config.memoryBytes() / 2, 64L << 20),
                  config.graceMillis(),
                  COLLECT_MILLIS));
      open.push(node);
      stores.bind(node.plane());
      flusher = new Flusher(env, config.node(), node.plane(), node.manifests(), stores);
    } catch (RuntimeException failure) {
      close();
      throw failure;
    }
  }

  private static int slabs(long bytes) {
    return (int) Math.max(32, bytes / SLAB_BYTES);
  }

  private static void dieOf(Throwable escaped) {
    LOG.error("a task ended with an exception: this is a bug, and the node stops", escaped);
    Runtime.getRuntime().halt(70);
  }

  private String clusterId() {
    // All nodes of a cluster share a secret; its digest names the cluster before the log does.
    return HexFormat.of().toHexDigits(config.secret().hashCode());
  }

  private Voter startVoter() {
    var clusterLog = new ClusterLog(env);
    var namespace = new NamespaceCommands(new NamespaceMachine(0));
    var addresses = new TreeMap<NodeId, String>();
    config.voters().forEach((name, each) -> addresses.put(new NodeId(name), each.consensus()));
    var voter =
        new RaftVoter(
            env,
            config.node(),
            addresses,
            config.meta(),
            List.of(
                new RaftVoter.Log(
                    ControlPlaneClient.CLUSTER,
                    new LoggedMachine(clusterLog),
                    map -> {
                      try (var view = map.view()) {
                        clusterLog.load(view);
                      }
                    }),
                new RaftVoter.Log(
                    ControlPlaneClient.NAMESPACE, new LoggedMachine(namespace), map -> {})));
    open.push(voter);
    return new Voter(
        voter.log(ControlPlaneClient.CLUSTER),
        clusterLog,
        voter.log(ControlPlaneClient.NAMESPACE),
        namespace);
  }

  /**
   * Joins the cluster, and opens the doors once the node may take writes.
   *
   * @throws ForebayException TIMEOUT naming what was waited for
   */
  public void join() {
    var endpoint =
        new FileEndpoint(
            env,
            node.files(),
            this::report,
            command -> ClusterLog.operate(command, node.plane()::cluster));
    open.push(endpoint::close);
    var ready = node.start(endpoint::handle);
    ready.await(
        READY_NANOS,
        "joining the cluster of voters "
            + config.voters()
            + ": a majority of them must run and be reachable");
    if (node.plane().image().clusterId().isEmpty()) {
      node.plane()
          .cluster(
              new ClusterCommand.Initialize(HexFormat.of().toHexDigits(env.random().nextLong())));
    }
    config
        .s3Keys()
        .ifPresent(keys ->
            node.plane()
                .cluster(new ClusterCommand.PutAccessKey(new AccessKey(keys.id(), keys.secret()))));
    node.run("flusher", flusher::run);
  }

  /** The address that the transport listens on. */
  public String address() {
    String listen = config.listen();
    return listen.substring(0, listen.lastIndexOf(':') + 1) + network.port();
  }

  /** The node. */
  public Node node() {
    return node;
  }

  /** What the node is doing, as JSON. */
  public String report() {
    return Json.of(
        Report.of(
            node.status(),
            flusher.counters(),
            stores.requests(),
            new Report.Defaults(
                defaultReplicas(), config.store().orElse(""), config.flushDelayMillis())));
  }

  private int defaultReplicas() {
    if (config.replicas() > 0) {
      return config.replicas();
    }
    return config.voters().size() == 1 ? 1 : 2;
  }

  @Override
  public void close() {
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (Exception failure) {
        LOG.warn("closing went wrong: {}", failure.toString());
      }
    }
  }

  /** What a person needs to use the node. */
  public String banner() {
    return "forebay: node " + config.node() + " is ready; transport " + address();
  }
}
