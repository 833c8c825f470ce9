package io.forebay.app.bench.evict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.app.bench.evict.Trace.Kind;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Small traces of which the right answer is known. */
final class PolicyTest {
  private static final int CHUNKS = 64;

  /** Letters are read, the chunk of capital ones is dropped. */
  private static double ratio(Policy policy, String accesses) {
    return trace(accesses).hitRatio(policy, true);
  }

  private static Trace trace(String accesses) {
    var trace = new Trace("t");
    accesses
        .chars()
        .forEach(letter ->
            trace.add(
                Character.isUpperCase(letter) ? Kind.DROP : Kind.READ,
                Character.toLowerCase(letter) - 'a'));
    return trace;
  }

  @Test
  void whatWasUsedLeastRecentlyGoes() {
    assertThat(ratio(new Recency(2, 2), "abacab")).isEqualTo(2 / 6.0); // a, a
    assertThat(ratio(new Recency(2, 1), "abacab")).isEqualTo(1 / 6.0); // both went for c
    assertThat(ratio(new Recency(2, 2), "abcabc")).isZero();
  }

  @Test
  void whatCameFirstGoes() {
    assertThat(ratio(new Arrival(2), "abacab")).isEqualTo(1 / 6.0);
  }

  @Test
  void whatWasUsedLeastOftenGoes() {
    assertThat(ratio(new Frequency(2), "aabcab")).isEqualTo(2 / 6.0);
    assertThat(ratio(new Frequency(2), "aabAccbb")).isEqualTo(4 / 7.0);
  }

  @Test
  void theSieveSparesWhatWasUsed() {
    // c takes b's place, for a was used; then the hand is at c, which d replaces.
    assertThat(ratio(new Sieve(2, CHUNKS), "abacada")).isEqualTo(3 / 7.0);
    assertThat(ratio(new Sieve(3, CHUNKS), "abcABCabc")).isZero();
  }

  @Test
  void ofThreeQueuesThoseThatAreReadOnceGoThroughTheSmallOne() {
    var policy = new ThreeQueues(10, CHUNKS);
    for (int i = 0; i < 9; i++) {
      assertThat(policy.use(i)).isFalse();
      policy.add(i);
      assertThat(policy.use(i)).isTrue();
    }
    for (int i = 20; i < 60; i++) {
      assertThat(policy.use(i)).isFalse();
      policy.add(i);
    }
    for (int i = 0; i < 9; i++) {
      assertThat(policy.use(i)).as("%s", i).isTrue();
    }
  }

  @Test
  void theFutureIsTheBound() {
    Trace loop = trace("abcabcabc");
    assertThat(loop.hitRatio(new Future(2, loop), true))
        .isEqualTo(4 / 9.0); // the newcomer gives way, too
    Trace dropped = trace("abAab");
    assertThat(dropped.hitRatio(new Future(2, dropped), true)).isEqualTo(1 / 4.0);
  }

  /** None keeps more than it may, none hits what was dropped, and none beats the future. */
  @Test
  void policiesKeepWhatTheyMayAndNotWhatWasDropped() {
    int most = 12;
    var random = new SplittableRandom(1);
    var trace = new Trace("random");
    for (int i = 0; i < 20_000; i++) {
      int chunk = Math.min(random.nextInt(CHUNKS), random.nextInt(CHUNKS));
      Kind kind = random.nextInt(20) == 0 ? Kind.DROP : Kind.READ;
      trace.add(kind, chunk);
    }
    double best = trace.hitRatio(new Future(most, trace), true);
    Stream.<IntFunction<Policy>>of(
            size -> new Recency(size, size),
            size -> new Recency(size, size / 2),
            Arrival::new,
            Frequency::new,
            size -> new Sieve(size, CHUNKS),
            size -> new ThreeQueues(size, CHUNKS),
            TinyLfu::new)
        .forEach(make -> {
          Policy policy = make.apply(most);
          String name = policy.getClass().getSimpleName();
          var alive = new HashSet<Integer>();
          for (int i = 0; i < trace.length(); i++) {
            int chunk = trace.chunk(i);
            if (trace.kind(i) == Kind.DROP) {
              policy.drop(chunk);
              alive.remove(chunk);
            } else if (!policy.use(chunk)) {
              policy.add(chunk);
              alive.add(chunk);
            } else {
              assertThat(alive).as(name).contains(chunk);
            }
          }
          int kept = 0;
          for (int chunk = 0; chunk < CHUNKS; chunk++) {
            kept += policy.use(chunk) ? 1 : 0;
          }
          assertThat(kept).as(name).isBetween(1, most);
          assertThat(trace.hitRatio(make.apply(most), true)).as(name).isBetween(0.1, best);
        });
  }

  @Test
  void aTraceIsReadAndAWrongLineNamed(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("t.txt");
    Files.writeString(file, "w a b\nr a b\nr c\nd c\nr c\n");
    Trace trace = Trace.read(file);
    assertThat(trace.length()).isEqualTo(5);
    assertThat(trace.footprint()).isEqualTo(2);
    assertThat(trace.hitRatio(new Recency(9, 9), true)).isEqualTo(1 / 3.0);
    assertThat(trace.hitRatio(new Recency(9, 9), false)).isEqualTo(1 / 3.0);
    Files.writeString(file, "r a\nx b\n");
    assertThatThrownBy(() -> Trace.read(file))
        .isInstanceOf(ForebayException.class)
        .hasMessageContaining("line 2");
  }

  @Test
  void whatIsMadeIsTheSameForASeed() {
    for (int i = 0; i < 5; i++) {
      Trace one = Traces.all(7).get(i);
      Trace two = Traces.all(7).get(i);
      assertThat(two.name()).isEqualTo(one.name());
      assertThat(two.hitRatio(new Recency(5_000, 5_000), true))
          .isEqualTo(one.hitRatio(new Recency(5_000, 5_000), true));
      assertThat(one.footprint()).isGreaterThan(4_000);
    }
  }
}
