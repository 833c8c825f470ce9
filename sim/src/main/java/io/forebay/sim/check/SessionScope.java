package io.forebay.sim.check;

import static io.forebay.sim.check.Namespaces.NOW;

import io.forebay.core.cluster.FlushMode;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.UploadId;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.FlushItem;
import io.forebay.core.namespace.FlushKind;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.FlushTask;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.ObjectHead;
import io.forebay.core.namespace.Preconditions;
import io.forebay.core.namespace.StoreRef;
import io.forebay.core.rule.Rule;
import io.forebay.sim.check.Namespaces.Applied;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Sessions, what they write and publish, and what a volume's collector does with it on the
 * namespace's word (rules G1 to G7, R13): production's state machine, writers whose commands are
 * late, repeated or lost, a collector whose answers are old, and a store that always serves.
 *
 * <p>What is modelled: a writer writes its chunks one after the other and publishes each, or logs
 * it as a part of an upload; it may name a chunk of an object that it has read, too. It passes
 * chunks when all before was answered (G4). Its session may be ended while it is alive.
 */
public final class SessionScope implements Scope<SessionScope.Moment> {
  /**
   * What may happen, and how often.
   *
   * @param sessions at most 2
   * @param chunks that each may write, at most 3
   * @param appends whether a publish may name a chunk of an object as well
   * @param faults deaths of writers, sessions ended under their writers, lost answers, repetitions
   * @param behind whether the collector may ask somebody who is behind
   */
  public record Bounds(
      int keys,
      int sessions,
      int chunks,
      boolean appends,
      int deletes,
      int copies,
      int uploads,
      int faults,
      boolean behind) {
    public Bounds {
      if (keys > KEYS.size() || sessions > 2 || chunks >= SEQUENCES) {
        throw new IllegalArgumentException("more than a moment has room for");
      }
    }
  }

  /**
   * What a writer knows.
   *
   * @param session its id's number; 0: none yet
   * @param written sequence of the last chunk on the volume
   * @param sent sequence of the last that was named
   * @param answered sequences of which it knows what became of them, by bit
   * @param passed sequences below were passed
   */
  record Writer(int session, int written, int sent, int answered, int passed, boolean dead) {
    static final Writer NONE = new Writer(0, 0, 0, 0, 1, false);

    /** The first sequence about which it does not know everything. */
    int mark() {
      int mark = 1;
      while ((answered >>> mark & 1) == 1) {
        mark++;
      }
      return mark;
    }
  }

  /**
   * A publish on its way to the log, or a part of the upload.
   *
   * @param base another chunk that it names; 0: none
   * @param applied how often it was
   */
  record Pending(int slot, int sequence, boolean part, int key, int base, boolean applied) {
    int code() {
      return ((slot << 2 | sequence) << 2 | (part ? 2 : 0) | (applied ? 1 : 0)) << 4
          | key << 3
          | base;
    }
  }

  /** How often things may still happen. */
  record Left(int deletes, int copies, int uploads, int faults) {
    Left deleted() {
      return new Left(deletes - 1, copies, uploads, faults);
    }

    Left copied() {
      return new Left(deletes, copies - 1, uploads, faults);
    }

    Left uploaded() {
      return new Left(deletes, copies, uploads - 1, faults);
    }

    Left failed() {
      return new Left(deletes, copies, uploads, faults - 1);
    }
  }

  /**
   * All there is.
   *
   * @param behind the namespace as somebody knows it who is behind
   * @param chunks on the volume, by bit
   * @param garbage what the collector was told is garbage, by bit
   * @param clean the same of what may go for want of room
   * @param upload number of the upload; 0: none
   * @param store content of each key, numbered; 0: none
   */
  record Moment(
      int names,
      int behind,
      List<Writer> writers,
      List<Pending> pending,
      int chunks,
      int garbage,
      int clean,
      int upload,
      List<Integer> store,
      Left left,
      String broken) {
    Moment {
      writers = List.copyOf(writers);
      var sorted = new ArrayList<>(pending);
      sorted.sort(Comparator.comparingInt(Pending::code));
      pending = List.copyOf(sorted);
      store = List.copyOf(store);
    }

    Moment names(int next) {
      return new Moment(
          next, behind, writers, pending, chunks, garbage, clean, upload, store, left, broken);
    }

    Moment behind(int next) {
      return new Moment(
          names, next, writers, pending, chunks, garbage, clean, upload, store, left, broken);
    }

    Moment writer(int slot, Writer writer) {
      var next = new ArrayList<>(writers);
      next.set(slot, writer);
      return new Moment(
          names, behind, next, pending, chunks, garbage, clean, upload, store, left, broken);
    }

    Moment with(Pending command) {
      var next = new ArrayList<>(pending);
      next.add(command);
      return pending(next);
    }

    Moment without(Pending command) {
      var next = new ArrayList<>(pending);
      next.remove(command);
      return pending(next);
    }

    private Moment pending(List<Pending> next) {
      return new Moment(
          names, behind, writers, next, chunks, garbage, clean, upload, store, left, broken);
    }

    Moment chunks(int next) {
      return new Moment(
          names, behind, writers, pending, next, garbage, clean, upload, store, left, broken);
    }

    Moment told(int garbageNow, int cleanNow) {
      return new Moment(
          names,
          behind,
          writers,
          pending,
          chunks,
          garbageNow,
          cleanNow,
          upload,
          store,
          left,
          broken);
    }

    Moment upload(int next) {
      return new Moment(
          names, behind, writers, pending, chunks, garbage, clean, next, store, left, broken);
    }

    Moment store(int key, int content) {
      var next = new ArrayList<>(store);
      next.set(key, content);
      return new Moment(
          names, behind, writers, pending, chunks, garbage, clean, upload, next, left, broken);
    }

    Moment left(Left next) {
      return new Moment(
          names, behind, writers, pending, chunks, garbage, clean, upload, store, next, broken);
    }

    Moment broken(String what) {
      return new Moment(
          names, behind, writers, pending, chunks, garbage, clean, upload, store, left, what);
    }
  }

  private static final List<String> KEYS = List.of("a", "b");
  private static final int SEQUENCES = 4; // of a slot, from 1
  private static final BucketId BUCKET = new BucketId(1);
  private static final NodeId NODE = new NodeId("n");
  private static final long GRACE = 10_000;
  private static final FlushPolicy POLICY = new FlushPolicy(FlushMode.BACK, 0, GRACE);
  private static final long BYTES = 10;
  private static final int PART = 1;

  private static final int MOST = 10_000_000;

  private static final Case.World APPENDS =
      world("publishes that name what is there", new Bounds(1, 1, 2, true, 1, 0, 0, 1, false));
  private static final Case.World COPIES =
      world("copies", new Bounds(2, 1, 1, false, 1, 1, 0, 1, false));
  private static final Case.World UPLOADS =
      world("an upload", new Bounds(1, 1, 1, false, 1, 0, 1, 1, false));
  private static final Case.World BEHIND =
      world("somebody who is behind", new Bounds(1, 2, 1, false, 0, 0, 0, 0, true));

  /** Sessions, garbage and eviction. */
  static final Case CASE =
      new Case(
          "session",
          List.of(APPENDS, COPIES, UPLOADS, BEHIND),
          List.of(
              world("2 writers that append", new Bounds(1, 2, 1, true, 1, 0, 0, 1, false)),
              world("copies, 2 chunks", new Bounds(2, 1, 2, true, 1, 1, 0, 1, false)),
              world("an upload, 2 chunks", new Bounds(1, 1, 2, false, 1, 0, 1, 1, false)),
              world(
                  "somebody who is behind, a fault", new Bounds(1, 2, 1, false, 0, 0, 0, 1, true))),
          List.of(
              new Case.Mutation(Rule.G1, COPIES, "was CLEAN"),
              new Case.Mutation(Rule.G2, APPENDS, "applied twice"),
              new Case.Mutation(Rule.G3, APPENDS, "was CLEAN"),
              new Case.Mutation(Rule.G5, BEHIND, "bytes of"),
              new Case.Mutation(Rule.G7, UPLOADS, "was GARBAGE"),
              new Case.Mutation(Rule.R13, COPIES, "was CLEAN")));

  private static Case.World world(String name, Bounds bounds) {
    return new Case.World("session: " + name, () -> new SessionScope(bounds), MOST);
  }

  private final Bounds bounds;
  private final Namespaces namespaces = new Namespaces(false);
  private final List<String> contents = new ArrayList<>(List.of("")); // by their numbers

  /**
   * What the namespace says about an object.
   *
   * @param chunks that it names, by the ids of the namespace
   * @param flushed content that the store is said to have under its key; 0: none
   */
  private record Live(ObjectHead head, List<ChunkId> chunks, List<StoreRef> refs, int flushed) {}

  public SessionScope(Bounds bounds) {
    this.bounds = bounds;
  }

  @Override
  public Moment start() {
    return new Moment(
        namespaces.empty(),
        namespaces.empty(),
        Collections.nCopies(bounds.sessions, Writer.NONE),
        List.of(),
        0,
        0,
        0,
        0,
        Collections.nCopies(bounds.keys, 0),
        new Left(bounds.deletes, bounds.copies, bounds.uploads, bounds.faults),
        "");
  }

  @Override
  public void steps(Moment s, Steps<Moment> out) {
    if (!s.broken.isEmpty()) {
      return;
    }
    for (int slot = 0; slot < bounds.sessions; slot++) {
      writer(s, slot, out);
    }
    log(s, out);
    users(s, out);
    flush(s, out);
    collector(s, out);
    if (bounds.behind && s.behind != s.names) {
      out.step("who is behind catches up", s.behind(s.names));
    }
  }

  // Writers.

  private void writer(Moment s, int slot, Steps<Moment> out) {
    Writer w = s.writers.get(slot);
    String name = "writer " + slot;
    if (w.session == 0) {
      if (slot == 0 || s.writers.get(slot - 1).session != 0) {
        Applied step = namespaces.apply(s.names, new NamespaceCommand.OpenSession(NODE));
        SessionId id = ((NamespaceResult.SessionOpened) step.result()).session();
        out.fault(
            name + " opens its session",
            s.names(step.state())
                .writer(slot, new Writer(Namespaces.number(id.value()), 0, 0, 0, 1, false)));
      }
      return;
    }
    var close = new NamespaceCommand.CloseSession(session(w));
    Applied closed = namespaces.apply(s.names, close);
    if (w.dead) {
      if (closed.changed()) {
        out.step("the session of " + name + " is ended", changed(s, closed));
      }
      return;
    }
    if (w.written < bounds.chunks && w.written == w.sent) {
      out.fault(
          name + " writes chunk " + (w.written + 1),
          s.chunks(s.chunks | bit(slot, w.written + 1))
              .writer(
                  slot, new Writer(w.session, w.written + 1, w.sent, w.answered, w.passed, false)));
    }
    if (w.sent < w.written) {
      names(s, slot, w, out);
    }
    int mark = w.mark();
    if (mark > w.passed) {
      Applied step =
          namespaces.apply(s.names, new NamespaceCommand.SessionLowWater(session(w), mark, mark));
      out.step(
          name + " passes what is below " + mark,
          changed(s, step)
              .writer(slot, new Writer(w.session, w.written, w.sent, w.answered, mark, false)));
    }
    if (mark == w.written + 1) {
      out.step(name + " ends its session", changed(s, closed).writer(slot, dead(w)));
    }
    if (s.left.faults > 0) {
      Moment worse = s.left(s.left.failed());
      out.fault(name + " dies", worse.writer(slot, dead(w)));
      if (closed.changed()) {
        out.fault(name + " lives, and its session is ended", changed(worse, closed));
      }
    }
  }

  private static Writer dead(Writer w) {
    return new Writer(w.session, w.written, w.sent, w.answered, w.passed, true);
  }

  private static SessionId session(Writer w) {
    return new SessionId(Namespaces.id(w.session));
  }

  private static int bit(int slot, int sequence) {
    return 1 << (slot * SEQUENCES + sequence);
  }

  /** The writer publishes its last chunk, or logs it as a part. */
  private void names(Moment s, int slot, Writer w, Steps<Moment> out) {
    var sent = new Writer(w.session, w.written, w.written, w.answered, w.passed, false);
    for (int key = 0; key < bounds.keys; key++) {
      var publish = new Pending(slot, w.written, false, key, 0, false);
      out.fault(
          "writer " + slot + " sends the publish of " + KEYS.get(key),
          s.writer(slot, sent).with(publish));
      if (bounds.appends) {
        for (int base : bases(s)) {
          out.fault(
              "writer " + slot + " sends " + KEYS.get(key) + " with chunk " + base + " before it",
              s.writer(slot, sent).with(new Pending(slot, w.written, false, key, base, false)));
        }
      }
    }
    if (s.upload != 0) {
      out.fault(
          "writer " + slot + " sends the part",
          s.writer(slot, sent).with(new Pending(slot, w.written, true, 0, 0, false)));
    }
    out.step(
        "writer " + slot + " gives its chunk up",
        s.writer(
            slot,
            new Writer(
                w.session, w.written, w.written, w.answered | 1 << w.written, w.passed, false)));
  }

  /** Chunks that somebody who has read an object may name. */
  private List<Integer> bases(Moment s) {
    var bases = new ArrayList<Integer>();
    for (int key = 0; key < bounds.keys; key++) {
      live(s.names, key)
          .ifPresent(live ->
              live.chunks.forEach(chunk -> {
                int base = place(s, chunk);
                if (!bases.contains(base)) {
                  bases.add(base);
                }
              }));
    }
    return bases;
  }

  /** Slot and sequence in one number. */
  private static int place(Moment s, ChunkId chunk) {
    for (int slot = 0; slot < s.writers.size(); slot++) {
      if (session(s.writers.get(slot)).equals(chunk.session())) {
        return slot * SEQUENCES + (int) chunk.sequence();
      }
    }
    throw new IllegalStateException("nobody wrote " + chunk);
  }

  private static ChunkId chunk(Moment s, int place) {
    return new ChunkId(session(s.writers.get(place / SEQUENCES)), place % SEQUENCES);
  }

  // The log.

  private void log(Moment s, Steps<Moment> out) {
    for (Pending each : s.pending) {
      Writer w = s.writers.get(each.slot);
      Moment applied = applied(s, each);
      String name = (each.part ? "the part " : "the publish ") + each.slot + "." + each.sequence;
      if (w.dead || (w.answered >>> each.sequence & 1) == 1) {
        out.step("late, " + name + " is applied", applied.without(each));
        out.step(name + " never arrives", s.without(each));
        continue;
      }
      Moment answered =
          applied.writer(
              each.slot,
              new Writer(
                  w.session, w.written, w.sent, w.answered | 1 << each.sequence, w.passed, false));
      out.step(name + " is applied", answered.without(each));
      if (s.left.faults > 0) {
        boolean done = each.applied || applied.names != s.names;
        var again = new Pending(each.slot, each.sequence, each.part, each.key, each.base, done);
        Left less = s.left.failed();
        out.fault(
            name + " is applied, and the answer is lost",
            applied.left(less).without(each).with(again));
        out.fault(
            name + " is applied, and is on its way once more",
            answered.left(less).without(each).with(again));
      }
    }
  }

  private Moment applied(Moment s, Pending each) {
    Applied step = namespaces.apply(s.names, command(s, each));
    Moment after = changed(s, step);
    if (step.result() instanceof NamespaceResult.Refused
        || step.result() instanceof NamespaceResult.NotOwed
        || !step.changed()) {
      return after;
    }
    if (each.applied) {
      return after.broken("a publish was applied twice");
    }
    int needed = bit(each.slot, each.sequence) | (each.base == 0 ? 0 : 1 << each.base);
    return (s.chunks & needed) == needed
        ? after
        : after.broken("a publish names a chunk that was collected");
  }

  private static NamespaceCommand command(Moment s, Pending each) {
    Writer w = s.writers.get(each.slot);
    var extents = new ArrayList<Extent>();
    if (each.base != 0) {
      extents.add(extent(0, chunk(s, each.base)));
    }
    extents.add(extent(extents.size() * BYTES, new ChunkId(session(w), each.sequence)));
    var manifest = new Manifest.Extents(extents);
    Optional<String> etag = Optional.of(etag(each));
    return each.part
        ? new NamespaceCommand.PutPart(
            session(w),
            each.sequence,
            BUCKET,
            KEYS.getFirst(),
            upload(s),
            PART,
            manifest.lengthBytes(),
            etag,
            0,
            manifest,
            Collections.emptyMap())
        : new NamespaceCommand.Publish(
            session(w),
            each.sequence,
            BUCKET,
            KEYS.get(each.key),
            manifest.lengthBytes(),
            etag,
            0,
            ObjectMetadata.NONE,
            manifest,
            Preconditions.NONE,
            POLICY);
  }

  private static String etag(Pending each) {
    return "p" + each.slot + each.sequence + "b" + each.base;
  }

  private static UploadId upload(Moment s) {
    return new UploadId(Namespaces.id(s.upload));
  }

  private static Extent extent(long offset, ChunkId chunk) {
    return new Extent(offset, (int) BYTES, chunk, 0, new GroupId(1), new Epoch(1), 0);
  }

  /** After a command; what was final stays so (R13, G5). */
  private Moment changed(Moment s, Applied step) {
    if (!step.changed()) {
      return s;
    }
    Moment after = s.names(step.state());
    List<Integer> places = places(s.chunks);
    if (places.isEmpty()) {
      return after;
    }
    List<ChunkState> before = states(s.names, s, places);
    List<ChunkState> now = states(step.state(), s, places);
    for (int i = 0; i < places.size(); i++) {
      boolean held =
          switch (before.get(i)) {
            case GARBAGE -> now.get(i) == ChunkState.GARBAGE;
            case CLEAN -> now.get(i) == ChunkState.CLEAN || now.get(i) == ChunkState.GARBAGE;
            case OWED, OPEN -> true;
          };
      if (!held) {
        return after.broken(
            "chunk " + places.get(i) + " was " + before.get(i) + " and is " + now.get(i));
      }
    }
    return after;
  }

  private static List<Integer> places(int bits) {
    var places = new ArrayList<Integer>();
    for (int place = 0; bits >>> place != 0; place++) {
      if ((bits >>> place & 1) == 1) {
        places.add(place);
      }
    }
    return places;
  }

  private List<ChunkState> states(int names, Moment s, List<Integer> places) {
    var query =
        new NamespaceQuery.ChunkStates(places.stream().map(place -> chunk(s, place)).toList());
    return ((NamespaceAnswer.Chunks) namespaces.query(names, query)).states();
  }

  // Users.

  private void users(Moment s, Steps<Moment> out) {
    for (int key = 0; key < bounds.keys; key++) {
      String name = KEYS.get(key);
      if (s.left.deletes > 0) {
        user(
            s.left(s.left.deleted()),
            "delete " + name,
            new NamespaceCommand.Delete(BUCKET, name, Preconditions.NONE, POLICY),
            out);
      }
      for (int to = 0; to < bounds.keys && s.left.copies > 0; to++) {
        if (to != key && live(s.names, to).isEmpty()) {
          user(
              s.left(s.left.copied()),
              "copy " + name + " to " + KEYS.get(to),
              new NamespaceCommand.Copy(
                  BUCKET,
                  name,
                  Optional.empty(),
                  BUCKET,
                  KEYS.get(to),
                  Optional.empty(),
                  Preconditions.NONE,
                  POLICY),
              out);
        }
      }
    }
    Applied expired = namespaces.apply(s.names, NOW + GRACE, new NamespaceCommand.ExpireTick(1));
    if (expired.changed()) {
      out.step("what ran out is let go", changed(s, expired));
    }
    if (s.left.uploads > 0) {
      Applied step =
          namespaces.apply(
              s.names,
              new NamespaceCommand.CreateUpload(
                  BUCKET, KEYS.getFirst(), ObjectMetadata.NONE, GRACE));
      UploadId id = ((NamespaceResult.UploadCreated) step.result()).upload();
      out.fault(
          "an upload begins",
          changed(s.left(s.left.uploaded()), step).upload(Namespaces.number(id.value())));
    }
    if (s.upload != 0) {
      complete(s, out);
      user(
          s,
          "the upload is aborted",
          new NamespaceCommand.AbortUpload(BUCKET, KEYS.getFirst(), upload(s)),
          out);
    }
  }

  private void user(Moment s, String name, NamespaceCommand command, Steps<Moment> out) {
    Applied step = namespaces.apply(s.names, command);
    if (step.changed()) {
      out.fault(name, changed(s, step));
    }
  }

  private void complete(Moment s, Steps<Moment> out) {
    if (!(namespaces.query(
                s.names, new NamespaceQuery.ListParts(BUCKET, KEYS.getFirst(), upload(s), 0, PART))
            instanceof NamespaceAnswer.Parts parts)
        || parts.parts().isEmpty()) {
      return;
    }
    user(
        s,
        "the upload is completed",
        new NamespaceCommand.CompleteUpload(
            BUCKET,
            KEYS.getFirst(),
            upload(s),
            List.of(new CompletedPart(PART, parts.parts().getFirst().etag())),
            Preconditions.NONE,
            -1,
            POLICY,
            Collections.emptyMap()),
        out);
  }

  // The flush: one attempt at a time, which the store serves at once.

  private void flush(Moment s, Steps<Moment> out) {
    var work =
        (NamespaceAnswer.Work)
            namespaces.query(s.names, new NamespaceQuery.FlushWork(10, NOW, List.of()));
    for (FlushItem item : work.items()) {
      Applied begun =
          namespaces.apply(
              s.names,
              new NamespaceCommand.FlushBegin(
                  BUCKET, item.key(), NODE, item.record().version(), Optional.empty(), 1, 1));
      if (begun.result() instanceof NamespaceResult.FlushStarted(var task)) {
        int key = KEYS.indexOf(item.key());
        int content = task.kind() == FlushKind.DELETE ? 0 : content(task.etag());
        if (!readable(s, task)) {
          continue;
        }
        Moment stored = changed(s, begun).store(key, content);
        Applied ended =
            namespaces.apply(
                stored.names,
                new NamespaceCommand.FlushEnd(BUCKET, item.key(), task.attempt(), task.etag()));
        out.step(task.kind() + " of " + item.key() + " is flushed", changed(stored, ended));
      }
    }
  }

  private boolean readable(Moment s, FlushTask task) {
    return task.kind() == FlushKind.DELETE
        || has(s, chunksOf(task.manifest()), task.manifest().refs());
  }

  private boolean holds(Moment s, StoreRef ref) {
    return s.store.get(KEYS.indexOf(ref.key())) == content(ref.etag());
  }

  private int content(String etag) {
    int known = contents.indexOf(etag);
    if (known >= 0) {
      return known;
    }
    contents.add(etag);
    return contents.size() - 1;
  }

  // The collector.

  private void collector(Moment s, Steps<Moment> out) {
    if ((s.garbage | s.clean) != 0) {
      out.step(
          "the collector deletes " + Integer.toBinaryString(s.garbage),
          s.chunks(s.chunks & ~s.garbage).told(0, 0));
      if (s.clean != 0) {
        out.step(
            "the collector makes room " + Integer.toBinaryString(s.clean),
            s.chunks(s.chunks & ~s.clean).told(0, 0));
      }
    }
    asks(s, s.names, "the collector asks", out);
    if (bounds.behind && s.behind != s.names) {
      asks(s, s.behind, "the collector asks who is behind", out);
    }
  }

  private void asks(Moment s, int names, String step, Steps<Moment> out) {
    List<Integer> places = places(s.chunks);
    if (places.isEmpty()) {
      return;
    }
    List<ChunkState> states = states(names, s, places);
    int garbage = 0;
    int clean = 0;
    for (int i = 0; i < places.size(); i++) {
      garbage |= states.get(i) == ChunkState.GARBAGE ? 1 << places.get(i) : 0;
      clean |= states.get(i) == ChunkState.CLEAN ? 1 << places.get(i) : 0;
    }
    if (garbage != s.garbage || clean != s.clean) {
      out.step(step, s.told(garbage, clean));
    }
  }

  // What must hold.

  @Override
  public Optional<String> broken(Moment s) {
    if (!s.broken.isEmpty()) {
      return Optional.of(s.broken);
    }
    for (int key = 0; key < bounds.keys; key++) {
      Optional<Live> live = live(s.names, key);
      if (live.isPresent() && !readable(s, live.get(), key)) {
        return Optional.of("the bytes of '" + KEYS.get(key) + "' are gone");
      }
    }
    return Optional.empty();
  }

  private boolean readable(Moment s, Live live, int key) {
    boolean stored = live.flushed != 0 && s.store.get(key) == live.flushed;
    return stored || has(s, live.chunks, live.refs);
  }

  private boolean has(Moment s, List<ChunkId> chunks, List<StoreRef> refs) {
    return chunks.stream().allMatch(chunk -> (s.chunks >>> place(s, chunk) & 1) == 1)
        && refs.stream().allMatch(ref -> holds(s, ref));
  }

  private Optional<Live> live(int names, int key) {
    return namespaces.query(names, new NamespaceQuery.Stat(BUCKET, KEYS.get(key)))
            instanceof NamespaceAnswer.Found(var head, var manifest)
        ? Optional.of(
            new Live(
                head,
                chunksOf(manifest),
                manifest.refs(),
                head.storeEtag().map(this::content).orElse(0)))
        : Optional.empty();
  }

  /** Chunks that hold its bytes; those of a reference are only a hint. */
  private static List<ChunkId> chunksOf(Manifest manifest) {
    return switch (manifest) {
      case Manifest.Extents list -> list.extents().stream().map(Extent::chunk).toList();
      case Manifest.Joined joined ->
          joined.segments().stream().flatMap(each -> chunksOf(each.manifest()).stream()).toList();
      case Manifest.Inline inline -> List.of();
      case Manifest.InChunk hidden -> List.of(hidden.list().chunk());
      case Manifest.Stored stored -> List.of();
      case Manifest.None none -> List.of();
    };
  }

  /** Nothing is left on the volume but what an object names. */
  @Override
  public boolean settled(Moment s) {
    if (!s.pending.isEmpty() || !s.broken.isEmpty() || (s.garbage | s.clean) != 0) {
      return false;
    }
    var sessions =
        (NamespaceAnswer.OpenSessions) namespaces.query(s.names, new NamespaceQuery.Sessions());
    int needed = 0;
    for (int key = 0; key < bounds.keys; key++) {
      Optional<Live> live = live(s.names, key);
      if (live.isPresent()) {
        for (ChunkId chunk : live.get().chunks) {
          needed |= 1 << place(s, chunk);
        }
      }
    }
    return sessions.sessions().isEmpty() && (s.chunks & ~needed) == 0;
  }

  @Override
  public void encode(Moment s, ByteBuffer out) {
    out.putInt(s.names).putInt(s.behind);
    for (Writer w : s.writers) {
      out.put((byte) w.session).put((byte) (w.written << 4 | w.sent));
      out.put((byte) w.answered).put((byte) (w.passed << 1 | (w.dead ? 1 : 0)));
    }
    out.put((byte) s.pending.size());
    for (Pending each : s.pending) {
      out.putShort((short) each.code());
    }
    out.putShort((short) s.chunks).putShort((short) s.garbage).putShort((short) s.clean);
    out.put((byte) s.upload);
    s.store.forEach(content -> out.put(content.byteValue()));
    Left left = s.left;
    out.put((byte) (left.deletes << 4 | left.copies)).put((byte) (left.uploads << 4 | left.faults));
    out.put((byte) (s.broken.isEmpty() ? 0 : 1));
  }

  @Override
  public String describe(Moment s) {
    var text = new StringBuilder();
    for (int key = 0; key < bounds.keys; key++) {
      text.append(KEYS.get(key)).append(": ").append(live(s.names, key)).append('\n');
    }
    List<Integer> places = places(s.chunks);
    if (!places.isEmpty()) {
      text.append("chunks ").append(places).append(' ').append(states(s.names, s, places));
    }
    return text.append("\n").append(s).toString();
  }
}
