package io.forebay.core.log;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Each command once, whatever is sent again, and answers for as long as somebody may ask. */
final class LoggedMachineTest {
  private static final RecordCodec<Submission.Entry> ENTRIES =
      RecordCodec.of(Submission.Entry.class);
  private static final RecordCodec<Submission.Answers> ANSWERS =
      RecordCodec.of(Submission.Answers.class);
  private static final byte[] COUNT = {1};

  private final MemorySortedMap map = new MemorySortedMap();
  private final LoggedMachine machine = new LoggedMachine(new Counting());
  private long index;

  /** Answers with how many commands have been applied, this one too. */
  private static final class Counting implements Commands {
    @Override
    public byte[] apply(
        long position, long wallMillis, int level, byte[] command, SortedMap.View in, Batch out) {
      long count = in.get(COUNT, value -> ByteBuffer.wrap(value).getLong()).orElse(0L) + 1;
      byte[] bytes = ByteBuffer.allocate(Long.BYTES).putLong(count).array();
      out.put(COUNT, bytes);
      return bytes.clone();
    }

    @Override
    public int check(byte[] command) {
      return Level.FIRST;
    }

    @Override
    public byte[] query(SortedMap.View in, byte[] query) {
      return new byte[0];
    }
  }

  private List<Optional<Long>> apply(Submission... submissions) {
    return apply(1, submissions);
  }

  private List<Optional<Long>> apply(long wallMillis, Submission... submissions) {
    var batch = new Batch();
    byte[] answers;
    try (SortedMap.View view = map.view()) {
      answers =
          machine.apply(
              1,
              ++index,
              ENTRIES.encode(new Submission.Entry(wallMillis, List.of(submissions))),
              view,
              batch);
    }
    map.write(batch);
    return ANSWERS.decode(answers).answers().stream()
        .map(answer ->
            answer.length == 0
                ? Optional.<Long>empty()
                : Optional.of(ByteBuffer.wrap(answer).getLong()))
        .toList();
  }

  private static Submission of(long client, long sequence, long answeredBelow) {
    return new Submission(client, sequence, answeredBelow, new byte[] {9});
  }

  private List<Long> kept(long client) {
    var sequences = new ArrayList<Long>();
    try (SortedMap.View view = map.view()) {
      view.scan(
          ByteBuffer.allocate(9).put((byte) 0xF0).putLong(client).array(),
          ByteBuffer.allocate(9).put((byte) 0xF0).putLong(client + 1).array(),
          (key, value) -> sequences.add(ByteBuffer.wrap(key).getLong(9)));
    }
    return sequences;
  }

  @Test
  void whatIsSentAgainIsAnsweredAgainAndNotApplied() {
    assertThat(apply(of(1, 1, 1), of(1, 2, 1))).containsExactly(Optional.of(1L), Optional.of(2L));
    assertThat(apply(of(1, 2, 1), of(1, 1, 1), of(1, 3, 1), of(1, 3, 1)))
        .containsExactly(Optional.of(2L), Optional.of(1L), Optional.of(3L), Optional.of(3L));
  }

  @Test
  void commandsThatOvertakeEachOtherAreAppliedOnceEach() {
    assertThat(apply(of(1, 5, 3))).containsExactly(Optional.of(1L));
    assertThat(apply(of(1, 3, 3), of(1, 4, 3), of(1, 5, 3)))
        .containsExactly(Optional.of(2L), Optional.of(3L), Optional.of(1L));
    assertThat(apply(of(1, 3, 3))).containsExactly(Optional.of(2L));
  }

  @Test
  void answersThatTheirClientHasAreForgottenAndLateDuplicatesDoNothing() {
    apply(of(1, 1, 1), of(1, 2, 1), of(1, 3, 1), of(2, 1, 1));
    apply(of(1, 4, 3));
    assertThat(kept(1)).containsExactly(3L, 4L);
    assertThat(kept(2)).containsExactly(1L);
    assertThat(apply(of(1, 2, 1))).containsExactly(Optional.empty());
    assertThat(apply(of(2, 2, 2))).containsExactly(Optional.of(6L));
    assertThat(kept(2)).containsExactly(2L);
  }

  @Test
  void aClientThatIsFarAheadCostsNoMoreThanWhatItLeft() {
    apply(of(1, 1, 1), of(1, 2, 1));
    apply(of(1, Long.MAX_VALUE - 1, Long.MAX_VALUE - 1));
    assertThat(kept(1)).containsExactly(Long.MAX_VALUE - 1);
  }

  /** A new leader's clock may be hours ahead, and a client be waiting for its answer just then. */
  @Test
  void aLeapOfTheClockForgetsNobodyAtOnce() {
    raise();
    long begin = 1_000_000_000L;
    apply(begin, of(1, 1, 1));
    long later = begin + 7_200_000;
    apply(later, of(2, 1, 1));
    assertThat(apply(later + 10_000, of(1, 1, 1))).containsExactly(Optional.of(1L));
    apply(later + 30_000, of(2, 2, 2));
    apply(later + 61_000, of(2, 3, 3));
    assertThat(kept(1)).as("silent for an hour, and not waiting any more").isEmpty();
  }

  /** As the cluster's log, where nothing happens for hours: each entry looks like a leap. */
  @Test
  void aLogThatIsWrittenRarelyForgetsToo() {
    raise();
    long hour = 3_600_000;
    apply(hour, of(1, 1, 1));
    apply(2 * hour, of(2, 1, 1));
    apply(4 * hour, of(2, 2, 2));
    assertThat(kept(1)).as("an hour and no more when there was the entry before").hasSize(1);
    apply(5 * hour, of(2, 3, 3));
    assertThat(kept(1)).isEmpty();
  }

  private void raise() {
    var raise = new Batch();
    raise.put(
        new byte[] {(byte) 0xF4}, ByteBuffer.allocate(Integer.BYTES).putInt(Level.NEWEST).array());
    map.write(raise);
  }

  @Test
  void rowsOfAnOlderVersionAreUnderstood() {
    apply(of(1, 1, 1), of(1, 2, 1));
    var older = new Batch();
    byte[] row = ByteBuffer.allocate(9).put((byte) 0xF1).putLong(1).array();
    older.put(row, ByteBuffer.allocate(16).putLong(1).putLong(1).array());
    map.write(older);
    assertThat(apply(of(1, 2, 1), of(1, 3, 3))).containsExactly(Optional.of(2L), Optional.of(3L));
    assertThat(kept(1)).containsExactly(3L);
    assertThat(apply(of(1, 3, 3))).containsExactly(Optional.of(3L));
  }

  @Test
  void aWalkOfRetriesAgreesWithARememberingModel() {
    var random = new Random(11);
    Map<String, Long> answered = new HashMap<>();
    Map<Long, TreeSet<Long>> outstanding = new HashMap<>();
    Map<Long, Long> next = new HashMap<>();
    long count = 0;
    for (int step = 0; step < 4_000; step++) {
      long client = random.nextInt(3);
      TreeSet<Long> open = outstanding.computeIfAbsent(client, any -> new TreeSet<>());
      if (open.size() < 8 && (open.isEmpty() || random.nextBoolean())) {
        long fresh = next.merge(client, 1L, Long::sum);
        open.add(fresh);
        if (random.nextInt(10) == 0) {
          continue; // it is lost on its way, and sent again one day
        }
      }
      var all = new ArrayList<>(open);
      long sequence = all.get(random.nextInt(all.size()));
      Optional<Long> answer = apply(of(client, sequence, open.first())).getFirst();
      String name = client + "/" + sequence;
      if (!answered.containsKey(name)) {
        answered.put(name, ++count);
      }
      assertThat(answer).contains(answered.get(name));
      if (random.nextInt(3) == 0) {
        open.remove(sequence); // its client has the answer
      }
    }
    assertThat(count).isGreaterThan(500);
    for (long client = 0; client < 3; client++) {
      long last = next.get(client) + 1;
      apply(of(client, last, last));
      assertThat(kept(client)).containsExactly(last);
    }
  }
}
