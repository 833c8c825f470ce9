package io.forebay.sim.check;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.id.BucketId;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.FlushRecord.Attempt;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;

/**
 * The states of a namespace shard, each known by a number: production's state machine is asked once
 * for each command in each state, on a map that is loaded for that, and remembered.
 *
 * <p>What only grows is named anew after each command, so that states with the same future are the
 * same: ids (by their order among those that the rows still mention) and versions of flush records
 * (the present one is {@link #VERSION}; no other ever comes back). What others hold of a state has
 * to follow: {@link Applied#now} and {@link Applied#moved}. What nobody asks any more is forgotten:
 * leases of unresolved attempts, and failures, since pauses take no time here.
 *
 * <p>Wall time stands still at {@link #NOW}; that a moment has come is told by {@link #passed}. The
 * layout of the rows that are touched here is that of docs/formats/namespace.md.
 */
final class Namespaces {
  /** Wall milliseconds of all that happens. */
  static final long NOW = 1_000_000;

  /** The version of every flush record. */
  static final long VERSION = 1;

  /** No record ever has it. */
  static final long STALE = 0;

  // The bytes of no text, and of no other number here, begin like the shard's ids.
  private static final int SHARD = 0x7EFE;
  private static final long FIRST = (long) SHARD << 48;
  private static final int ID_BYTES = 8;
  private static final byte FLUSH = 0x08;
  private static final byte QUEUE = 0x09;
  private static final int BEFORE_KEY = 9;

  /** As in {@code Rows}. */
  record FlushRow(FlushRecord record, long queuedMillis) {}

  private record Question(int state, long millis, Object what) {}

  /**
   * What a command led to.
   *
   * @param result with ids as the machine gave them: {@link #now} says what they are called
   * @param changed whether the state is another one
   * @param ids as they were called, in order; empty: all kept their names
   * @param moved keys whose flush record has another version, or has come or gone
   */
  record Applied(
      int state, NamespaceResult result, boolean changed, List<Long> ids, List<String> moved) {
    /** What an id of before is called now; 0 when the shard does not know it any more. */
    int now(int number) {
      return number == 0 ? 0 : now(id(number));
    }

    /** What an id in the result is called. */
    int now(long id) {
      if (ids.isEmpty()) {
        return number(id);
      }
      int place = Collections.binarySearch(ids, id);
      return place < 0 ? 0 : place + 1;
    }
  }

  private final boolean renames;
  private final NamespaceMachine machine = new NamespaceMachine(SHARD);
  private final List<byte[]> states = new ArrayList<>();
  // Looked up, never iterated.
  private final Map<ByteBuffer, Integer> numbers = new HashMap<>();
  private final Map<Question, Applied> applied = new HashMap<>();
  private final Map<Question, NamespaceAnswer> answers = new HashMap<>();
  private final Map<Question, Integer> passed = new HashMap<>();

  /**
   * @param renames whether what only grows is named anew; else everything keeps its name
   */
  Namespaces(boolean renames) {
    this.renames = renames;
  }

  /** The shard before its first command. */
  int empty() {
    return number(new TreeMap<>(Arrays::compareUnsigned));
  }

  /** How many there are. */
  int size() {
    return states.size();
  }

  /** The id that a number stands for. */
  static long id(int number) {
    return FIRST | number;
  }

  /** The number of an id that an answer names. */
  static int number(long id) {
    return (int) (id - FIRST);
  }

  Applied apply(int state, NamespaceCommand command) {
    return apply(state, NOW, command);
  }

  Applied apply(int state, long wallMillis, NamespaceCommand command) {
    var question = new Question(state, wallMillis, command);
    Applied known = applied.get(question);
    if (known == null) {
      known = ask(state, wallMillis, command);
      applied.put(question, known);
    }
    return known;
  }

  private Applied ask(int state, long wallMillis, NamespaceCommand command) {
    MemorySortedMap map = load(state);
    var batch = new Batch();
    NamespaceResult result;
    try (SortedMap.View view = map.view()) {
      result = machine.apply(1, wallMillis, Level.NEWEST, command, batch, view);
    }
    if (batch.changes().isEmpty()) {
      return new Applied(state, result, false, List.of(), List.of());
    }
    NavigableMap<byte[], byte[]> before = rows(state);
    map.write(batch);
    NavigableMap<byte[], byte[]> after = rows(map);
    if (!renames) {
      return new Applied(number(after), result, true, List.of(), List.of());
    }
    List<String> moved = versions(before, after);
    List<Long> ids = ids(after);
    return new Applied(number(renamed(after, ids)), result, true, ids, moved);
  }

  NamespaceAnswer query(int state, NamespaceQuery query) {
    var question = new Question(state, NOW, query);
    NamespaceAnswer known = answers.get(question);
    if (known == null) {
      try (SortedMap.View view = load(state).view()) {
        known = machine.query(view, query);
      }
      answers.put(question, known);
    }
    return known;
  }

  /**
   * A moment that a key waits for has come.
   *
   * @param millis that moment; a place in the queue that waits for it is reached, too
   * @param change the same for the record, always the same one for a moment
   */
  int passed(
      int state, BucketId bucket, String key, long millis, UnaryOperator<FlushRecord> change) {
    return passed.computeIfAbsent(
        new Question(state, millis, key),
        question -> {
          NavigableMap<byte[], byte[]> rows = rows(state);
          byte[] name = key.getBytes(StandardCharsets.UTF_8);
          byte[] at =
              ByteBuffer.allocate(BEFORE_KEY + name.length)
                  .put(FLUSH)
                  .putLong(bucket.value())
                  .put(name)
                  .array();
          FlushRow row =
              RecordCodec.of(FlushRow.class).decode(Objects.requireNonNull(rows.get(at)));
          long queued = row.queuedMillis();
          if (queued == millis) {
            rows.remove(queue(queued, at));
            queued = NOW;
            rows.put(queue(queued, at), new byte[0]);
          }
          rows.put(
              at,
              RecordCodec.of(FlushRow.class)
                  .encode(new FlushRow(change.apply(row.record()), queued)));
          return number(rows);
        });
  }

  private static byte[] queue(long millis, byte[] flushKey) {
    return ByteBuffer.allocate(flushKey.length + Long.BYTES)
        .put(QUEUE)
        .putLong(millis)
        .put(flushKey, 1, flushKey.length - 1)
        .array();
  }

  /** Gives every record {@link #VERSION}; returns whose was another. */
  private static List<String> versions(
      NavigableMap<byte[], byte[]> before, NavigableMap<byte[], byte[]> after) {
    var moved = new TreeSet<String>();
    for (byte[] key : flushes(before)) {
      if (!after.containsKey(key)) {
        moved.add(name(key));
      }
    }
    for (byte[] key : flushes(after)) {
      FlushRow row = RecordCodec.of(FlushRow.class).decode(Objects.requireNonNull(after.get(key)));
      FlushRecord record = row.record();
      if (record.version() != VERSION) {
        moved.add(name(key));
      }
      var same =
          new FlushRecord(
              VERSION,
              record.target(),
              record.dueMillis(),
              record.sinceMillis(),
              record.seen(),
              record.headNeeded(),
              record.open(),
              record.unresolved().stream().map(each -> at(each, NOW, each.landsMillis())).toList(),
              record.conflict(),
              Optional.empty());
      after.put(key, RecordCodec.of(FlushRow.class).encode(new FlushRow(same, row.queuedMillis())));
    }
    return List.copyOf(moved);
  }

  /** The attempt with other times. */
  static Attempt at(Attempt attempt, long leaseMillis, long landsMillis) {
    return new Attempt(
        attempt.number(),
        attempt.kind(),
        attempt.generation(),
        attempt.node(),
        attempt.startedMillis(),
        leaseMillis,
        landsMillis,
        attempt.upload());
  }

  private static List<byte[]> flushes(NavigableMap<byte[], byte[]> rows) {
    return List.copyOf(rows.subMap(new byte[] {FLUSH}, true, new byte[] {QUEUE}, false).keySet());
  }

  private static String name(byte[] flushKey) {
    return new String(flushKey, BEFORE_KEY, flushKey.length - BEFORE_KEY, StandardCharsets.UTF_8);
  }

  private static List<Long> ids(NavigableMap<byte[], byte[]> rows) {
    var ids = new TreeSet<Long>();
    rows.forEach((key, value) -> {
      collect(key, ids);
      collect(value, ids);
    });
    return List.copyOf(ids);
  }

  private static boolean isId(byte[] bytes, int at) {
    return bytes[at] == (byte) (SHARD >>> 8)
        && bytes[at + 1] == (byte) SHARD
        && bytes[at + 2] == 0
        && bytes[at + 3] == 0;
  }

  private static void collect(byte[] bytes, Set<Long> ids) {
    for (int at = 0; at + ID_BYTES <= bytes.length; at++) {
      if (isId(bytes, at)) {
        ids.add(ByteBuffer.wrap(bytes).getLong(at));
      }
    }
  }

  private static NavigableMap<byte[], byte[]> renamed(
      NavigableMap<byte[], byte[]> rows, List<Long> ids) {
    var renamed = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    rows.forEach((key, value) -> renamed.put(renamed(key, ids), renamed(value, ids)));
    return renamed;
  }

  private static byte[] renamed(byte[] bytes, List<Long> ids) {
    ByteBuffer copy = ByteBuffer.wrap(bytes.clone());
    for (int at = 0; at + ID_BYTES <= bytes.length; at++) {
      if (isId(bytes, at)) {
        copy.putLong(at, id(Collections.binarySearch(ids, copy.getLong(at)) + 1));
      }
    }
    return copy.array();
  }

  private int number(NavigableMap<byte[], byte[]> rows) {
    int length =
        rows.entrySet().stream().mapToInt(e -> e.getKey().length + e.getValue().length).sum();
    ByteBuffer bytes = ByteBuffer.allocate(length + rows.size() * 2 * Short.BYTES);
    rows.forEach((key, value) ->
        bytes.putShort((short) key.length).put(key).putShort((short) value.length).put(value));
    bytes.flip();
    Integer known = numbers.putIfAbsent(bytes, states.size());
    if (known != null) {
      return known;
    }
    states.add(bytes.array());
    return states.size() - 1;
  }

  private NavigableMap<byte[], byte[]> rows(int state) {
    var rows = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    ByteBuffer bytes = ByteBuffer.wrap(states.get(state));
    while (bytes.hasRemaining()) {
      byte[] key = new byte[bytes.getShort()];
      bytes.get(key);
      byte[] value = new byte[bytes.getShort()];
      bytes.get(value);
      rows.put(key, value);
    }
    return rows;
  }

  private static NavigableMap<byte[], byte[]> rows(MemorySortedMap map) {
    var rows = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    try (SortedMap.View view = map.view()) {
      view.scan(
          new byte[] {0},
          new byte[] {(byte) 0xff},
          (key, value) -> {
            rows.put(key, value);
            return true;
          });
    }
    return rows;
  }

  private MemorySortedMap load(int state) {
    var batch = new Batch();
    rows(state).forEach(batch::put);
    var map = new MemorySortedMap();
    map.write(batch);
    return map;
  }
}
