package io.forebay.sim.check;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.namespace.FlushKind;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.ToLongFunction;

/**
 * A moment in the flush of a key or two: the namespace, the store, what is on its way, and what
 * everybody remembers. Ids are numbers as {@link Namespaces} gives them, 0 those that it has
 * forgotten. An ETag is a number, too: its content times 8, and how often that was written; 0 is
 * none.
 *
 * @param cached chunks that the cache still has, by bit
 * @param written how often each content was written, three bits each
 * @param named ETags that somebody said keep or take about, by bit
 * @param touched keys that somebody else wrote or deleted in the store, by bit
 * @param ruined contents that somebody else overwrote or deleted in the store, by bit: nobody
 *     answers for these
 * @param broken a promise that a step broke; empty: none
 */
@SuppressWarnings("EnumOrdinal") // codes never leave the process
record FlushMoment(
    int names,
    List<Thing> store,
    List<Part> parts,
    List<Send> flying,
    List<Sender> senders,
    int cached,
    int written,
    long named,
    int touched,
    int ruined,
    Reader reader,
    Decision decision,
    Left left,
    String broken) {
  private static final int ID_BITS = 7;
  private static final int ETAG_BITS = 6;

  /** Written once and again, a content has so many ETags less one. */
  static final int WRITES = 8;

  FlushMoment {
    store = List.copyOf(store);
    parts = sorted(parts, Part::code);
    flying = sorted(flying, Send::code);
    senders = sorted(senders, Sender::code);
  }

  private static <T> List<T> sorted(List<T> all, ToLongFunction<T> code) {
    if (all.size() < 2) {
      return List.copyOf(all);
    }
    var sorted = new ArrayList<>(all);
    sorted.sort(Comparator.comparingLong(code));
    return List.copyOf(sorted);
  }

  /** What the store holds under a key. */
  record Thing(int etag, int generation, int attempt, boolean theirs) {
    static final Thing NONE = new Thing(0, 0, 0, false);

    boolean exists() {
      return etag != 0;
    }

    int content() {
      return etag / WRITES;
    }

    long code() {
      return ((long) etag << ID_BITS | generation) << (ID_BITS + 1)
          | attempt << 1
          | (theirs ? 1 : 0);
    }

    Thing after(Namespaces.Applied step) {
      return new Thing(etag, step.now(generation), step.now(attempt), theirs);
    }
  }

  /** A staged part, under the name that its attempt gave it. */
  record Part(int key, int generation, int attempt, int number, int content) {
    long code() {
      return (((((long) key << ID_BITS | generation) << ID_BITS) | attempt) << 2 | number) << 3
          | content;
    }

    Part after(Namespaces.Applied step) {
      return new Part(key, step.now(generation), step.now(attempt), number, content);
    }
  }

  /**
   * An attempt as its sender knows it; also a request of it.
   *
   * @param condition ETag of If-Match; 0: If-None-Match
   * @param from key that the bytes are referred to in
   * @param fromEtag 0: they are in the chunk
   * @param part that is staged; 0: all of it, or the commit
   * @param over whether the sender knows that its lease is over
   */
  record Send(
      int key,
      FlushKind kind,
      int attempt,
      int generation,
      int condition,
      int content,
      int chunk,
      int from,
      int fromEtag,
      int part,
      boolean over) {
    long code() {
      long code = (long) key << 2 | kind.ordinal();
      code = code << ID_BITS | attempt;
      code = code << ID_BITS | generation;
      code = code << ETAG_BITS | condition;
      code = code << 3 | content;
      code = code << 3 | chunk;
      code = code << 1 | from;
      code = code << ETAG_BITS | fromEtag;
      code = code << 2 | part;
      return code << 1 | (over ? 1 : 0);
    }

    Send after(Namespaces.Applied step) {
      return with(kind, step.now(attempt), step.now(generation), part, over);
    }

    Send as(FlushKind other) {
      return with(other, attempt, generation, part, over);
    }

    Send part(int next) {
      return with(kind, attempt, generation, next, over);
    }

    Send over(boolean is) {
      return with(kind, attempt, generation, part, is);
    }

    private Send with(
        FlushKind newKind, int newAttempt, int newGeneration, int newPart, boolean isOver) {
      return new Send(
          key,
          newKind,
          newAttempt,
          newGeneration,
          condition,
          content,
          chunk,
          from,
          fromEtag,
          newPart,
          isOver);
    }
  }

  /** What a node's flusher is at; it takes up one key at a time. */
  sealed interface Sender {
    long code();

    default Sender after(Namespaces.Applied step, List<String> keys) {
      return switch (this) {
        case Idle idle -> idle;
        case Saw saw ->
            new Saw(
                saw.key,
                saw.resolve,
                saw.current && !step.moved().contains(keys.get(saw.key)),
                saw.head.after(step),
                saw.landed);
        case Sending s -> new Sending(s.send.after(step));
        case Waiting s -> new Waiting(s.send.after(step));
        case Turned s -> new Turned(s.send.after(step));
        case Done s -> new Done(s.send.after(step), s.etag);
        case Failed s -> new Failed(s.send.after(step), s.why);
        case Unclear s -> new Unclear(s.send.after(step));
      };
    }

    /** Its attempt, if it has one. */
    default Optional<Send> sent() {
      return switch (this) {
        case Idle idle -> Optional.empty();
        case Saw saw -> Optional.empty();
        case Sending s -> Optional.of(s.send);
        case Waiting s -> Optional.of(s.send);
        case Turned s -> Optional.of(s.send);
        case Done s -> Optional.of(s.send);
        case Failed s -> Optional.of(s.send);
        case Unclear s -> Optional.of(s.send);
      };
    }

    /** The same once its lease is over. */
    default Sender over() {
      return switch (this) {
        case Idle idle -> idle;
        case Saw saw -> saw;
        case Sending s -> new Sending(s.send.over(true));
        case Waiting s -> new Waiting(s.send.over(true));
        case Turned s -> new Turned(s.send.over(true));
        case Done s -> s;
        case Failed s -> s;
        case Unclear s -> s;
      };
    }

    private static long code(int phase, Send send) {
      return phase | send.code() << 3;
    }
  }

  /** Has nothing to do. */
  record Idle() implements Sender {
    @Override
    public long code() {
      return 0;
    }
  }

  /**
   * Has read the record and then looked at the store.
   *
   * @param current whether the record still has the version that was read
   * @param landed how many attempts could no longer land when it looked
   */
  record Saw(int key, boolean resolve, boolean current, Thing head, int landed) implements Sender {
    @Override
    public long code() {
      long code = head.code() << 4 | landed;
      return ((code << 1 | key) << 2 | (resolve ? 2 : 0) | (current ? 1 : 0)) << 3 | 1;
    }
  }

  /** Is about to send. */
  record Sending(Send send) implements Sender {
    @Override
    public long code() {
      return Sender.code(2, send);
    }
  }

  /** Waits for the store's answer. */
  record Waiting(Send send) implements Sender {
    @Override
    public long code() {
      return Sender.code(3, send);
    }
  }

  /** A copy was refused, and it is to find out by whose fault. */
  record Turned(Send send) implements Sender {
    @Override
    public long code() {
      return Sender.code(4, send);
    }
  }

  /** The store has done it. */
  record Done(Send send, int etag) implements Sender {
    @Override
    public long code() {
      return Sender.code(5, send) | (long) etag << 50;
    }
  }

  /** It did not happen and cannot happen any more. */
  record Failed(Send send, ErrorCode why) implements Sender {
    Failed {
      if (why.ordinal() >= 64) {
        throw new IllegalArgumentException(why + " takes more than six bits");
      }
    }

    @Override
    public long code() {
      return Sender.code(6, send) | (long) why.ordinal() << 50;
    }
  }

  /** It may have happened, or may still. */
  record Unclear(Send send) implements Sender {
    @Override
    public long code() {
      return Sender.code(7, send);
    }
  }

  /** Somebody who has a flushed generation open. */
  record Reader(int key, int etag) {
    static final Reader NOBODY = new Reader(0, 0);
  }

  /**
   * What a user has seen of a conflict.
   *
   * @param generation ours; 0: a deletion
   * @param seen theirs; 0: a deletion
   * @param open whether the user is still to say something
   */
  record Decision(int key, int generation, int seen, boolean open) {
    static final Decision NONE = new Decision(0, 0, 0, false);
  }

  /** How often things may still happen. */
  record Left(int publishes, int deletes, int moves, int faults, int others, int readers) {
    Left published() {
      return new Left(publishes - 1, deletes, moves, faults, others, readers);
    }

    Left deleted() {
      return new Left(publishes, deletes - 1, moves, faults, others, readers);
    }

    Left moved() {
      return new Left(publishes, deletes, moves - 1, faults, others, readers);
    }

    Left failed() {
      return new Left(publishes, deletes, moves, faults - 1, others, readers);
    }

    Left disturbed() {
      return new Left(publishes, deletes, moves, faults, others - 1, readers);
    }

    Left opened() {
      return new Left(publishes, deletes, moves, faults, others, readers - 1);
    }
  }

  void encode(ByteBuffer out) {
    out.putInt(names);
    for (Thing thing : store) {
      out.putInt((int) thing.code());
    }
    out.put((byte) parts.size());
    for (Part part : parts) {
      out.putInt((int) part.code());
    }
    out.put((byte) flying.size());
    for (Send send : flying) {
      out.putLong(send.code());
    }
    for (Sender sender : senders) {
      out.putLong(sender.code());
    }
    out.putInt(written).putLong(named);
    out.put((byte) cached).put((byte) touched).put((byte) ruined);
    out.put((byte) reader.key).put((byte) reader.etag);
    out.put((byte) (decision.key << 1 | (decision.open ? 1 : 0)));
    out.put((byte) decision.generation).put((byte) decision.seen);
    out.put((byte) (left.publishes << 4 | left.deletes));
    out.put((byte) (left.moves << 4 | left.faults));
    out.put((byte) (left.others << 4 | left.readers));
    out.put((byte) (broken.isEmpty() ? 0 : 1));
  }

  // The same with something else.

  /** After a command: what others hold of the namespace follows it. */
  FlushMoment after(Namespaces.Applied step, List<String> keys) {
    if (!step.changed()) {
      return this;
    }
    return new FlushMoment(
        step.state(),
        store.stream().map(each -> each.after(step)).toList(),
        parts.stream().map(each -> each.after(step)).toList(),
        flying.stream().map(each -> each.after(step)).toList(),
        senders.stream().map(each -> each.after(step, keys)).toList(),
        cached,
        written,
        named,
        touched,
        ruined,
        reader,
        new Decision(
            decision.key,
            decision.generation == 0 ? 0 : gone(step.now(decision.generation)),
            decision.seen,
            decision.open),
        left,
        broken);
  }

  /** A generation that is gone is still no deletion. */
  private static int gone(int generation) {
    return generation == 0 ? GONE : generation;
  }

  /** A generation that nobody knows any more. */
  static final int GONE = (1 << ID_BITS) - 1;

  FlushMoment names(int state) {
    return new FlushMoment(
        state, store, parts, flying, senders, cached, written, named, touched, ruined, reader,
        decision, left, broken);
  }

  FlushMoment store(int key, Thing thing) {
    var changed = new ArrayList<>(store);
    changed.set(key, thing);
    return new FlushMoment(
        names, changed, parts, flying, senders, cached, written, named, touched, ruined, reader,
        decision, left, broken);
  }

  FlushMoment parts(List<Part> next) {
    return new FlushMoment(
        names, store, next, flying, senders, cached, written, named, touched, ruined, reader,
        decision, left, broken);
  }

  FlushMoment flying(Send send) {
    var more = new ArrayList<>(flying);
    more.add(send);
    return flying(more);
  }

  FlushMoment landed(Send send) {
    var less = new ArrayList<>(flying);
    less.remove(send);
    return flying(less);
  }

  private FlushMoment flying(List<Send> next) {
    return new FlushMoment(
        names, store, parts, next, senders, cached, written, named, touched, ruined, reader,
        decision, left, broken);
  }

  FlushMoment sender(int place, Sender sender) {
    var changed = new ArrayList<>(senders);
    changed.set(place, sender);
    return senders(changed);
  }

  /** The one that has nothing to do, of whom there must be one, begins. */
  FlushMoment begun(Sender sender) {
    return sender(0, sender); // idle ones come first
  }

  FlushMoment senders(List<Sender> next) {
    return new FlushMoment(
        names, store, parts, flying, next, cached, written, named, touched, ruined, reader,
        decision, left, broken);
  }

  FlushMoment cached(int next) {
    return new FlushMoment(
        names, store, parts, flying, senders, next, written, named, touched, ruined, reader,
        decision, left, broken);
  }

  FlushMoment written(int next) {
    return new FlushMoment(
        names, store, parts, flying, senders, cached, next, named, touched, ruined, reader,
        decision, left, broken);
  }

  FlushMoment named(int etag) {
    return new FlushMoment(
        names,
        store,
        parts,
        flying,
        senders,
        cached,
        written,
        named | 1L << etag,
        touched,
        ruined,
        reader,
        decision,
        left,
        broken);
  }

  /** Somebody else is about to write or delete what the store has under a key. */
  FlushMoment touched(int key) {
    return new FlushMoment(
        names,
        store,
        parts,
        flying,
        senders,
        cached,
        written,
        named,
        touched | 1 << key,
        store.get(key).exists() ? ruined | 1 << store.get(key).content() : ruined,
        reader,
        decision,
        left,
        broken);
  }

  FlushMoment reader(Reader next) {
    return new FlushMoment(
        names, store, parts, flying, senders, cached, written, named, touched, ruined, next,
        decision, left, broken);
  }

  FlushMoment decision(Decision next) {
    return new FlushMoment(
        names, store, parts, flying, senders, cached, written, named, touched, ruined, reader, next,
        left, broken);
  }

  FlushMoment left(Left next) {
    return new FlushMoment(
        names, store, parts, flying, senders, cached, written, named, touched, ruined, reader,
        decision, next, broken);
  }

  FlushMoment broken(String what) {
    return new FlushMoment(
        names, store, parts, flying, senders, cached, written, named, touched, ruined, reader,
        decision, left, what);
  }
}
