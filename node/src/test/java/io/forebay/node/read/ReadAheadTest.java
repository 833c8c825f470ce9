package io.forebay.node.read;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ReadAheadTest {
  private static final long SEED = 7;
  private static final int MIB = 1 << 20;

  private final TestEnv env = new TestEnv();
  private final AtomicLong fetchedBytes = new AtomicLong();
  private final ReadMemory memory = new ReadMemory(env, 8);

  @AfterEach
  void stop() {
    awaitFree();
    env.close();
  }

  private Bytes fetch(long offset, int length) {
    fetchedBytes.addAndGet(length);
    return new Synthetic(SEED, offset, length);
  }

  private static void check(ReadAhead reader, long offset, int length) {
    for (int done = 0; done < length; ) {
      Bytes bytes = reader.read(offset + done, length - done);
      assertThat(bytes.crc32c())
          .as("bytes at %d", offset + done)
          .isEqualTo(new Synthetic(SEED, offset + done, bytes.length()).crc32c());
      done += bytes.length();
      bytes.release();
    }
  }

  @Test
  void requestsThatOvertakeEachOtherFetchEverythingOnce() {
    long length = 64L * MIB + 12_345;
    try (var reader = new ReadAhead(env, this::fetch, length, memory)) {
      var random = new Random(1);
      // Four requests are under way and arrive in any order, as those of a remote reader do.
      for (long window = 0; window < length; window += 4L * MIB) {
        List<Long> offsets = new ArrayList<>();
        for (long at = window; at < Math.min(length, window + 4L * MIB); at += MIB) {
          offsets.add(at);
        }
        // The first of all begins the reading ahead.
        Collections.shuffle(window == 0 ? offsets.subList(1, offsets.size()) : offsets, random);
        for (long at : offsets) {
          check(reader, at, (int) Math.min(MIB, length - at));
        }
      }
    }
    assertThat(fetchedBytes.get()).isEqualTo(length);
  }

  @Test
  void aRandomReaderGetsWhatItAsksForAndNoMore() {
    try (var reader = new ReadAhead(env, this::fetch, 64L * MIB, memory)) {
      for (int i = 20; i > 0; i--) {
        check(reader, i * 2L * MIB + 17, 4_096);
      }
    }
    assertThat(fetchedBytes.get()).isEqualTo(20 * 4_096);
  }

  @Test
  void smallReadsInOrderShareASlice() {
    try (var reader = new ReadAhead(env, this::fetch, 3L * MIB, memory)) {
      for (long at = 0; at < 3L * MIB; at += 65_536) {
        check(reader, at, 65_536);
      }
    }
    assertThat(fetchedBytes.get()).isEqualTo(3L * MIB);
  }

  @Test
  void nothingIsReadOutsideOfWhatWillBeRead() {
    try (var reader = new ReadAhead(env, this::fetch, 64L * MIB, memory)) {
      long offset = 20L * MIB + 17;
      reader.expect(offset, offset + 8L * MIB);
      check(reader, offset, 8 * MIB);
      assertThat(fetchedBytes.get()).isEqualTo(8L * MIB);
      reader.expect(0, 128 << 10);
      check(reader, 0, 128 << 10);
      assertThat(fetchedBytes.get()).isEqualTo(8L * MIB + (128 << 10));
      // Whoever reads on all the same gets what is there.
      check(reader, 128 << 10, 3 * MIB);
    }
  }

  @Test
  void readersThatReadAheadLeaveRoomForReadersToCome() {
    try (var first = new ReadAhead(env, this::fetch, 64L * MIB, memory);
        var second = new ReadAhead(env, this::fetch, 64L * MIB, memory);
        var third = new ReadAhead(env, this::fetch, 64L * MIB, memory)) {
      for (ReadAhead each : List.of(first, second, third)) {
        check(each, 0, MIB);
        assertThat(memory.available()).isNotNegative();
      }
    }
  }

  @Test
  void theFirstReadAsksForNoThreadWhenNothingFollows() {
    var threads = new ArrayList<Thread>();
    Thread caller = Thread.currentThread();
    try (var reader =
        new ReadAhead(
            env,
            (offset, length) -> {
              threads.add(Thread.currentThread());
              return fetch(offset, length);
            },
            1_000,
            memory)) {
      check(reader, 0, 1_000);
    }
    assertThat(threads).containsExactly(caller);
  }

  @Test
  void aReaderThatPausesHoldsNothing() {
    try (var reader = new ReadAhead(env, this::fetch, 64L * MIB, memory)) {
      check(reader, 0, 2 * MIB);
      assertThat(memory.available()).isLessThan(8);
      reader.pause();
      awaitFree();
      check(reader, 2L * MIB, 5 * MIB);
    }
  }

  @Test
  void aReaderThatIsClosedReadsNothingMoreAndHoldsNothing() {
    var reader = new ReadAhead(env, this::fetch, 64L * MIB, memory);
    check(reader, 0, MIB);
    reader.close();
    assertThatThrownBy(() -> reader.read(MIB, MIB)).isInstanceOf(IllegalStateException.class);
    awaitFree();
  }

  @Test
  void aReaderWaitsUntilAnotherHasGivenItsMemoryBack() {
    var one = new ReadMemory(env, 1);
    var late = new Outcome<Void>(env);
    try (var holder = new ReadAhead(env, this::fetch, 64L * MIB, one)) {
      check(holder, 0, MIB);
      env.spawn(
          "late",
          () -> {
            try (var reader = new ReadAhead(env, this::fetch, 64L * MIB, one)) {
              check(reader, 0, MIB);
            }
            late.complete(null);
          });
      assertThat(late.awaitUntil(env.nanoTime() + 50_000_000L)).isFalse();
      holder.pause();
      late.await();
      check(holder, MIB, MIB);
    }
    assertThat(one.available()).isEqualTo(1);
  }

  /** What was under way comes back when it has come. */
  private void awaitFree() {
    for (int i = 0; i < 500 && memory.available() < 8; i++) {
      env.sleep(10_000_000L);
    }
    assertThat(memory.available()).isEqualTo(8);
  }
}
