package io.forebay.core.cluster;

import io.forebay.core.codec.Tag;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * What a node is told that knows an older image. At a thousand nodes an image has some hundred
 * kilobytes, and while all of them start there is a new one for each: told whole to all, that would
 * be more than a NIC carries.
 */
public sealed interface ImageNews {
  /** The image after the news; empty when they do not follow on what is known. */
  Optional<ClusterImage> after(ClusterImage known);

  /** All of it, for whoever knows nothing of late. */
  @Tag(1)
  record Whole(ClusterImage image) implements ImageNews {
    @Override
    public Optional<ClusterImage> after(ClusterImage known) {
      return Optional.of(image);
    }
  }

  /**
   * What differs between two images.
   *
   * @param from the version that it follows on
   * @param names buckets and keys, all of them, if any differs
   */
  @Tag(2)
  record Change(
      long from,
      long version,
      String clusterId,
      List<NodeRecord> nodes,
      List<NodeId> goneNodes,
      List<VolumeRecord> volumes,
      List<VolumeId> goneVolumes,
      List<Group> groups,
      List<GroupId> goneGroups,
      Optional<Names> names)
      implements ImageNews {
    public Change {
      nodes = List.copyOf(nodes);
      goneNodes = List.copyOf(goneNodes);
      volumes = List.copyOf(volumes);
      goneVolumes = List.copyOf(goneVolumes);
      groups = List.copyOf(groups);
      goneGroups = List.copyOf(goneGroups);
    }

    /** What changes seldom. */
    public record Names(List<Bucket> buckets, List<AccessKey> accessKeys, List<KeyGrants> grants) {
      public Names {
        buckets = List.copyOf(buckets);
        accessKeys = List.copyOf(accessKeys);
        grants = List.copyOf(grants);
      }

      static Names of(ClusterImage image) {
        return new Names(image.buckets(), image.accessKeys(), image.grants());
      }
    }

    /** What makes the later one of two images out of the earlier one. */
    public static Change between(ClusterImage earlier, ClusterImage later) {
      var nodes = new Difference<>(earlier.nodes(), later.nodes(), NodeRecord::id);
      var volumes = new Difference<>(earlier.volumes(), later.volumes(), VolumeRecord::id);
      var groups = new Difference<>(earlier.groups(), later.groups(), Group::id);
      Names names = Names.of(later);
      return new Change(
          earlier.version(),
          later.version(),
          later.clusterId(),
          nodes.put,
          nodes.gone,
          volumes.put,
          volumes.gone,
          groups.put,
          groups.gone,
          Optional.of(names).filter(each -> !each.equals(Names.of(earlier))));
    }

    @Override
    public Optional<ClusterImage> after(ClusterImage known) {
      if (known.version() != from) {
        return Optional.empty();
      }
      Names all = names.orElseGet(() -> Names.of(known));
      return Optional.of(
          new ClusterImage(
              version,
              clusterId,
              merged(known.nodes(), nodes, goneNodes, NodeRecord::id),
              merged(known.volumes(), volumes, goneVolumes, VolumeRecord::id),
              merged(known.groups(), groups, goneGroups, Group::id),
              all.buckets(),
              all.accessKeys(),
              all.grants()));
    }

    /** All lists ascend by id. */
    private static <R, K extends Comparable<K>> List<R> merged(
        List<R> known, List<R> put, List<K> gone, Function<R, K> id) {
      if (put.isEmpty() && gone.isEmpty()) {
        return known;
      }
      var merged = new ArrayList<R>(known.size() + put.size());
      int nextPut = 0;
      int nextGone = 0;
      for (R each : known) {
        K key = id.apply(each);
        while (nextPut < put.size() && id.apply(put.get(nextPut)).compareTo(key) < 0) {
          merged.add(put.get(nextPut++));
        }
        if (nextPut < put.size() && id.apply(put.get(nextPut)).equals(key)) {
          merged.add(put.get(nextPut++));
        } else if (nextGone < gone.size() && gone.get(nextGone).equals(key)) {
          nextGone++;
        } else {
          merged.add(each);
        }
      }
      merged.addAll(put.subList(nextPut, put.size()));
      return merged;
    }

    /** What is new or other, and what is gone, of two lists that ascend by id. */
    private static final class Difference<R, K extends Comparable<K>> {
      final List<R> put = new ArrayList<>();
      final List<K> gone = new ArrayList<>();

      Difference(List<R> earlier, List<R> later, Function<R, K> id) {
        int next = 0;
        for (R each : later) {
          K key = id.apply(each);
          while (next < earlier.size() && id.apply(earlier.get(next)).compareTo(key) < 0) {
            gone.add(id.apply(earlier.get(next++)));
          }
          if (next < earlier.size() && id.apply(earlier.get(next)).equals(key)) {
            if (!earlier.get(next).equals(each)) {
              put.add(each);
            }
            next++;
          } else {
            put.add(each);
          }
        }
        while (next < earlier.size()) {
          gone.add(id.apply(earlier.get(next++)));
        }
      }
    }
  }
}
