package io.forebay.store.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.TestEnv;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.SessionId;
import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Walks of random steps over one directory, opened again and again: a volume holds what a model
 * says.
 */
final class RebuildTest {
  private static final DiskSettings SETTINGS = new DiskSettings(64 << 20, 16 << 20, 1, true);
  private static final int OPENINGS = 8;
  private static final int STEPS = 24;

  @TempDir Path directory;
  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 1 << 20, 2);
  private final TreeMap<ChunkId, StoredChunk> model = new TreeMap<>();

  @AfterEach
  void close() {
    env.close();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void whatIsOpenedAgainIsWhatWasKept(long seed) {
    walk(new Random(seed));
  }

  @Test
  void aPlantedBugIsFound() {
    try (Broken _ = Broken.rule(Rule.REBUILD)) {
      assertThatThrownBy(() -> walk(new Random(1)));
    }
  }

  private void walk(Random random) {
    long sequence = 0;
    for (int opening = 0; opening < OPENINGS; opening++) {
      try (DiskVolume volume = DiskVolume.open(env, directory, SETTINGS)) {
        check(volume);
        for (int step = 0; step < STEPS; step++) {
          switch (random.nextInt(4)) {
            case 0 -> {
              List<ChunkId> some =
                  model.keySet().stream().filter(_ -> random.nextInt(4) == 0).toList();
              volume.delete(some);
              model.keySet().removeAll(some);
            }
            case 1 -> append(volume, random, ++sequence, false);
            default -> append(volume, random, ++sequence, true);
          }
        }
        check(volume);
      }
    }
  }

  private void append(DiskVolume volume, Random random, long sequence, boolean keep) {
    var id = new ChunkId(new SessionId(3), sequence);
    int length = 1 + random.nextInt(300_000);
    Bytes content = new Synthetic(sequence, 0, length);
    ChunkAppender appender =
        volume.append(
            id,
            new GroupId(1 + random.nextInt(3)),
            new Epoch(1),
            length,
            random.nextBoolean() ? Durability.SYNCED : Durability.REPLICATED);
    appender.write(0, content, content.crc32c()).await();
    if (keep) {
      model.put(id, appender.commit(length, content.crc32c()));
    } else {
      appender.abort();
    }
  }

  private void check(DiskVolume volume) {
    for (int group = 1; group <= 3; group++) {
      var id = new GroupId(group);
      assertThat(volume.list(id, Optional.empty(), 10_000))
          .isEqualTo(model.values().stream().filter(each -> each.group().equals(id)).toList());
    }
    for (StoredChunk chunk : model.values()) {
      Bytes bytes = volume.read(chunk.id(), 0, chunk.lengthBytes(), pool);
      try {
        assertThat(bytes.crc32c()).isEqualTo(chunk.crc32c());
      } finally {
        bytes.release();
      }
    }
  }
}
