package io.forebay.node.resync;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class RepairOrderTest {
  private final RepairOrder<Integer> order = new RepairOrder<>();

  private List<Integer> next(int times, Map<Integer, Integer> copies) {
    var all = new ArrayList<Integer>();
    for (int i = 0; i < times; i++) {
      all.add(order.next(copies).orElseThrow());
    }
    return all;
  }

  @Test
  void theFewestCopiesComeFirst() {
    var copies = new TreeMap<>(Map.of(1, 2, 2, 1, 3, 0, 4, 2));
    var all = new ArrayList<Integer>();
    while (!copies.isEmpty()) {
      Integer job = order.next(copies).orElseThrow();
      copies.remove(job);
      all.add(job);
    }
    assertThat(all).containsExactly(3, 2, 1, 4);
    assertThat(order.next(copies)).isEmpty();
  }

  @Test
  void whatIsTriedInVainLetsOthersGo() {
    assertThat(next(7, Map.of(1, 2, 2, 2, 3, 1))).containsExactly(3, 3, 1, 2, 3, 1, 2);
  }

  @Test
  void whatHasNoneLeftPassesWhatWasTried() {
    assertThat(next(2, Map.of(1, 1, 2, 2))).containsExactly(1, 1);
    assertThat(next(1, Map.of(1, 1, 2, 2, 3, 0))).containsExactly(3);
  }

  /** Else what failed for long waited until the newer one had failed as often. */
  @Test
  void whoComesLaterDoesNotPassForEver() {
    assertThat(next(100, Map.of(1, 1))).containsOnly(1);
    assertThat(next(4, Map.of(1, 1, 2, 1))).containsExactly(1, 2, 1, 2);
  }

  @Test
  void whatIsWantedNoMoreBeginsAnew() {
    assertThat(next(3, Map.of(1, 1, 2, 2))).containsExactly(1, 1, 2);
    order.retain(Set.of(2));
    assertThat(next(2, Map.of(1, 1, 2, 2))).containsExactly(1, 1);
  }
}
