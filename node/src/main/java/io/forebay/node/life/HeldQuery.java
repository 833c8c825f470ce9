package io.forebay.node.life;

import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Asks nodes what their volumes hold that may not be evicted, by group. */
final class HeldQuery {
  private static final long ASK_NANOS = 700_000_000L;

  private final Network network;

  HeldQuery(Network network) {
    this.network = network;
  }

  /**
   * What the volumes of some nodes hold; of those of nodes that do not answer nothing.
   *
   * @param youngerNanos volumes whose last look is not younger are left out
   */
  Map<VolumeId, Map<GroupId, Long>> all(List<NodeId> nodes, long youngerNanos) {
    var outcomes = new ArrayList<Outcome<Reply>>();
    for (NodeId node : nodes) {
      outcomes.add(network.call(node, new ControlMessage.AskHeld(), Optional.empty(), ASK_NANOS));
    }
    var held = new TreeMap<VolumeId, Map<GroupId, Long>>();
    for (Outcome<Reply> outcome : outcomes) {
      for (ControlMessage.Held.OfVolume volume : answer(outcome)) {
        if (volume.ageNanos() < youngerNanos) {
          var groups = new TreeMap<GroupId, Long>();
          volume.groups().forEach(each -> groups.put(each.group(), each.bytes()));
          held.put(volume.volume(), groups);
        }
      }
    }
    return held;
  }

  private static List<ControlMessage.Held.OfVolume> answer(Outcome<Reply> outcome) {
    try {
      return outcome.await().message() instanceof ControlMessage.Held(var volumes)
          ? volumes
          : List.of();
    } catch (ForebayException silent) {
      if (silent.code() == ErrorCode.CANCELLED) {
        throw silent;
      }
      return List.of();
    }
  }
}
