package io.forebay.core.backing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.MemoryObjectStore.Fate;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class MemoryObjectStoreTest extends ObjectStoreContract {
  private final MemoryObjectStore store = new MemoryObjectStore(env);

  @Override
  protected ObjectStore open() {
    return store;
  }

  @Test
  void aLateChangeMeetsItsConditionWhenItLands() {
    var absent = new PutOptions(new StoreCondition.IfAbsent(), "", Map.of(), Map.of());
    store.fates((kind, key) -> key.equals("late") ? Fate.LATE : Fate.ANSWERED);
    assertThatThrownBy(() -> store.put("late", List.of(), absent)).hasMessageContaining("late");
    assertThat(store.body("late")).isEmpty();
    assertThat(store.land()).isEqualTo(1);
    assertThat(store.body("late")).isPresent();
    assertThat(store.land()).isZero();
  }
}
