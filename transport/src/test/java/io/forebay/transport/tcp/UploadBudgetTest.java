package io.forebay.transport.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Who gets buffers, in which order, and that none is lost. */
final class UploadBudgetTest {
  private final List<String> granted = new ArrayList<>();

  @Test
  void claimsAreGrantedInOrderAndGivenBackOnce() {
    var budget = new UploadBudget(20, 4); // 8 for last hops, 8 for one further, 4 for longer
    var first = claim(budget, "first", 1, 4);
    var second = claim(budget, "second", 1, 4);
    var third = claim(budget, "third", 1, 4);
    var fourth = claim(budget, "fourth", 1, 1);
    assertThat(granted).containsExactly("first", "second");
    budget.release(first);
    budget.release(first);
    assertThat(granted).containsExactly("first", "second", "third");
    budget.release(second);
    assertThat(granted).containsExactly("first", "second", "third", "fourth");
    budget.release(third);
    budget.release(fourth);
    claim(budget, "fifth", 1, 4);
    claim(budget, "sixth", 1, 4);
    assertThat(granted).endsWith("fifth", "sixth");
  }

  @Test
  void chunksThatGoFurtherDoNotTakeTheBuffersOfThoseThatEndHere() {
    var budget = new UploadBudget(20, 4);
    for (int i = 0; i < 10; i++) {
      claim(budget, "on", 2, 4);
    }
    claim(budget, "last", 1, 4);
    claim(budget, "far", 5, 4);
    assertThat(granted).containsExactly("on", "on", "last", "far");
  }

  @Test
  void aClaimGivenUpWhileItWaitsLetsTheNextThrough() {
    var budget = new UploadBudget(20, 4);
    claim(budget, "far", 3, 4);
    var waiting = claim(budget, "never", 3, 4);
    budget.release(waiting);
    claim(budget, "never either", 4, 4);
    assertThat(granted).containsExactly("far");
  }

  private UploadBudget.Claim claim(UploadBudget budget, String name, int hops, int slices) {
    var claim = budget.claim(hops, slices, at -> granted.add(name));
    assertThat(budget.request(claim)).isTrue();
    return claim;
  }
}
