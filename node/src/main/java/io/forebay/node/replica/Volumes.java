package io.forebay.node.replica;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.volume.Volume;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;

/** The volumes of this node. */
public final class Volumes {
  private final TreeMap<VolumeId, Volume> byId = new TreeMap<>();

  public Volumes(List<Volume> volumes) {
    for (Volume volume : volumes) {
      byId.put(volume.id(), volume);
    }
  }

  /** The volume with this id, if it is one of this node's. */
  public Optional<Volume> volume(VolumeId id) {
    return Optional.ofNullable(byId.get(id));
  }

  /** A volume that holds the chunk, if one does. */
  public Optional<Volume> holding(ChunkId chunk) {
    for (Volume volume : byId.values()) {
      if (volume.find(chunk).isPresent()) {
        return Optional.of(volume);
      }
    }
    return Optional.empty();
  }

  /** The volume of this node that is IN_SYNC in a group that is not reviving, if one is. */
  public Optional<Volume> inSync(ClusterImage image, GroupId id) {
    return image.group(id).stream()
        .filter(group -> !group.reviving())
        .flatMap(group -> group.in(MemberState.IN_SYNC).stream())
        .flatMap(member -> volume(member.volume()).stream())
        .findFirst();
  }

  /** All, by id. */
  public Collection<Volume> all() {
    return byId.values();
  }
}
