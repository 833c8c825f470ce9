package io.forebay.app.server;

import io.forebay.app.command.Json;
import io.forebay.app.config.Addresses;
import io.forebay.app.config.S3DoorConfig;
import io.forebay.app.config.ServerConfig;
import io.forebay.app.runtime.JdkEnv;
import io.forebay.backing.StoreFactory;
import io.forebay.client.wire.FileEndpoint;
import io.forebay.control.raft.RaftVoter;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.AccessKey;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.KeyGrant;
import io.forebay.core.cluster.KeyGrants;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlaneClient;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.rule.Level;
import io.forebay.core.volume.Volume;
import io.forebay.gateway.http.HttpServer;
import io.forebay.gateway.http.HttpServerConfig;
import io.forebay.gateway.http.TlsIdentity;
import io.forebay.gateway.s3.AccessKeys;
import io.forebay.gateway.s3.S3Config;
import io.forebay.gateway.s3.S3Door;
import io.forebay.node.Node;
import io.forebay.node.NodeConfig;
import io.forebay.node.Voter;
import io.forebay.node.flush.BucketStores;
import io.forebay.node.flush.Flusher;
import io.forebay.node.life.ClusterLog;
import io.forebay.store.disk.DiskSettings;
import io.forebay.store.disk.DiskVolume;
import io.forebay.transport.frame.WireVersions;
import io.forebay.transport.tcp.TcpNetwork;
import io.forebay.transport.tcp.TcpSettings;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One server process: a node between its real ports, and its doors. */
public final class Server implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Server.class);
  private static final long READY_NANOS = 60_000_000_000L;
  private static final long LOOK_NANOS = 100_000_000L;
  private static final long COLLECT_MILLIS = 10_000;
  private static final String WIRE_VERSIONS = "forebay.wireVersions"; // "1-2"
  private static final String LEVEL = "forebay.level";

  // Many times what it takes, and little beside what closing may take.
  private static final long GOODBYE_NANOS = 1_000_000_000L;

  private final ServerConfig config;
  private final MemoryPlan memory;
  private final ArrayDeque<AutoCloseable> open = new ArrayDeque<>();
  private final JdkEnv env;
  private final TcpNetwork network;
  private final List<DiskVolume> disks = new ArrayList<>();
  private Optional<RaftVoter> voter = Optional.empty();
  private Optional<ClusterLog> clusterLog = Optional.empty();
  private final Node node;
  private final BucketStores stores;
  private final SlabPool bodies; // of the door, and of copies
  private final Flusher flusher;
  private final Optional<TlsIdentity> s3Identity;
  private Optional<InetSocketAddress> s3Address = Optional.empty();
  private volatile Supplier<Map<String, Long>> s3Facts = Map::of;

  /**
   * Starts a server; returns when its ports are bound, before it has joined the cluster.
   *
   * @param acceptEmptyVolumes whether a disk where another volume was before is taken for a
   *     replaced one
   * @throws ForebayException CONFIGURATION and others, naming what is wrong and what to do
   */
  public Server(ServerConfig config, boolean acceptEmptyVolumes) {
    this.config = config;
    this.memory =
        MemoryPlan.of(config.memoryBytes(), config.memoryTierBytes(), config.data().size());
    this.env = new JdkEnv(Server::dieOf);
    open.push(env);
    try {
      s3Identity = config.s3().flatMap(Server::identity);
      config.store().ifPresent(url -> StoreFactory.check(url, System.getenv()));
      var known = KnownVolumes.read(config.meta());
      if (!acceptEmptyVolumes) {
        known.requirePresent(config.data());
      }
      for (int i = 0; i < config.data().size(); i++) {
        DiskVolume volume =
            DiskVolume.open(
                env,
                config.data().get(i),
                new DiskSettings(
                    config.capacityBytes(),
                    Math.toIntExact(config.segmentBytes()),
                    DiskSettings.DEFAULT.ioThreads(),
                    true,
                    MetaReserve.bytes(config, config.data().get(i))));
        disks.add(volume);
        open.push(volume);
        volume.bindCluster(clusterId());
      }
      List<Volume> volumes = List.copyOf(disks);
      known.keep(config.data(), volumes);
      network =
          TcpNetwork.start(
              env,
              config.node(),
              this::clusterId,
              TcpSettings.defaults(
                      Optional.of(config.listen()),
                      config.secret().getBytes(StandardCharsets.UTF_8))
                  .withSlabs(memory.uploadSlabs(), memory.callSlabs())
                  .withVersions(versions()));
      open.push(network);
      Optional<Voter> seat = config.voter() ? Optional.of(startVoter()) : Optional.empty();
      var pool = new SlabPool(env, MemoryPlan.SLAB_BYTES, memory.nodeSlabs());
      bodies = new SlabPool(env, MemoryPlan.SLAB_BYTES, memory.doorSlabs());
      stores =
          new BucketStores(
              new BucketStores.Opener() {
                @Override
                public ObjectStore open(String url) {
                  return StoreFactory.open(url);
                }

                @Override
                public void make(String url) {
                  StoreFactory.make(url);
                }
              },
              pool);
      open.push(stores);
      var addresses = new TreeMap<NodeId, String>();
      config.voters().forEach((name, each) -> addresses.put(new NodeId(name), each.address()));
      node =
          new Node(
              env,
              network,
              volumes,
              seat,
              pool,
              bodies,
              stores,
              stores,
              new NodeConfig(
                  config.listen(),
                  config.domain(),
                  addresses,
                  memory.writeBytes(),
                  memory.readSlices(),
                  memory.tierBytes(),
                  config.graceMillis(),
                  COLLECT_MILLIS,
                  config.capacity(),
                  config.scrub(),
                  config.leases(),
                  config.balances()));
      open.push(node);
      stores.bind(node.plane());
      flusher = new Flusher(env, network, node.plane(), node.manifests(), stores);
    } catch (RuntimeException failure) {
      close();
      throw failure;
    }
  }

  /** Ours, unless this process plays another version of the program for a test. */
  private static WireVersions versions() {
    String played = System.getProperty(WIRE_VERSIONS);
    if (played == null) {
      return WireVersions.OURS;
    }
    String[] ends = played.split("-", 2);
    return new WireVersions(Integer.parseInt(ends[0]), Integer.parseInt(ends[1]));
  }

  private static void dieOf(Throwable escaped) {
    if (escaped instanceof ForebayException known
        && (known.code() == ErrorCode.WRONG_VERSION || known.code() == ErrorCode.CONFIGURATION)) {
      LOG.error("the node stops: {}", known.getMessage());
    } else {
      LOG.error("a task ended with an exception: this is a bug, and the node stops", escaped);
    }
    Runtime.getRuntime().halt(70);
  }

  private String clusterId() {
    // All nodes of a cluster share a secret; a digest of it names the cluster before the log does.
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256")
              .digest(("forebay cluster " + config.secret()).getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest, 0, 8);
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** The consensus library tells of a port in use by a failure of its own, which names nothing. */
  private static void requireFree(String consensus) {
    try (var probe = new ServerSocket()) {
      probe.setReuseAddress(true);
      probe.bind(Addresses.parse(consensus));
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "consensus cannot listen on "
              + consensus
              + " ("
              + failure.getMessage()
              + "): choose another address or port, or end what listens there",
          failure);
    }
  }

  private Voter startVoter() {
    int level = Integer.getInteger(LEVEL, Level.NEWEST); // an older one in tests only
    var cluster = new ClusterLog(env);
    var namespace = new NamespaceCommands(new NamespaceMachine(0));
    var addresses = new TreeMap<NodeId, String>();
    config.voters().forEach((name, each) -> addresses.put(new NodeId(name), each.consensus()));
    Optional.ofNullable(config.voters().get(config.node().name()))
        .ifPresent(self -> requireFree(self.consensus()));
    var started =
        new RaftVoter(
            env,
            clusterId(),
            config.node(),
            addresses,
            config.meta(),
            List.of(
                new RaftVoter.Log(ControlPlaneClient.CLUSTER, new LoggedMachine(cluster, level)),
                new RaftVoter.Log(
                    ControlPlaneClient.NAMESPACE, new LoggedMachine(namespace, level))));
    open.push(started);
    voter = Optional.of(started);
    clusterLog = Optional.of(cluster);
    return new Voter(
        started.log(ControlPlaneClient.CLUSTER),
        cluster,
        started.log(ControlPlaneClient.NAMESPACE),
        namespace,
        level);
  }

  /**
   * Joins the cluster, and opens the doors once the node may take writes.
   *
   * @throws ForebayException TIMEOUT naming what was waited for; CONFIGURATION where the control
   *     plane is not the one that the volumes belong to
   */
  public void join() {
    requireOwnControlPlane();
    var endpoint =
        new FileEndpoint(
            env,
            node.files(),
            this::report,
            command -> ClusterLog.operate(command, node.plane()::cluster),
            memory.wireWriters());
    open.push(endpoint::close);
    open.push(this::leave);
    var ready = node.start(endpoint::handle, flusher::handle);
    ready.await(
        READY_NANOS,
        "joining the cluster of voters "
            + config.voters()
            + ": a majority of them must run and be reachable");
    if (node.plane().image().clusterId().isEmpty()) {
      found();
    }
    disks.forEach(disk -> disk.bindControl(node.plane().image().clusterId()));
    for (ServerConfig.AccessKeyPair keys : config.s3Keys()) {
      addKey(keys);
    }
    node.run("flusher", flusher::run);
    config.s3().ifPresent(this::openS3);
    config.adminListen().ifPresent(this::openAdmin);
  }

  /**
   * Before the node takes part, for all that its volumes hold is garbage to another control plane,
   * as to one that was founded anew because {@code meta} was not mounted.
   */
  private void requireOwnControlPlane() {
    for (int i = 0; i < disks.size(); i++) {
      Optional<String> bound = disks.get(i).control();
      // What holds chunks belongs to one, though an older version did not write down to which.
      if (bound.isPresent() || disks.get(i).usage().chunks() > 0) {
        String volume =
            "the volume at "
                + config.data().get(i)
                + bound
                    .map(id -> " belongs to the control plane " + id)
                    .orElse(" holds chunks that another one knows of");
        String here =
            clusterLog.map(log -> ownControlPlane(log, volume)).orElseGet(this::askedControlPlane);
        if (here.isEmpty()) {
          throw new ForebayException(
              ErrorCode.CONFIGURATION,
              "the control plane's state is empty, and "
                  + volume
                  + ": mount the 'meta' of the voters where it was"
                  + (config.voter() ? ", here " + config.meta() : "")
                  + "; or, to give up all that the volume holds, empty "
                  + config.data().get(i));
        }
        disks.get(i).bindControl(here);
      }
    }
  }

  /** As this voter's log says, for the others may wait for this one to serve. */
  private String ownControlPlane(ClusterLog log, String volume) {
    long deadlineNanos = env.nanoTime() + READY_NANOS;
    while (log.image().clusterId().isEmpty()) {
      long version = log.image().version();
      boolean leads = voter.orElseThrow().log(ControlPlaneClient.CLUSTER).leadership().self();
      if (leads && log.image().clusterId().isEmpty()) {
        return ""; // a leader has applied all that there is
      }
      if (env.nanoTime() - deadlineNanos >= 0) {
        throw new ForebayException(
            ErrorCode.TIMEOUT,
            "waiting for the control plane's state, for "
                + volume
                + ": a majority of the voters "
                + config.voters()
                + " must run, be reachable, and have their 'meta'");
      }
      log.awaitNewer(version, env.nanoTime() + LOOK_NANOS);
    }
    return log.image().clusterId();
  }

  private String askedControlPlane() {
    byte[] image = node.plane().clusterLog().query(new byte[0], READY_NANOS);
    return RecordCodec.of(ClusterImage.class).decode(image).clusterId();
  }

  /** Gives the control plane its id, where no other node does it first. */
  private void found() {
    String drawn = HexFormat.of().toHexDigits(env.random().nextLong());
    ClusterResult founded = node.plane().cluster(new ClusterCommand.Initialize(drawn));
    if (!(founded instanceof ClusterResult.Done done)
        || !node.plane().awaitVersion(done.version(), READY_NANOS)) {
      throw new ForebayException(
          ErrorCode.TIMEOUT,
          "learning the id of the control plane from the voters "
              + config.voters()
              + ": a majority of them must run and be reachable");
    }
  }

  /** While everything still runs but the doors. */
  private void leave() {
    node.leave(GOODBYE_NANOS);
    voter.ifPresent(each -> each.handOver(GOODBYE_NANOS));
  }

  private void addKey(ServerConfig.AccessKeyPair keys) {
    var pair = new AccessKey(keys.id(), keys.secret());
    ClusterResult result =
        node.plane()
            .cluster(
                keys.grants().isEmpty()
                    ? new ClusterCommand.PutAccessKey(pair)
                    : new ClusterCommand.PutRestrictedKey(pair, keys.grants()));
    if (result instanceof ClusterResult.Refused(var code, var message)) {
      throw new ForebayException(code, "adding the S3 key pair " + keys.id() + ": " + message);
    }
  }

  private static Optional<TlsIdentity> identity(S3DoorConfig door) {
    Optional<TlsIdentity> identity =
        door.certificate()
            .map(shown ->
                switch (shown) {
                  case S3DoorConfig.Certificate.Own own ->
                      TlsIdentity.read(own.certificate(), own.key());
                  case S3DoorConfig.Certificate.SelfSigned made ->
                      KeptCertificate.identity(made.directory(), Addresses.host(door.listen()));
                });
    identity.ifPresent(known -> {
      Instant end = known.certificate().getNotAfter().toInstant();
      if (end.isBefore(Instant.now())) {
        LOG.warn("tls.certificate.expired end={} {}: clients will refuse it; renew it", end, known);
      }
    });
    return identity;
  }

  private void openS3(S3DoorConfig settings) {
    var keys =
        new AccessKeys() {
          @Override
          public Optional<AccessKey> find(String id) {
            return node.plane().image().accessKeys().stream()
                .filter(key -> key.accessKeyId().equals(id))
                .findFirst();
          }

          @Override
          public Optional<List<KeyGrant>> grants(String id) {
            return node.plane().image().grants().stream()
                .filter(each -> each.accessKeyId().equals(id))
                .map(KeyGrants::grants)
                .findFirst();
          }
        };
    var door =
        new S3Door(
            env,
            node.files(),
            bodies,
            new S3Config(
                S3Config.DEFAULT_REGION,
                settings.domain(),
                settings.anonymous(),
                config.s3Cors(),
                this::newBucket),
            keys);
    HttpServerConfig plain =
        HttpServerConfig.of("s3", Addresses.parse(settings.listen()))
            .withConnections(settings.connections(), settings.idleMillis() * 1_000_000);
    HttpServer http = HttpServer.start(env, s3Identity.map(plain::withTls).orElse(plain), door);
    open.push(http);
    s3Address = Optional.of(http.address());
    s3Facts =
        () ->
            Map.of(
                "requestsUnderWay", http.requestsUnderWay(),
                "connections", (long) http.connections(),
                "slabsFree", bodies.available());
  }

  private void openAdmin(String listen) {
    var door = new AdminDoor(node::status, this::report, flusher::counters, stores::requests);
    open.push(HttpServer.start(env, HttpServerConfig.of("admin", Addresses.parse(listen)), door));
  }

  /** A bucket made through the S3 door: the configured defaults. */
  private BucketSpec newBucket(String name) {
    int replicas = defaultReplicas();
    String store = config.store().orElse("");
    return new BucketSpec(
        name,
        new Family(replicas, Math.min(2, replicas), Durability.REPLICATED),
        store,
        store.isEmpty() ? FlushMode.CACHE_ONLY : FlushMode.BACK,
        List.of(),
        BucketSpec.DEFAULT_CHUNK_BYTES,
        config.flushDelayMillis(),
        BucketSpec.DEFAULT_READ_GRACE_MILLIS);
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
            s3Facts.get(),
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

  private void s3Banner(S3DoorConfig door, StringBuilder text) {
    String listen = door.listen();
    text.append("\nS3 endpoint        ")
        .append(door.certificate().isPresent() ? "https://" : "http://")
        .append(listen, 0, listen.lastIndexOf(':') + 1)
        .append(s3Address.map(InetSocketAddress::getPort).orElse(Addresses.port(listen)));
    if (door.certificate().orElse(null) instanceof S3DoorConfig.Certificate.SelfSigned made) {
      Path certificate = KeptCertificate.certificate(made.directory());
      text.append("\ncertificate        ")
          .append(certificate)
          .append(" (self-signed)\ntrust it with      export AWS_CA_BUNDLE=")
          .append(certificate);
    }
  }

  /** What a person needs to use the node. */
  public String banner() {
    var text =
        new StringBuilder("forebay: node ")
            .append(config.node())
            .append(" is ready; transport ")
            .append(address());
    config.s3().ifPresent(door -> s3Banner(door, text));
    config.s3Keys().stream()
        .findFirst()
        .ifPresent(keys ->
            text.append("\naccess key id      ")
                .append(keys.id())
                .append("\nsecret access key  ")
                .append(keys.secret()));
    return text.toString();
  }
}
