package io.forebay.sim.check;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterMachine;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.id.GroupId;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * States of the cluster's log, by number, as far as one group can tell them apart: what only grows
 * with the length of the way (versions, registrations) is left out. A command is applied by the
 * production machine once for each state.
 */
final class Clusters {
  private static final byte[] FIRST = new byte[0];
  private static final byte[] LAST = {(byte) 0xFF};
  private static final long WALL_MILLIS = 1;

  private record Step(int from, ClusterCommand command) {}

  private final GroupId group;
  private final Map<ClusterImage, Integer> numbers = new HashMap<>();
  private final List<MemorySortedMap> rows = new ArrayList<>();
  private final List<ClusterImage> images = new ArrayList<>();
  private final List<List<NodeRecord>> nodes = new ArrayList<>(); // with their registrations
  private final Map<Step, Integer> steps = new HashMap<>();

  /**
   * @param group the one that is looked at
   */
  Clusters(GroupId group) {
    this.group = group;
  }

  /** The state after these commands. */
  int after(List<ClusterCommand> commands) {
    var map = new MemorySortedMap();
    for (ClusterCommand command : commands) {
      apply(map, command);
    }
    return number(map);
  }

  /** The state after a command in a state. */
  int after(int state, ClusterCommand command) {
    return steps.computeIfAbsent(
        new Step(state, command),
        step -> {
          var map = copy(rows.get(state));
          apply(map, command);
          return number(map);
        });
  }

  /**
   * What a node knows in a state. Its version is the group's epoch, so that newer states have
   * higher ones as far as the group can tell.
   */
  ClusterImage image(int state) {
    return images.get(state);
  }

  /** The group in a state. */
  Group group(int state) {
    return images.get(state).group(group).orElseThrow();
  }

  /** A node's record with its registration, as one way to the state made it. */
  NodeRecord node(int state, int index) {
    return nodes.get(state).get(index);
  }

  private static ClusterMachine machine(MemorySortedMap map) {
    try (SortedMap.View view = map.view()) {
      return new ClusterMachine(view, 1);
    }
  }

  private static void apply(MemorySortedMap map, ClusterCommand command) {
    ClusterMachine machine = machine(map);
    var batch = new Batch();
    machine.apply(0, WALL_MILLIS, Level.NEWEST, command, batch);
    map.write(batch);
  }

  private static MemorySortedMap copy(MemorySortedMap map) {
    var batch = new Batch();
    try (SortedMap.View view = map.view()) {
      view.scan(
          FIRST,
          LAST,
          (key, value) -> {
            batch.put(key, value);
            return true;
          });
    }
    var copy = new MemorySortedMap();
    copy.write(batch);
    return copy;
  }

  private int number(MemorySortedMap map) {
    ClusterImage full = machine(map).image();
    List<Group> one = full.group(group).stream().toList();
    var image =
        new ClusterImage(
            one.isEmpty() ? 0 : one.getFirst().epoch().value(),
            full.clusterId(),
            full.nodes().stream()
                .map(each ->
                    new NodeRecord(each.id(), each.address(), each.domain(), 0, each.state()))
                .toList(),
            full.volumes(),
            one,
            full.buckets(),
            List.of(),
            List.of());
    return numbers.computeIfAbsent(
        image,
        _ -> {
          rows.add(map);
          images.add(image);
          nodes.add(full.nodes());
          return images.size() - 1;
        });
  }
}
