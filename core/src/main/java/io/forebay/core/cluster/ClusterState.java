package io.forebay.core.cluster;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * All that the cluster log has said, in memory and, change by change, in the log's batch. Keys are
 * {@code c/}, a letter for the kind, {@code /}, and the encoded id; values are encoded records:
 * docs/formats/control-log.md. Belongs to the apply thread.
 */
final class ClusterState {
  /** What is there once. */
  record Meta(long version, String clusterId, int lastGroup, long lastBucket) {}

  /** A node that an operator is emptying; it outlives the node's being DOWN. */
  record Draining(NodeId node) {}

  private static final RecordCodec<Meta> META = RecordCodec.of(Meta.class);
  private static final RecordCodec<NodeRecord> NODE = RecordCodec.of(NodeRecord.class);
  private static final RecordCodec<VolumeRecord> VOLUME = RecordCodec.of(VolumeRecord.class);
  private static final RecordCodec<Group> GROUP = RecordCodec.of(Group.class);
  private static final RecordCodec<Bucket> BUCKET = RecordCodec.of(Bucket.class);
  private static final RecordCodec<AccessKey> ACCESS_KEY = RecordCodec.of(AccessKey.class);
  private static final RecordCodec<KeyGrants> GRANTS = RecordCodec.of(KeyGrants.class);
  private static final RecordCodec<Draining> DRAINING = RecordCodec.of(Draining.class);

  private final TreeMap<NodeId, NodeRecord> nodes = new TreeMap<>();
  private final TreeMap<VolumeId, VolumeRecord> volumes = new TreeMap<>();
  private final TreeMap<GroupId, Group> groups = new TreeMap<>();
  private final TreeMap<String, Bucket> buckets = new TreeMap<>();
  private final TreeMap<String, AccessKey> accessKeys = new TreeMap<>();
  private final TreeMap<String, KeyGrants> grants = new TreeMap<>();
  private final TreeSet<NodeId> draining = new TreeSet<>();
  private Meta meta = new Meta(0, "", 0, 0);
  private int level = Level.FIRST;
  private Batch batch = new Batch();
  private boolean changed;

  /** The state as of a view. */
  static ClusterState load(SortedMap.View view) {
    var state = new ClusterState();
    scan(view, 'm', META, meta -> state.meta = meta);
    scan(view, 'n', NODE, node -> state.nodes.put(node.id(), node));
    scan(view, 'v', VOLUME, volume -> state.volumes.put(volume.id(), volume));
    scan(view, 'g', GROUP, group -> state.groups.put(group.id(), group));
    scan(view, 'b', BUCKET, bucket -> state.buckets.put(bucket.name(), bucket));
    scan(view, 'k', ACCESS_KEY, key -> state.accessKeys.put(key.accessKeyId(), key));
    scan(view, 'r', GRANTS, each -> state.grants.put(each.accessKeyId(), each));
    scan(view, 'd', DRAINING, drained -> state.draining.add(drained.node()));
    return state;
  }

  private static <T> void scan(
      SortedMap.View view, char kind, RecordCodec<T> codec, Consumer<T> taker) {
    byte[] from = key(kind, "");
    byte[] to = from.clone();
    to[to.length - 1]++;
    view.scan(
        from,
        to,
        (key, value) -> {
          taker.accept(codec.decode(value));
          return true;
        });
  }

  /**
   * Where the changes of one command go.
   *
   * @param logLevel by whose rules it is applied ({@link Level})
   */
  void begin(int logLevel, Batch target) {
    level = logLevel;
    batch = target;
    changed = false;
  }

  /**
   * Ends a command. A change gets a version of its own even when several commands share a log
   * entry: two images of one version would be taken for the same.
   */
  boolean end(long index) {
    if (changed) {
      putMeta(
          new Meta(
              Math.max(index, meta.version() + 1),
              meta.clusterId(),
              meta.lastGroup(),
              meta.lastBucket()));
    }
    return changed;
  }

  /** The level of the log at the present command. */
  int level() {
    return level;
  }

  ClusterImage image() {
    return new ClusterImage(
        meta.version(),
        meta.clusterId(),
        List.copyOf(nodes.values()),
        List.copyOf(volumes.values()),
        List.copyOf(groups.values()),
        List.copyOf(buckets.values()),
        List.copyOf(accessKeys.values()),
        List.copyOf(grants.values()));
  }

  long version() {
    return meta.version();
  }

  String clusterId() {
    return meta.clusterId();
  }

  void nameCluster(String clusterId) {
    putMeta(new Meta(meta.version(), clusterId, meta.lastGroup(), meta.lastBucket()));
  }

  GroupId nextGroup() {
    putMeta(new Meta(meta.version(), meta.clusterId(), meta.lastGroup() + 1, meta.lastBucket()));
    return new GroupId(meta.lastGroup());
  }

  BucketId nextBucket() {
    putMeta(new Meta(meta.version(), meta.clusterId(), meta.lastGroup(), meta.lastBucket() + 1));
    return new BucketId(meta.lastBucket());
  }

  private void putMeta(Meta next) {
    meta = next;
    put(key('m', ""), META.encode(next));
  }

  // Nodes.

  Collection<NodeRecord> nodes() {
    return nodes.values();
  }

  Optional<NodeRecord> node(NodeId id) {
    return Optional.ofNullable(nodes.get(id));
  }

  void putNode(NodeRecord node) {
    nodes.put(node.id(), node);
    put(key('n', node.id().name()), NODE.encode(node));
  }

  void removeNode(NodeId id) {
    nodes.remove(id);
    remove(key('n', id.name()));
    setDraining(id, false);
  }

  boolean draining(NodeId id) {
    return draining.contains(id);
  }

  void setDraining(NodeId id, boolean on) {
    if (on && draining.add(id)) {
      put(key('d', id.name()), DRAINING.encode(new Draining(id)));
    } else if (!on && draining.remove(id)) {
      remove(key('d', id.name()));
    }
  }

  // Volumes.

  Optional<VolumeRecord> volume(VolumeId id) {
    return Optional.ofNullable(volumes.get(id));
  }

  Collection<VolumeRecord> volumes() {
    return volumes.values();
  }

  List<VolumeRecord> volumesOf(NodeId node) {
    return volumes.values().stream().filter(volume -> volume.node().equals(node)).toList();
  }

  void putVolume(VolumeRecord volume) {
    volumes.put(volume.id(), volume);
    put(key('v', hex(volume.id().value())), VOLUME.encode(volume));
  }

  void removeVolume(VolumeId id) {
    volumes.remove(id);
    remove(key('v', hex(id.value())));
  }

  /** The incarnation of a volume whose node is up; null when it is away or gone. */
  @Nullable Incarnation present(VolumeId id) {
    VolumeRecord volume = volumes.get(id);
    NodeRecord node = volume == null ? null : nodes.get(volume.node());
    return volume == null || node == null || node.state() == NodeState.DOWN
        ? null
        : volume.incarnation();
  }

  /** Whether the volume will not come back: its node came without it, or was forgotten. */
  boolean gone(VolumeId id) {
    return !volumes.containsKey(id);
  }

  /** Whether the volume's node is being emptied. */
  boolean leaving(VolumeId id) {
    VolumeRecord volume = volumes.get(id);
    return volume != null && draining.contains(volume.node());
  }

  /** The volume's failure domain; empty when it is gone. */
  Optional<String> domain(VolumeId id) {
    return volume(id).flatMap(volume -> node(volume.node())).map(NodeRecord::domain);
  }

  // Groups.

  Collection<Group> groups() {
    return groups.values();
  }

  Optional<Group> group(GroupId id) {
    return Optional.ofNullable(groups.get(id));
  }

  List<Group> groupsOf(Collection<VolumeId> members) {
    return groups.values().stream()
        .filter(group -> group.members().stream().anyMatch(each -> members.contains(each.volume())))
        .toList();
  }

  /** Stores a group if it differs. */
  void putGroup(Group group) {
    if (!group.equals(groups.put(group.id(), group))) {
      put(key('g', hex(group.id().value())), GROUP.encode(group));
    }
  }

  // Buckets and keys.

  Optional<Bucket> bucket(String name) {
    return Optional.ofNullable(buckets.get(name));
  }

  Map<String, Bucket> buckets() {
    return buckets;
  }

  void putBucket(Bucket bucket) {
    buckets.put(bucket.name(), bucket);
    put(key('b', bucket.name()), BUCKET.encode(bucket));
  }

  void removeBucket(String name) {
    buckets.remove(name);
    remove(key('b', name));
  }

  Map<String, AccessKey> accessKeys() {
    return accessKeys;
  }

  /**
   * Stores a key pair.
   *
   * @param allowed empty: everything
   */
  void putAccessKey(AccessKey key, Optional<KeyGrants> allowed) {
    if (!key.equals(accessKeys.put(key.accessKeyId(), key))) {
      put(key('k', key.accessKeyId()), ACCESS_KEY.encode(key));
    }
    if (allowed.isPresent()) {
      if (!allowed.get().equals(grants.put(key.accessKeyId(), allowed.get()))) {
        put(key('r', key.accessKeyId()), GRANTS.encode(allowed.get()));
      }
    } else if (grants.remove(key.accessKeyId()) != null) {
      remove(key('r', key.accessKeyId()));
    }
  }

  private void put(byte[] key, byte[] value) {
    changed = true;
    batch.put(key, value);
  }

  private void remove(byte[] key) {
    changed = true;
    batch.remove(key);
  }

  private static byte[] key(char kind, String id) {
    return ("c/" + kind + "/" + id).getBytes(StandardCharsets.UTF_8);
  }

  private static String hex(long value) {
    String digits = Long.toHexString(value);
    return "0".repeat(16 - digits.length()) + digits;
  }
}
