package io.forebay.control.rocks;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pictures of the map, and the decoded values that it remembers, while it is written. */
final class RocksSortedMapTest {
  private static final byte[] ONE = bytes("one");
  private static final byte[] OTHER = bytes("other");
  private static final byte[] SOMETIMES = bytes("sometimes");

  @TempDir Path directory;

  @Test
  void aValueIsDecodedOnceUntilItIsWritten() {
    var decoded = new AtomicInteger();
    try (var map = new RocksSortedMap(directory)) {
      map.write(batch(7));
      for (int i = 0; i < 3; i++) {
        Optional<Long> read =
            map.read(view ->
                view.get(
                    ONE,
                    value -> {
                      decoded.incrementAndGet();
                      return number(value);
                    }));
        assertThat(read).contains(7L);
      }
      assertThat(decoded.get()).isEqualTo(1);
      map.write(batch(8));
      assertThat(read(map, ONE)).contains(8L);
    }
  }

  @Test
  void anOldPictureNeitherSeesNorLeavesWhatOthersRemember() {
    try (var map = new RocksSortedMap(directory)) {
      map.write(batch(1));
      try (SortedMap.View old = map.view()) {
        map.write(batch(2));
        assertThat(read(map, ONE)).contains(2L);
        assertThat(number(old, ONE)).contains(1L);
        assertThat(number(old, OTHER)).contains(1L);
        assertThat(read(map, OTHER)).contains(2L);
      }
    }
  }

  @Test
  void aReadingWhosePictureIsGoneIsDoneAgain() {
    var readings = new AtomicInteger();
    try (var map = new RocksSortedMap(directory)) {
      map.write(batch(1));
      long sum =
          map.read(view -> {
            long one = view.get(ONE, RocksSortedMapTest::number).orElseThrow();
            if (readings.incrementAndGet() == 1) {
              map.write(batch(2));
            }
            return one + view.get(OTHER, RocksSortedMapTest::number).orElseThrow();
          });
      assertThat(sum).isEqualTo(4);
      assertThat(readings.get()).isEqualTo(2);
    }
  }

  @Test
  void picturesAreWholeAndNeverOlderThanTheirReadWhileTheMapIsWritten() throws Exception {
    var written = new AtomicLong();
    var done = new AtomicLong();
    try (var map = new RocksSortedMap(directory)) {
      map.write(batch(0));
      List<CompletableFuture<Long>> readers = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        boolean held = i == 0;
        readers.add(
            CompletableFuture.supplyAsync(
                () -> {
                  long reads = 0;
                  while (done.get() == 0) {
                    long least = written.get();
                    long seen;
                    if (held) {
                      try (SortedMap.View view = map.view()) {
                        seen = whole(view);
                      }
                    } else {
                      seen = map.read(RocksSortedMapTest::whole);
                    }
                    assertThat(seen).isGreaterThanOrEqualTo(least);
                    reads++;
                  }
                  return reads;
                },
                task -> Thread.ofPlatform().start(task)));
      }
      try {
        for (long value = 1; value <= 30_000; value++) {
          map.write(batch(value));
          written.set(value);
          if (value % 16 == 0) {
            Thread.sleep(0, 1); // for the readers to remember something
          }
        }
      } finally {
        done.set(1);
      }
      for (CompletableFuture<Long> reader : readers) {
        assertThat(reader.get()).isPositive();
      }
    }
  }

  /** What the picture holds; all of it must be of one write. */
  private static long whole(SortedMap.View view) {
    long one = view.get(ONE, RocksSortedMapTest::number).orElseThrow();
    Optional<Long> sometimes = view.get(SOMETIMES, RocksSortedMapTest::number);
    long other = view.get(OTHER, RocksSortedMapTest::number).orElseThrow();
    var scanned = new ArrayList<Long>();
    if (one % 8 == 0) {
      view.scan(
          bytes("o"),
          bytes("p"),
          (key, value) -> {
            scanned.add(number(value));
            return true;
          });
      assertThat(scanned).containsExactly(one, one);
    }
    assertThat(other).isEqualTo(one);
    assertThat(sometimes).isEqualTo(one % 2 == 0 ? Optional.of(one) : Optional.empty());
    return one;
  }

  private static Optional<Long> read(SortedMap map, byte[] key) {
    return map.read(view -> number(view, key));
  }

  private static Optional<Long> number(SortedMap.View view, byte[] key) {
    return view.get(key, RocksSortedMapTest::number);
  }

  private static Batch batch(long value) {
    var batch = new Batch();
    batch.put(ONE, ByteBuffer.allocate(8).putLong(value).array());
    batch.put(OTHER, ByteBuffer.allocate(8).putLong(value).array());
    if (value % 2 == 0) {
      batch.put(SOMETIMES, ByteBuffer.allocate(8).putLong(value).array());
    } else {
      batch.remove(SOMETIMES);
    }
    return batch;
  }

  private static long number(byte[] value) {
    return ByteBuffer.wrap(value).getLong();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
