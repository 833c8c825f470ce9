package io.forebay.node.write;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.StillEnv;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.Hop;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PacesTest {
  private static final long MILLI = 1_000_000L;
  private static final long CHUNK = 4 << 20;

  private final StillEnv env = new StillEnv();
  private final Paces paces = new Paces(env);

  private static List<Hop> chain(int... volumes) {
    return IntStream.of(volumes)
        .mapToObj(volume -> new Hop(new NodeId("n" + volume), new VolumeId(volume)))
        .toList();
  }

  /** A chunk to these volumes was there after so long. */
  private void chunk(long millis, int... volumes) {
    paces.took(chain(volumes), chain(volumes), millis * MILLI, CHUNK, 1);
  }

  /** So was one to this volume and the first, which was seen to be ahead. */
  private void heldUp(long millis, int volume) {
    paces.took(chain(1, volume), chain(volume), millis * MILLI, CHUNK, 1);
  }

  private boolean late(long millis, int... volumes) {
    return paces.late(chain(volumes), millis * MILLI, CHUNK, 1);
  }

  private List<Integer> slow() {
    return IntStream.rangeClosed(1, 9)
        .filter(volume -> paces.times(new VolumeId(volume)) >= Paces.SLOW_TIMES)
        .boxed()
        .toList();
  }

  @Test
  void theSlowMemberOfAChainIsFoundAndTheOthersAreNotTakenForIt() {
    for (int round = 0; round < 3; round++) {
      chunk(60, 1, 2, 3);
      chunk(1_200, 1, 4, 5);
      chunk(70, 5, 6, 7);
    }
    assertThat(slow()).containsExactly(4);
    assertThat(paces.times(new VolumeId(4))).isBetween(17L, 20L);
  }

  @Test
  void onlyWhatIsMuchSlowerForSeveralChunksIsSaid() {
    for (int round = 0; round < 4; round++) {
      chunk(100, 1, 2);
      chunk(100, 1, 3);
    }
    for (int round = 0; round < 3; round++) {
      heldUp(2_000, 4);
      heldUp(750, 5);
    }
    assertThat(paces.slow()).isEmpty();
    heldUp(2_000, 4);
    heldUp(750, 5);
    assertThat(slow()).containsExactly(4, 5);
    assertThat(paces.slow().keySet()).containsExactly(new VolumeId(4));
    assertThat(paces.slow().get(new VolumeId(4))).isBetween(490_000L, 500_000L);
    env.pass(11_000);
    assertThat(paces.slow()).isEmpty();
  }

  /** A chunk waited for each of these volumes, beside what the first took at once. */
  private void held(int... volumes) {
    paces.rates().took(new VolumeId(1), env.nanoTime() - 10 * MILLI, CHUNK);
    for (int i = 0; i < 11; i++) {
      env.pass(100);
      for (int volume : volumes) {
        paces
            .rates()
            .held(Optional.empty(), new VolumeId(volume), 100 * MILLI, (i + 1) * 100L * MILLI, 0);
      }
    }
    paces.rates().took(new VolumeId(1), env.nanoTime() - 10 * MILLI, CHUNK);
  }

  @Test
  void whoHoldsChunksUpForASecondIsSaid() {
    chunk(60, 1, 2, 3);
    held(3);
    assertThat(paces.slow()).containsExactly(Map.entry(new VolumeId(3), 1_100_000L));
    env.pass(6_000);
    assertThat(paces.slow()).isEmpty();
  }

  @Test
  void whoseChunksStandAtMoreThanAThirdSaysNothingOfThem() {
    chunk(60, 1, 2, 3, 4, 5, 6);
    held(5, 6);
    assertThat(paces.slow()).containsOnlyKeys(new VolumeId(5), new VolumeId(6));
    held(4, 5, 6);
    assertThat(paces.slow()).isEmpty();
  }

  @Test
  void whoIsSeenToBeAheadIsNotHeldForSlow() {
    for (int round = 0; round < 2; round++) {
      chunk(60, 1, 2);
      chunk(60, 1, 3);
    }
    for (int round = 0; round < 4; round++) {
      heldUp(1_200, 2);
    }
    assertThat(slow()).containsExactly(2);
    assertThat(paces.late(chain(3), 1_200 * MILLI, CHUNK, 1)).isTrue();
    assertThat(slow()).isEmpty(); // two of three: it is the load
    chunk(60, 1, 3);
    assertThat(slow()).containsExactly(2);
  }

  @Test
  void whereAllAreSlowNobodyIs() {
    for (int round = 0; round < 4; round++) {
      chunk(60, 1, 2);
      chunk(60, 1, 3);
      chunk(60, 1, 4);
    }
    for (int round = 0; round < 4; round++) {
      chunk(1_200, 1, 2);
      chunk(1_300, 1, 3);
      chunk(1_250, 1, 4);
    }
    assertThat(slow()).isEmpty();
    assertThat(late(2_000, 1, 2)).isFalse();
  }

  @Test
  void oneSlowChunkSaysNothing() {
    chunk(60, 1, 2);
    chunk(60, 1, 3);
    chunk(1_200, 4);
    assertThat(slow()).isEmpty();
  }

  @Test
  void whatIsQuickEnoughForAnybodyIsNotSlow() {
    for (int round = 0; round < 3; round++) {
      chunk(1, 1, 2);
      chunk(1, 1, 3);
      chunk(90, 1, 4);
    }
    assertThat(slow()).isEmpty();
  }

  @Test
  void chunksThatShareAVolumeAreNoReasonToTakeItForSlow() {
    for (int round = 0; round < 3; round++) {
      paces.took(chain(1, 2), chain(1, 2), 100 * MILLI, CHUNK, 1);
      paces.took(chain(1, 3), chain(1, 3), 100 * MILLI, CHUNK, 1);
      paces.took(chain(1, 4), chain(1, 4), 600 * MILLI, CHUNK, 6);
    }
    assertThat(slow()).isEmpty();
  }

  @Test
  void whoWasSlowIsLookedAtAgainLaterAndIsTakenForWhatItIsThen() {
    for (int round = 0; round < 3; round++) {
      chunk(60, 1, 2);
      chunk(60, 1, 3);
      chunk(1_200, 1, 4);
    }
    assertThat(slow()).containsExactly(4);
    env.pass(55_000);
    assertThat(slow()).isEmpty();
    chunk(60, 1, 2);
    chunk(60, 1, 3);
    chunk(1_200, 1, 4);
    assertThat(slow()).containsExactly(4);
    chunk(70, 1, 4);
    assertThat(slow()).isEmpty();
    assertThat(paces.slow()).isEmpty();
  }

  @Test
  void aLateChunkGoesElsewhereAndTheNextOneDoesNotGoThere() {
    assertThat(late(2_000, 1, 4)).isFalse();
    for (int round = 0; round < 3; round++) {
      chunk(60, 1, 2);
      chunk(60, 1, 3);
    }
    assertThat(late(900, 1, 4)).isFalse();
    assertThat(slow()).isEmpty();
    assertThat(late(1_100, 1, 4)).isTrue();
    assertThat(slow()).containsExactly(4);
  }

  @Test
  void onlySoManyChunksGoElsewhereForBeingLate() {
    for (int round = 0; round < 3; round++) {
      chunk(60, 1, 2);
      chunk(60, 1, 3);
    }
    int many = 0;
    for (int i = 0; i < 20; i++) {
      many += late(3_000, 5) ? 1 : 0;
    }
    assertThat(many).isEqualTo(6);
    for (int i = 0; i < 8; i++) {
      chunk(60, 1, 2);
    }
    assertThat(late(3_000, 5)).isTrue();
    assertThat(late(3_000, 5)).isFalse();
  }

  @Test
  void nowAndThenAChunkGoesToOthersOnlyWhereChunksTakeLong() {
    chunk(60, 1, 2);
    assertThat(paces.compares()).isFalse();
    chunk(600, 1, 2);
    assertThat(paces.compares()).isTrue();
    chunk(600, 1, 2);
    assertThat(paces.compares()).isFalse();
    env.pass(6_000);
    assertThat(paces.compares()).isTrue();
    assertThat(paces.compares()).isFalse();
  }
}
