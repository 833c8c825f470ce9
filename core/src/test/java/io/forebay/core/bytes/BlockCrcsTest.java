package io.forebay.core.bytes;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.TestEnv;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

final class BlockCrcsTest {
  private static int crc(byte[] bytes, int offset, int length) {
    var crc = new CRC32C();
    crc.update(bytes, offset, length);
    return (int) crc.getValue();
  }

  @Test
  void piecesOfAnySizeGiveTheBlocksAndTheWhole() {
    long seed = new Random().nextLong();
    var random = new Random(seed);
    for (int run = 0; run < 200; run++) {
      int length = random.nextInt(4) == 0 ? random.nextInt(9) : random.nextInt(300_000);
      var bytes = new byte[length];
      random.nextBytes(bytes);
      var crcs = new BlockCrcs(random.nextBoolean() ? length : 0);
      for (int at = 0; at < length; ) {
        int count = Math.min(length - at, 1 + random.nextInt(100_000));
        var piece = ByteBuffer.wrap(bytes, at, count);
        crcs.update(piece);
        assertThat(piece.remaining()).isEqualTo(count);
        at += count;
      }
      int[] blocks = crcs.end();
      assertThat(blocks).as("seed %s", seed).hasSize((length + 65_535) / 65_536);
      for (int i = 0; i < blocks.length; i++) {
        int from = i * 65_536;
        assertThat(blocks[i]).isEqualTo(crc(bytes, from, Math.min(65_536, length - from)));
      }
      assertThat(BlockCrcs.whole(blocks, length)).isEqualTo(crc(bytes, 0, length));
    }
  }

  @Test
  void aPartTakesItsChecksumsOnce() {
    try (var env = new TestEnv()) {
      var pool = new SlabPool(env, 256 << 10, 1);
      Slab slab = pool.take();
      new Synthetic(5, 0, 200_000).copyTo(slab.buffer());
      Bytes part = slab.bytes(4_096, 150_000);
      slab.release();
      int wanted = new Synthetic(5, 4_096, 150_000).crc32c();
      long before = Passes.checksummedBytes();
      assertThat(part.crc32c()).isEqualTo(wanted);
      assertThat(part.crc32c()).isEqualTo(wanted);
      assertThat(Passes.checksummedBytes() - before).isEqualTo(150_000);
      Bytes within = part.slice(1, 1_000);
      assertThat(within.crc32c()).isEqualTo(new Synthetic(5, 4_097, 1_000).crc32c());
      within.release();
      part.release();
      assertThat(pool.available()).isEqualTo(1);
    }
  }
}
