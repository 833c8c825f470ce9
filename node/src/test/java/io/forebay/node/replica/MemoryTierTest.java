package io.forebay.node.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class MemoryTierTest {
  private static final int MIB = 1 << 20;
  // 7 slices of 1 MiB, 8 of 128 KiB.
  private static final long CAPACITY = 8L * MIB;
  private static final int LARGE = 7;

  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, MIB, 64);
  private final AtomicInteger reads = new AtomicInteger();
  private final AtomicBoolean broken = new AtomicBoolean();
  private final MemoryVolume disk =
      new MemoryVolume(
          env, new MemoryVolume.Disk(new VolumeId(1), new Incarnation(1, 1), 1L << 30));
  private final Volume volume = countingAndPooled();
  private final MemoryTier tier = new MemoryTier(env, CAPACITY);

  @AfterEach
  void close() {
    env.close();
  }

  /** The volume as a disk is: what it reads lies in a buffer of the pool that it is given. */
  private Volume countingAndPooled() {
    return (Volume)
        Proxy.newProxyInstance(
            Volume.class.getClassLoader(),
            new Class<?>[] {Volume.class},
            (proxy, method, arguments) -> {
              if (!method.getName().equals("read")) {
                try {
                  return method.invoke(disk, arguments);
                } catch (InvocationTargetException failure) {
                  throw failure.getCause();
                }
              }
              reads.incrementAndGet();
              if (broken.get()) {
                throw new ForebayException(ErrorCode.IO_ERROR, "broken as it was told to be");
              }
              var into = (SlabPool) arguments[3];
              Slab slab = into.take(env.nanoTime() + 5_000_000_000L);
              int length = (int) arguments[2];
              content((ChunkId) arguments[0], (int) arguments[1], length).copyTo(slab.buffer());
              Bytes bytes = slab.bytes(0, length);
              slab.release();
              return bytes;
            });
  }

  private static Bytes content(ChunkId chunk, int offset, int length) {
    return new Synthetic(chunk.sequence(), offset, length);
  }

  private StoredChunk chunk(long sequence, int length) {
    var id = new ChunkId(new SessionId(1), sequence);
    var appender = disk.append(id, new GroupId(1), new Epoch(1), length, Durability.REPLICATED);
    Bytes all = content(id, 0, length);
    var written = new ArrayList<Outcome<Void>>();
    for (int at = 0; at < length; at += MIB) {
      Bytes slice = all.slice(at, Math.min(MIB, length - at));
      written.add(appender.write(at, slice, slice.crc32c()));
    }
    written.forEach(Outcome::await);
    return appender.commit(length, all.crc32c());
  }

  private void read(StoredChunk chunk, int offset, int length) {
    Bytes bytes = tier.read(volume, chunk, offset, length, pool);
    assertThat(bytes.toArray()).isEqualTo(content(chunk.id(), offset, length).toArray());
    bytes.release();
  }

  /** Reads that the volume had to answer. */
  private int readsOf(Runnable action) {
    int before = reads.get();
    action.run();
    return reads.get() - before;
  }

  private List<StoredChunk> chunks(int count, int length) {
    var all = new ArrayList<StoredChunk>();
    for (int i = 1; i <= count; i++) {
      all.add(chunk(i, length));
    }
    return all;
  }

  @Test
  void theSecondReadKeepsTheSliceAndTheThirdComesFromMemory() {
    StoredChunk chunk = chunk(1, 3 * MIB + 77);
    assertThat(readsOf(() -> read(chunk, MIB + 5, 1000))).isEqualTo(1);
    assertThat(tier.heldBytes()).isZero();
    assertThat(readsOf(() -> read(chunk, MIB + 9, 1000))).isEqualTo(1);
    assertThat(tier.heldBytes()).isEqualTo(MIB);
    assertThat(
            readsOf(() -> {
              read(chunk, MIB, MIB);
              read(chunk, 2 * MIB - 1, 1);
            }))
        .isZero();
    assertThat(tier.hits()).isEqualTo(2);
    // The end of the chunk is a slice of its own, and a short one.
    assertThat(readsOf(() -> read(chunk, 3 * MIB, 77))).isEqualTo(1);
    assertThat(readsOf(() -> read(chunk, 3 * MIB + 7, 70))).isEqualTo(1);
    assertThat(readsOf(() -> read(chunk, 3 * MIB, 77))).isZero();
    assertThat(tier.heldBytes()).isEqualTo(MIB + 77);
    // What lies in two slices is read from the disk.
    assertThat(readsOf(() -> read(chunk, 2 * MIB - 1, 2))).isEqualTo(1);
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void aScanOverEverythingDisplacesNothing() {
    StoredChunk often = chunk(1000, MIB);
    read(often, 0, MIB);
    read(often, 0, MIB);
    chunks(50, MIB).forEach(each -> read(each, 0, MIB));
    assertThat(readsOf(() -> read(often, 0, MIB))).isZero();
  }

  @Test
  void whatIsReadOftenStaysAndWhatIsNotGoes() {
    List<StoredChunk> all = chunks(LARGE + 3, MIB);
    List<StoredChunk> first = all.subList(0, LARGE);
    for (int pass = 0; pass < 2; pass++) {
      first.forEach(each -> read(each, 0, MIB));
    }
    assertThat(tier.heldBytes()).isEqualTo((long) LARGE * MIB);
    StoredChunk often = all.getFirst();
    for (StoredChunk more : all.subList(LARGE, all.size())) {
      assertThat(readsOf(() -> read(often, 0, MIB))).isZero();
      read(more, 0, MIB);
      read(more, 0, MIB);
      assertThat(tier.heldBytes()).isEqualTo((long) LARGE * MIB);
    }
    assertThat(readsOf(() -> read(often, 0, MIB))).isZero();
    assertThat(readsOf(() -> all.subList(1, 4).forEach(each -> read(each, 0, MIB)))).isEqualTo(3);
  }

  /** Clients that take their time hold what they read: others are served past the tier. */
  @Test
  void nobodyWaitsForRoomThatReadersHold() {
    List<StoredChunk> all = chunks(2 * LARGE, MIB);
    var held = new ArrayList<Bytes>();
    for (StoredChunk each : all.subList(0, LARGE)) {
      read(each, 0, MIB);
      held.add(tier.read(volume, each, 0, MIB, pool));
    }
    List<StoredChunk> others = all.subList(LARGE, 2 * LARGE);
    for (int pass = 0; pass < 3; pass++) {
      others.forEach(each -> read(each, 0, MIB));
    }
    for (int i = 0; i < LARGE; i++) {
      assertThat(held.get(i).toArray()).isEqualTo(content(all.get(i).id(), 0, MIB).toArray());
      held.get(i).release();
    }
    for (int pass = 0; pass < 2; pass++) {
      others.forEach(each -> read(each, 0, MIB));
    }
    assertThat(readsOf(() -> others.forEach(each -> read(each, 0, MIB)))).isZero();
  }

  @Test
  void aDiskThatFailsLosesNoRoom() {
    List<StoredChunk> all = chunks(LARGE, MIB);
    all.forEach(each -> read(each, 0, MIB));
    broken.set(true);
    for (StoredChunk each : all) {
      assertThatThrownBy(() -> read(each, 0, MIB)).hasMessageContaining("broken");
    }
    broken.set(false);
    for (int pass = 0; pass < 2; pass++) {
      all.forEach(each -> read(each, 0, MIB));
    }
    assertThat(readsOf(() -> all.forEach(each -> read(each, 0, MIB)))).isZero();
  }

  @Test
  void smallChunksHaveBuffersOfTheirOwn() {
    List<StoredChunk> all = chunks(8, 100_000);
    for (int pass = 0; pass < 2; pass++) {
      all.forEach(each -> read(each, 0, 100_000));
    }
    assertThat(readsOf(() -> all.forEach(each -> read(each, 17, 99_000)))).isZero();
    assertThat(tier.heldBytes()).isEqualTo(800_000);
  }

  @Test
  void withoutMemoryEveryReadIsTheVolumes() {
    var none = new MemoryTier(env, 0);
    StoredChunk chunk = chunk(1, 1000);
    for (int i = 0; i < 3; i++) {
      none.read(volume, chunk, 0, 1000, pool).release();
    }
    assertThat(reads.get()).isEqualTo(3);
    assertThat(none.heldBytes()).isZero();
  }

  @Test
  void anyNumberOfReadersAtOnceReadTheRightBytesAndLeaveNothingBehind() throws Exception {
    List<StoredChunk> all = chunks(3 * LARGE, MIB);
    var wrong = new AtomicInteger();
    var threads = new ArrayList<Thread>();
    for (int t = 0; t < 8; t++) {
      var random = new Random(t);
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                for (int i = 0; i < 500; i++) {
                  // Some are read far more often than others.
                  StoredChunk chunk =
                      all.get(Math.min(random.nextInt(3 * LARGE), random.nextInt(3 * LARGE)));
                  int offset = random.nextInt(MIB - 100);
                  Bytes bytes = tier.read(volume, chunk, offset, 100, pool);
                  if (bytes.crc32c() != content(chunk.id(), offset, 100).crc32c()) {
                    wrong.incrementAndGet();
                  }
                  bytes.release();
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertThat(wrong.get()).isZero();
    assertThat(tier.hits()).isPositive();
    assertThat(tier.heldBytes()).isEqualTo((long) LARGE * MIB);
    assertThat(pool.available()).isEqualTo(pool.count());
    // Nothing is in a reader's hands any more: all room can be had.
    assertThat(
            readsOf(() -> {
              for (int pass = 0; pass < 3; pass++) {
                all.subList(0, LARGE).forEach(each -> read(each, 0, MIB));
              }
            }))
        .isLessThanOrEqualTo(2 * LARGE);
  }
}
