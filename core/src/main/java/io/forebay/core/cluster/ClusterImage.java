package io.forebay.core.cluster;

import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * All of what the cluster log says, at one version: immutable, on every node. Lists are sorted by
 * id, so that every node and every run iterates alike.
 *
 * @param version grows with every change, never below the index of the log entry that made it
 * @param clusterId drawn at the first start; empty before
 * @param grants of key pairs that may not do everything
 */
public record ClusterImage(
    long version,
    String clusterId,
    List<NodeRecord> nodes,
    List<VolumeRecord> volumes,
    List<Group> groups,
    List<Bucket> buckets,
    List<AccessKey> accessKeys,
    List<KeyGrants> grants) {
  /** What a node knows before it has heard anything. */
  public static final ClusterImage EMPTY =
      new ClusterImage(0, "", List.of(), List.of(), List.of(), List.of(), List.of(), List.of());

  public ClusterImage {
    nodes = List.copyOf(nodes);
    volumes = List.copyOf(volumes);
    groups = List.copyOf(groups);
    buckets = List.copyOf(buckets);
    accessKeys = List.copyOf(accessKeys);
    grants = List.copyOf(grants);
  }

  public Optional<NodeRecord> node(NodeId id) {
    return find(nodes, NodeRecord::id, id);
  }

  public Optional<VolumeRecord> volume(VolumeId id) {
    return find(volumes, VolumeRecord::id, id);
  }

  public Optional<Group> group(GroupId id) {
    return find(groups, Group::id, id);
  }

  public Optional<Bucket> bucket(String name) {
    return find(buckets, Bucket::name, name);
  }

  private static <R, K extends Comparable<K>> Optional<R> find(
      List<R> sorted, Function<R, K> id, K wanted) {
    int low = 0;
    int high = sorted.size();
    while (low < high) {
      int middle = (low + high) >>> 1;
      int order = id.apply(sorted.get(middle)).compareTo(wanted);
      if (order == 0) {
        return Optional.of(sorted.get(middle));
      }
      if (order < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return Optional.empty();
  }
}
