package io.forebay.core.namespace;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.id.InodeId;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whether a directory is empty, as it is asked with each name that is removed. */
final class TreeTest {
  private static final InodeId DIRECTORY = new InodeId(7);
  private static final int NAMES = 500;

  private final MemorySortedMap map = new MemorySortedMap();
  private final Tree.Seen seen = new Tree.Seen();
  private long passed;

  private static byte[] name(int i) {
    return ByteBuffer.allocate(4).putInt(i).array();
  }

  private void put(int i) {
    var batch = new Batch();
    batch.put(Keys.entry(DIRECTORY, name(i)), new byte[] {1});
    map.write(batch);
  }

  private void remove(int i) {
    // As in a table whose removed rows lie there until it is compacted: they are passed over.
    var batch = new Batch();
    batch.put(Keys.entry(DIRECTORY, name(i)), new byte[0]);
    map.write(batch);
  }

  private boolean isEmpty(int removed) {
    try (var view = new CountingView(map.view(), value -> value.length > 0)) {
      boolean empty = new Tree(view, seen).isEmpty(DIRECTORY, name(removed));
      passed += view.visits;
      return empty;
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void removingInOrderPassesOverNothingTwice(boolean ascending) {
    for (int i = 0; i < NAMES; i++) {
      put(i);
    }
    for (int i = 0; i < NAMES; i++) {
      int removed = ascending ? i : NAMES - 1 - i;
      remove(removed);
      assertThat(isEmpty(removed)).isEqualTo(i == NAMES - 1);
    }
    assertThat(passed).as("rows that were looked at").isLessThan(4 * NAMES);
  }

  @Test
  void whatWasSeenIsLookedAtBeforeItIsBelieved() {
    put(1);
    put(2);
    remove(1);
    assertThat(isEmpty(1)).isFalse();
    remove(2);
    assertThat(isEmpty(1)).isTrue();
    put(3);
    assertThat(isEmpty(9)).isFalse();
  }
}
