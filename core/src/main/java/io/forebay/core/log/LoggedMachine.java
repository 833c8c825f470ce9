package io.forebay.core.log;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.rule.Level;
import io.forebay.core.rule.Rule;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.OverlayView;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Applies entries of many submissions to the {@link Commands} of a group, each once.
 *
 * <p>Answers are kept in the map until their client has them, or has been silent for an hour: keys
 * {@code 0xF0 clientId sequence}; {@code 0xF1 clientId} holds when the client was last heard of,
 * below what its answers are gone, and the highest sequence that it has had; {@code 0xF2} holds the
 * wall time of the newest entry and of the last cleaning; {@code 0xF3} how long leases may be, and
 * is absent where there are none; {@code 0xF4} the log's {@link Level}, and is absent before it was
 * raised. Commands use keys below 0xF0.
 */
public final class LoggedMachine implements Machine {
  /** Most commands of an entry: positions are index × this + place. */
  static final int MAX_COMMANDS = 1 << 12;

  private static final byte ANSWERS = (byte) 0xF0;
  private static final byte CLIENTS = (byte) 0xF1;
  private static final byte[] CLOCK = {(byte) 0xF2};
  private static final byte[] LEASES = {(byte) 0xF3};
  private static final byte[] LEVEL = {(byte) 0xF4};
  private static final byte[] NOT_APPLIED = {};
  private static final long SILENT_MILLIS = 3_600_000;
  private static final long CLEAN_MILLIS = 60_000;
  private static final RecordCodec<Submission.Raise> ENTRIES =
      RecordCodec.of(Submission.Raise.class);
  private static final RecordCodec<Submission.Answers> ANSWER_LISTS =
      RecordCodec.of(Submission.Answers.class);

  private final Commands commands;
  private final int known;

  public LoggedMachine(Commands commands) {
    this(commands, Level.NEWEST);
  }

  /**
   * @param known the newest level that this voter knows
   */
  public LoggedMachine(Commands commands, int known) {
    this.commands = commands;
    this.known = known;
  }

  /**
   * Whether an entry is applied where the log holds it.
   *
   * @param boundTerm that it was admitted in; 0: in one whose leader gives no leases, and when the
   *     log said that there were none, so that it waited for none
   * @param term in which the log holds it
   * @param saidNanos how long leases may be, as the log says before it
   */
  public static boolean isMeantFor(long boundTerm, long term, long saidNanos) {
    return boundTerm == 0
        ? saidNanos == 0 || !Rule.V2_UNBOUND.holds()
        : boundTerm == term || !Rule.V2_TERM.holds();
  }

  /** Whether an entry's answer says that it was not meant for its place, and did nothing. */
  static boolean notApplied(byte[] answer) {
    return answer.length == 0; // an answer to submissions has their count at least
  }

  /** How long leases that are out may be, as far as this map goes; nanoseconds, 0: none are. */
  static long leaseNanos(SortedMap.View view) {
    return view.get(LEASES).map(value -> ByteBuffer.wrap(value).getLong()).orElse(0L);
  }

  /** The level of the log, as far as this map goes. */
  static int level(SortedMap.View view) {
    return view.get(LEVEL).map(value -> ByteBuffer.wrap(value).getInt()).orElse(Level.FIRST);
  }

  @Override
  public void load(SortedMap.View view) {
    requireKnown(level(view));
    commands.load(view);
  }

  private void requireKnown(int level) {
    if (level > known) {
      throw new ForebayException(
          ErrorCode.WRONG_VERSION,
          "the log is at level "
              + level
              + ", and this version of Forebay knows levels up to "
              + known
              + ": run the version that the other voters run, or a newer one");
    }
  }

  @Override
  public byte[] apply(long term, long index, byte[] entry, SortedMap.View in, Batch out) {
    Submission.Raise decoded = ENTRIES.decode(entry);
    var view = new OverlayView(in, out);
    long saidNanos = leaseNanos(view);
    if (!isMeantFor(decoded.term(), term, saidNanos)) {
      return NOT_APPLIED;
    }
    if (decoded.term() != 0 && decoded.leaseNanos() != saidNanos) {
      if (decoded.leaseNanos() == 0) {
        out.remove(LEASES);
      } else {
        out.put(LEASES, ByteBuffer.allocate(Long.BYTES).putLong(decoded.leaseNanos()).array());
      }
    }
    int before = level(view);
    int level = Math.max(before, decoded.level());
    if (level > before) {
      requireKnown(level);
      out.put(LEVEL, ByteBuffer.allocate(Integer.BYTES).putInt(level).array());
      commands.raised(before, level, view, out);
    }
    ByteBuffer clock = ByteBuffer.wrap(view.get(CLOCK).orElseGet(() -> new byte[2 * Long.BYTES]));
    // A new leader's clock may be behind the old one's; time in the log never goes back.
    long saidMillis = clock.getLong();
    long wallMillis = Math.max(saidMillis, decoded.wallMillis());
    long cleanedMillis = clock.getLong();
    if (wallMillis - cleanedMillis >= CLEAN_MILLIS) {
      // After a leap of the clock all clients look silent, and one of them may be about to send
      // again what it has no answer to: by the time of the entry before it was not, and it has
      // until the next cleaning.
      clean(view, out, level < Level.BOUNDED ? wallMillis : saidMillis);
      cleanedMillis = wallMillis;
    }
    out.put(CLOCK, ByteBuffer.allocate(16).putLong(wallMillis).putLong(cleanedMillis).array());
    var answers = new ArrayList<byte[]>();
    int place = 0;
    for (Submission submission : decoded.submissions()) {
      long position = index * MAX_COMMANDS + place++;
      answers.add(once(position, wallMillis, level, submission, view, out));
    }
    return ANSWER_LISTS.encode(new Submission.Answers(answers));
  }

  private byte[] once(
      long position,
      long wallMillis,
      int level,
      Submission submission,
      OverlayView view,
      Batch out) {
    byte[] key = answerKey(submission.clientId(), submission.sequence());
    byte[] clientKey =
        ByteBuffer.allocate(1 + Long.BYTES).put(CLIENTS).putLong(submission.clientId()).array();
    Client client = view.get(clientKey, Client::of).orElse(Client.NEW);
    if (submission.sequence() <= client.highest) {
      Optional<byte[]> before = view.get(key);
      if (before.isPresent()) {
        return before.get();
      }
    }
    if (submission.sequence() < client.forgottenBelow) {
      // A late duplicate of what its client has the answer to: nobody waits for this one.
      return new byte[0];
    }
    byte[] answer = commands.apply(position, wallMillis, level, submission.command(), view, out);
    out.put(key, answer);
    long answeredBelow = Math.max(client.forgottenBelow, submission.answeredBelow());
    long highest = Math.max(client.highest, submission.sequence());
    forget(view, out, submission.clientId(), client.forgottenBelow, answeredBelow, highest);
    out.put(clientKey, new Client(wallMillis, answeredBelow, highest).bytes());
    return answer;
  }

  /** Answers that their client has are not needed any more. */
  private static void forget(
      OverlayView view, Batch out, long clientId, long from, long below, long highest) {
    long end = Math.min(below - 1, highest) + 1;
    if (end - from <= MAX_COMMANDS) {
      // Without a look for which there are: a scan costs more than removing what may be gone.
      for (long sequence = from; sequence < end; sequence++) {
        out.remove(answerKey(clientId, sequence));
      }
    } else {
      keys(view, answerKey(clientId, from), answerKey(clientId, end)).forEach(out::remove);
    }
  }

  /**
   * What is known of a client.
   *
   * @param wallMillis when it was last heard of
   * @param forgottenBelow answers to lower sequences are gone
   * @param highest sequence of its that was applied
   */
  private record Client(long wallMillis, long forgottenBelow, long highest) {
    static final Client NEW = new Client(0, 0, 0);

    static Client of(byte[] bytes) {
      ByteBuffer in = ByteBuffer.wrap(bytes);
      // Rows of an older version end before the highest, so that each sequence is looked for.
      return new Client(
          in.getLong(), in.getLong(), in.hasRemaining() ? in.getLong() : Long.MAX_VALUE);
    }

    byte[] bytes() {
      return ByteBuffer.allocate(3 * Long.BYTES)
          .putLong(wallMillis)
          .putLong(forgottenBelow)
          .putLong(highest)
          .array();
    }
  }

  private static void clean(OverlayView view, Batch out, long wallMillis) {
    for (byte[] clientKey : keys(view, new byte[] {CLIENTS}, CLOCK)) {
      Client client = view.get(clientKey, Client::of).orElseThrow();
      if (wallMillis - client.wallMillis > SILENT_MILLIS) {
        long clientId = ByteBuffer.wrap(clientKey).getLong(1);
        keys(view, answerKey(clientId, 0), answerKey(clientId, Long.MAX_VALUE))
            .forEach(out::remove);
        out.remove(clientKey);
      }
    }
  }

  private static List<byte[]> keys(SortedMap.View view, byte[] from, byte[] to) {
    var keys = new ArrayList<byte[]>();
    view.scan(
        from,
        to,
        (key, value) -> {
          keys.add(key);
          return true;
        });
    return keys;
  }

  private static byte[] answerKey(long clientId, long sequence) {
    return ByteBuffer.allocate(1 + 2 * Long.BYTES)
        .put(ANSWERS)
        .putLong(clientId)
        .putLong(sequence)
        .array();
  }
}
