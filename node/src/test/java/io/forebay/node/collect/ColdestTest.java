package io.forebay.node.collect;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.SessionId;
import io.forebay.core.volume.StoredChunk;
import org.junit.jupiter.api.Test;

class ColdestTest {
  private static StoredChunk chunk(int sequence, int group) {
    return new StoredChunk(
        new ChunkId(new SessionId(7), sequence), new GroupId(group), new Epoch(1), 100, 0);
  }

  @Test
  void whatWasUsedLeastRecentlyGoesFirstWhicheverGroupItIsOf() {
    var coldest = new Coldest(300);
    coldest.offer(chunk(1, 1), 50);
    coldest.offer(chunk(2, 1), 40);
    coldest.offer(chunk(3, 1), 30);
    coldest.offer(chunk(4, 2), 20);
    coldest.offer(chunk(5, 3), 10);
    assertThat(coldest.first(300)).containsExactly(chunk(5, 3), chunk(4, 2), chunk(3, 1));
  }

  @Test
  void ofWhatWasNeverUsedTheOldestGoesFirst() {
    var coldest = new Coldest(200);
    coldest.offer(chunk(9, 1), 0);
    coldest.offer(chunk(8, 2), 0);
    coldest.offer(chunk(2, 3), 1);
    assertThat(coldest.first(200)).containsExactly(chunk(8, 2), chunk(9, 1));
  }

  @Test
  void asMuchAsIsWantedAndNoMore() {
    var coldest = new Coldest(250);
    for (int i = 1; i <= 10; i++) {
      coldest.offer(chunk(i, 1), i);
    }
    assertThat(coldest.first(250)).containsExactly(chunk(1, 1), chunk(2, 1), chunk(3, 1));
    assertThat(coldest.first(101)).containsExactly(chunk(1, 1), chunk(2, 1));
    assertThat(coldest.first(0)).isEmpty();
  }

  @Test
  void whereNothingIsWantedNothingIsKept() {
    var coldest = new Coldest(0);
    coldest.offer(chunk(1, 1), 0);
    assertThat(coldest.first(1_000)).isEmpty();
  }
}
