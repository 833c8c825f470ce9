package io.forebay.store.disk;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.SessionId;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A volume on a disk that forgets at a power cut what no sync has covered ({@link ForgetfulDisk}):
 * what was acknowledged as synced is there, and what is held, once settled, is whole. A failure
 * names the seed.
 */
final class PowerCutTest {
  private static final int SEEDS = 40;
  private static final int CUTS = 4;
  private static final int MOST_BYTES = 300_000;
  private static final DiskSettings SETTINGS = new DiskSettings(64 << 20, 16 << 20, 2, false);
  private static final GroupId GROUP = new GroupId(1);

  @TempDir Path directory;
  private int closedInOrder;
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 1 << 20, 8);

  @AfterEach
  void everyBufferIsBack() {
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  private static ChunkId id(long sequence) {
    return new ChunkId(new SessionId(3), sequence);
  }

  private static int length(long sequence) {
    return new SplittableRandom(sequence).nextInt(1, MOST_BYTES);
  }

  /** What was done to one volume, and what it owes for that. */
  private final class Life {
    private final SplittableRandom random;
    private final Path place;
    // By sequence; of those that were acknowledged and not deleted since.
    private final TreeMap<Long, Durability> acknowledged = new TreeMap<>();
    // What was deleted may be back.
    private final TreeSet<Long> deleted = new TreeSet<>();
    private long sequence;
    private boolean closed; // in order, the last time

    Life(long seed) {
      this.random = new SplittableRandom(seed);
      this.place = directory.resolve("seed-" + seed);
    }

    void untilTheNextCut(long boot) throws IOException {
      var disk = new ForgetfulDisk(random.nextLong(), random.nextInt(1, 120));
      boolean inOrder = random.nextInt(3) == 0;
      try (var volume = DiskVolume.open(env, place, SETTINGS, disk, boot)) {
        check(volume);
        while (act(volume) && !(inOrder && random.nextInt(8) == 0)) {}
      } catch (ForebayException failure) {
        // The power was cut while the volume was opened or settled.
        assertThat(failure.code()).isIn(ErrorCode.CONFIGURATION, ErrorCode.IO_ERROR);
      }
      closed = Files.readString(place.resolve(VolumeMeta.FILE)).contains("closed=true\n");
      assertThat(closed && disk.mayForget()).as("said to be synced, and is not").isFalse();
      closedInOrder += closed ? 1 : 0;
    }

    /** False once the power is off. */
    private boolean act(DiskVolume volume) {
      try {
        if (random.nextInt(4) == 0 && !acknowledged.isEmpty()) {
          var all = new ArrayList<>(acknowledged.keySet());
          long victim = all.get(random.nextInt(all.size()));
          acknowledged.remove(victim);
          deleted.add(victim);
          volume.delete(List.of(id(victim)));
        } else {
          Durability durability = random.nextBoolean() ? Durability.SYNCED : Durability.REPLICATED;
          store(volume, ++sequence, durability);
          acknowledged.put(sequence, durability);
        }
        return true;
      } catch (ForebayException failure) {
        assertThat(failure.code()).isEqualTo(ErrorCode.IO_ERROR);
        return false;
      }
    }

    private void store(DiskVolume volume, long number, Durability durability) {
      int length = length(number);
      ChunkAppender appender = volume.append(id(number), GROUP, new Epoch(1), length, durability);
      try {
        for (int at = 0; at < length; ) {
          int count = Math.min(length - at, random.nextInt(1, MOST_BYTES));
          Bytes slice = new Synthetic(number, at, count);
          appender.write(at, slice, slice.crc32c()).await();
          at += count;
        }
        appender.commit(length, new Synthetic(number, 0, length).crc32c());
      } finally {
        appender.abort();
      }
    }

    private void check(DiskVolume volume) {
      if (closed) {
        acknowledged.keySet().forEach(number -> assertThat(volume.find(id(number))).isPresent());
      }
      volume.settle(GROUP);
      acknowledged.forEach((number, durability) -> {
        if (durability == Durability.SYNCED) {
          assertThat(volume.find(id(number))).as("chunk %d, synced", number).isPresent();
        }
      });
      for (StoredChunk chunk : volume.list(GROUP, Optional.empty(), Integer.MAX_VALUE)) {
        if (!deleted.contains(chunk.id().sequence())) {
          verify(volume, chunk.id().sequence());
        }
      }
      acknowledged.keySet().removeIf(number -> volume.find(id(number)).isEmpty());
    }

    private void verify(DiskVolume volume, long number) {
      int length = length(number);
      Bytes read = volume.read(id(number), 0, length, pool);
      try {
        assertThat(read.crc32c())
            .as("chunk %d", number)
            .isEqualTo(new Synthetic(number, 0, length).crc32c());
      } finally {
        read.release();
      }
    }
  }

  @Test
  void whatWasSyncedIsThereAndWhatIsHeldIsWhole() throws IOException {
    for (long seed = 1; seed <= SEEDS; seed++) {
      var life = new Life(seed);
      try {
        for (int boot = 1; boot <= CUTS; boot++) {
          life.untilTheNextCut(boot);
        }
        try (var volume = DiskVolume.open(env, life.place, SETTINGS, FileChannel::open, CUTS + 1)) {
          life.check(volume);
        }
      } catch (AssertionError | RuntimeException failure) {
        throw new AssertionError("seed " + seed, failure);
      }
    }
    assertThat(closedInOrder).isGreaterThan(10);
  }
}
