package io.forebay.core.bytes;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

final class Crc32cCombinerTest {
  @Test
  void theSumOfAConcatenationFollowsFromThoseOfItsParts() {
    long seed = 11;
    var random = new SplittableRandom(seed);
    for (int i = 0; i < 2_000; i++) {
      byte[] bytes = new byte[random.nextInt(i % 10 == 0 ? 100_000 : 300)];
      random.nextBytes(bytes);
      int cut = random.nextInt(bytes.length + 1);
      int whole = crc(bytes, 0, bytes.length);
      int combined =
          Crc32cCombiner.combine(
              crc(bytes, 0, cut), crc(bytes, cut, bytes.length), bytes.length - cut);
      assertThat(combined).as("seed %d, case %d", seed, i).isEqualTo(whole);
    }
  }

  @Test
  void emptyPartsChangeNothing() {
    assertThat(Crc32cCombiner.combine(0x1234, 0, 0)).isEqualTo(0x1234);
    assertThat(Crc32cCombiner.combine(0, 0x1234, 77)).isEqualTo(0x1234);
  }

  @Test
  void syntheticContentIsTheSameInWholeAndInParts() {
    var whole = new Synthetic(5, 1_000, 70_000);
    Bytes head = whole.slice(0, 12_345);
    Bytes tail = whole.slice(12_345, 70_000 - 12_345);
    assertThat(Crc32cCombiner.combine(head.crc32c(), tail.crc32c(), tail.length()))
        .isEqualTo(whole.crc32c())
        .isEqualTo(crc(whole.toArray(), 0, 70_000));
  }

  private static int crc(byte[] bytes, int from, int to) {
    var crc = new CRC32C();
    crc.update(bytes, from, to - from);
    return (int) crc.getValue();
  }
}
