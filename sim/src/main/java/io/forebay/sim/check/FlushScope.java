package io.forebay.sim.check;

import static io.forebay.sim.check.Namespaces.NOW;

import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.Generation;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.FlushItem;
import io.forebay.core.namespace.FlushKind;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.FlushRecord.Attempt;
import io.forebay.core.namespace.FlushTask;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.ObjectHead;
import io.forebay.core.namespace.Preconditions;
import io.forebay.core.namespace.StoreHead;
import io.forebay.core.namespace.StoreRef;
import io.forebay.core.namespace.StoreSight;
import io.forebay.core.rule.Rule;
import io.forebay.sim.check.FlushMoment.Decision;
import io.forebay.sim.check.FlushMoment.Done;
import io.forebay.sim.check.FlushMoment.Failed;
import io.forebay.sim.check.FlushMoment.Idle;
import io.forebay.sim.check.FlushMoment.Left;
import io.forebay.sim.check.FlushMoment.Part;
import io.forebay.sim.check.FlushMoment.Reader;
import io.forebay.sim.check.FlushMoment.Saw;
import io.forebay.sim.check.FlushMoment.Send;
import io.forebay.sim.check.FlushMoment.Sender;
import io.forebay.sim.check.FlushMoment.Sending;
import io.forebay.sim.check.FlushMoment.Thing;
import io.forebay.sim.check.FlushMoment.Turned;
import io.forebay.sim.check.FlushMoment.Unclear;
import io.forebay.sim.check.FlushMoment.Waiting;
import io.forebay.sim.check.Namespaces.Applied;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * The flush of one or two keys: production's state machine of the namespace with its decisions, two
 * nodes that send, a store, and what becomes of requests (rules F1 to F10).
 *
 * <p>What is modelled, since threads and a network are woven into it: the flow of {@code Flusher}
 * and {@code FlushSend} (read the record, look, begin, send under the lease, tell the log), and the
 * store: conditions, stamps, ETags that are new each time or recur with the bytes, one pool of
 * parts for each key. To read the record and to look at the store is one step, for when the record
 * moves in between nothing comes of it. A node's command is applied at any later time, or never.
 * Moments come in any order that leases and landing times allow: when an attempt can no longer land
 * its requests are gone, and its sender knows that its lease is over. No request arrives twice, for
 * senders do not repeat (F1).
 *
 * <p>Bytes are letters. Each publish has a chunk of its own; the cache may drop one as soon as the
 * namespace calls it clean or garbage.
 */
public final class FlushScope implements Scope<FlushMoment> {
  /**
   * What may happen, and how often.
   *
   * @param nodes that flush
   * @param recurring whether equal bytes have equal ETags, and every second publish equal bytes
   * @param staged whether objects are sent in two parts, which lie in one pool for each key
   * @param publishes at most 5
   * @param moves renames and copies into the free, and copies onto itself
   * @param faults crashes, pauses beyond a lease, answers that are late or lost
   * @param others writes and deletions by somebody else, at most 2
   * @param readers that open a flushed generation
   */
  public record Bounds(
      int keys,
      int nodes,
      boolean recurring,
      boolean staged,
      int publishes,
      int deletes,
      int moves,
      int faults,
      int others,
      int readers) {
    public Bounds {
      if (keys > KEYS.size() || publishes >= THEIRS || others > FlushMoment.WRITES - THEIRS) {
        throw new IllegalArgumentException("more than a moment has room for");
      }
    }
  }

  private static final List<String> KEYS = List.of("a", "b");
  private static final int THEIRS = 6; // contents from here on are somebody else's
  private static final int PARTS_OF_ALL = 2;
  private static final BucketId BUCKET = new BucketId(1);
  private static final NodeId NODE = new NodeId("n");
  private static final long LEASE = 1_000;
  private static final long LANDING = 2_000;
  private static final long GRACE = 10_000;
  private static final FlushPolicy POLICY = new FlushPolicy(FlushMode.BACK, 0, GRACE);
  private static final int BYTES = 10;
  private static final StoreSight ABSENT = new StoreSight.Absent();

  private static final int MOST = 20_000_000;

  private static final Case.World ONE_KEY =
      world("one key", new Bounds(1, 2, false, false, 2, 1, 0, 1, 0, 0));
  private static final Case.World RECURRING =
      world("ETags that recur", new Bounds(1, 2, true, false, 3, 0, 0, 1, 0, 0));
  private static final Case.World SOURCES =
      world("copies and renames", new Bounds(2, 1, false, false, 1, 1, 1, 1, 0, 0));
  private static final Case.World ONTO_ITSELF =
      world("copies onto itself", new Bounds(1, 2, false, false, 1, 0, 2, 1, 0, 0));
  private static final Case.World OTHERS =
      world("others, and a reader", new Bounds(1, 1, false, false, 2, 0, 0, 1, 1, 1));
  private static final Case.World PARTS =
      world("in parts of one pool", new Bounds(1, 2, false, true, 2, 0, 0, 1, 0, 0));

  /** The flush. */
  static final Case CASE =
      new Case(
          "flush",
          List.of(ONE_KEY, RECURRING, SOURCES, ONTO_ITSELF, OTHERS, PARTS),
          List.of(
              world(
                  "one key, 3 generations, 2 faults",
                  new Bounds(1, 2, false, false, 3, 1, 0, 2, 0, 0)),
              world(
                  "ETags that recur, a deletion, 2 faults",
                  new Bounds(1, 2, true, false, 3, 1, 0, 2, 0, 0)),
              world(
                  "copies and renames, 2 generations",
                  new Bounds(2, 1, false, false, 2, 1, 1, 1, 0, 0)),
              world("copies and renames, twice", new Bounds(2, 1, false, false, 1, 1, 2, 1, 0, 0)),
              world("copies and renames, others", new Bounds(2, 1, false, false, 1, 1, 1, 1, 1, 0)),
              world(
                  "others, a reader, a deletion", new Bounds(1, 2, false, false, 2, 1, 0, 1, 1, 1)),
              world(
                  "in parts of one pool, a deletion, 2 faults",
                  new Bounds(1, 2, false, true, 2, 1, 0, 2, 0, 0))),
          List.of(
              new Case.Mutation(Rule.F1, ONE_KEY, "another generation's object is recorded"),
              new Case.Mutation(Rule.F2, ONE_KEY, "the namespace knows nothing of it"),
              new Case.Mutation(Rule.F3, ONE_KEY, "nobody else wrote"),
              new Case.Mutation(Rule.F4, ONE_KEY, "nobody else wrote"),
              new Case.Mutation(Rule.F5, RECURRING, "its bytes are nowhere"),
              new Case.Mutation(Rule.F6, SOURCES, "its bytes are nowhere"),
              new Case.Mutation(Rule.F7, ONE_KEY, "another generation's object is recorded"),
              new Case.Mutation(Rule.F8, OTHERS, "'take' discarded"),
              new Case.Mutation(Rule.F9, OTHERS, "another generation's bytes"),
              new Case.Mutation(Rule.F10, PARTS, "parts of two attempts"),
              new Case.Mutation(Rule.G3_REFERENCE, ONTO_ITSELF, "nothing leads to")));

  private static Case.World world(String name, Bounds bounds) {
    return new Case.World("flush: " + name, () -> new FlushScope(bounds), MOST);
  }

  private final Bounds bounds;
  private final Namespaces namespaces = new Namespaces(true);
  private final List<Optional<Facts>> facts = new ArrayList<>();
  private final SessionId session;
  private final int first;

  /** What the namespace says about a key. */
  private record Fact(
      Optional<ObjectHead> head,
      Optional<Manifest> manifest,
      Optional<FlushRecord> record,
      Optional<FlushItem> work) {
    int content() {
      return head.map(h -> number(h.etag()) / FlushMoment.WRITES).orElse(0);
    }

    int generation() {
      return head.map(h -> Namespaces.number(h.generation().value())).orElse(0);
    }

    /** ETag under which the namespace says that the store has it; 0: it does not. */
    int flushed() {
      return head.flatMap(ObjectHead::storeEtag).map(FlushScope::number).orElse(0);
    }
  }

  /**
   * What the namespace says.
   *
   * @param free chunks that may be dropped, by bit
   */
  private record Facts(List<Fact> keys, int free) {}

  public FlushScope(Bounds bounds) {
    this.bounds = bounds;
    Applied opened = namespaces.apply(namespaces.empty(), new NamespaceCommand.OpenSession(NODE));
    first = opened.state();
    session = new SessionId(Namespaces.id(1)); // the first id of the shard, and never gone
  }

  @Override
  public FlushMoment start() {
    return new FlushMoment(
        first,
        Collections.nCopies(bounds.keys, Thing.NONE),
        List.of(),
        List.of(),
        Collections.nCopies(bounds.nodes, new Idle()),
        0,
        0,
        0,
        0,
        0,
        Reader.NOBODY,
        Decision.NONE,
        new Left(
            bounds.publishes,
            bounds.deletes,
            bounds.moves,
            bounds.faults,
            bounds.others,
            bounds.readers),
        "");
  }

  @Override
  public void steps(FlushMoment s, Steps<FlushMoment> out) {
    if (!s.broken().isEmpty()) {
      return;
    }
    Facts known = facts(s.names());
    users(s, known, out);
    for (int i = 0; i < bounds.nodes; i++) {
      if (i == 0 || !s.senders().get(i).equals(s.senders().get(i - 1))) {
        node(s, known, i, out);
      }
    }
    abandon(s, out);
    store(s, out);
    for (int key = 0; key < bounds.keys; key++) {
      time(s, known, key, out);
    }
    cache(s, known, out);
    others(s, out);
    readers(s, known, out);
    decisions(s, known, out);
  }

  // Users.

  private void users(FlushMoment s, Facts known, Steps<FlushMoment> out) {
    for (int key = 0; key < bounds.keys; key++) {
      Fact fact = known.keys.get(key);
      if (s.left().publishes() > 0) {
        out.fault("publish " + KEYS.get(key), published(s, key));
      }
      if (s.left().deletes() > 0 && fact.head.isPresent()) {
        user(
            s.left(s.left().deleted()),
            "delete " + KEYS.get(key),
            new NamespaceCommand.Delete(BUCKET, KEYS.get(key), Preconditions.NONE, POLICY),
            out);
      }
      if (s.left().moves() > 0 && fact.head.isPresent()) {
        moves(s.left(s.left().moved()), known, key, out);
      }
    }
  }

  private void user(FlushMoment s, String name, NamespaceCommand command, Steps<FlushMoment> out) {
    Applied step = namespaces.apply(s.names(), command);
    if (step.changed()) {
      out.fault(name, s.after(step, KEYS));
    }
  }

  private FlushMoment published(FlushMoment s, int key) {
    int number = bounds.publishes - s.left().publishes() + 1;
    int content = content(number);
    var chunk = new ChunkId(session, number);
    var publish =
        new NamespaceCommand.Publish(
            session,
            number,
            BUCKET,
            KEYS.get(key),
            BYTES,
            Optional.of(text(content * FlushMoment.WRITES)),
            0,
            ObjectMetadata.NONE,
            new Manifest.Extents(
                List.of(new Extent(0, BYTES, chunk, 0, new GroupId(1), new Epoch(1), content))),
            Preconditions.NONE,
            POLICY);
    FlushMoment after =
        s.left(s.left().published()).after(namespaces.apply(s.names(), publish), KEYS);
    var passed = new NamespaceCommand.SessionLowWater(session, number + 1, number + 1);
    return after
        .after(namespaces.apply(after.names(), passed), KEYS)
        .cached(s.cached() | 1 << number);
  }

  /** Into the free only: what overwrites may close a cycle of sources (F6), which is for users. */
  private void moves(FlushMoment s, Facts known, int from, Steps<FlushMoment> out) {
    String name = KEYS.get(from);
    user(s, "copy " + name + " onto itself", copy(name, name), out);
    for (int to = 0; to < bounds.keys; to++) {
      Fact there = known.keys.get(to);
      if (there.head.isEmpty() && there.record.isEmpty()) {
        String target = KEYS.get(to);
        user(
            s,
            "rename " + name + " to " + target,
            new NamespaceCommand.Rename(BUCKET, name, target, POLICY),
            out);
        user(s, "copy " + name + " to " + target, copy(name, target), out);
      }
    }
  }

  private static NamespaceCommand copy(String from, String to) {
    return new NamespaceCommand.Copy(
        BUCKET, from, Optional.empty(), BUCKET, to, Optional.empty(), Preconditions.NONE, POLICY);
  }

  // Nodes that flush.

  private void node(FlushMoment s, Facts known, int place, Steps<FlushMoment> out) {
    Sender sender = s.senders().get(place);
    switch (sender) {
      case Idle idle -> {
        for (int key = 0; key < bounds.keys; key++) {
          Optional<FlushItem> work = known.keys.get(key).work;
          if (work.isPresent()) {
            takeUp(s, place, key, work.get(), out);
          }
        }
        return;
      }
      case Saw saw -> decide(s, place, saw, out);
      case Sending(Send send) -> send(s, place, send, out);
      case Waiting(Send send) -> waits(s, place, send, out);
      case Turned(Send send) ->
          out.step(
              "a node looks why its copy was refused",
              s.sender(
                  place,
                  s.store().get(send.key()).etag() == send.condition()
                      ? new Sending(send.as(FlushKind.PUT)) // then it is the source that changed
                      : new Failed(send, ErrorCode.STORE_CONFLICT)));
      case Done(Send send, int etag) ->
          log(
              s,
              place,
              "a node logs that attempt " + send.attempt() + " is done",
              new NamespaceCommand.FlushEnd(
                  BUCKET, KEYS.get(send.key()), Namespaces.id(send.attempt()), text(etag)),
              out);
      case Failed(Send send, ErrorCode why) ->
          log(
              s,
              place,
              "a node logs that attempt " + send.attempt() + " failed: " + why,
              new NamespaceCommand.FlushFailed(
                  BUCKET, KEYS.get(send.key()), Namespaces.id(send.attempt()), why, "", NOW),
              out);
      case Unclear(Send send) ->
          log(s, place, "a node logs that it does not know", unresolved(send), out);
    }
    if (s.left().faults() > 0) {
      out.fault("a node dies", s.left(s.left().failed()).sender(place, new Idle()));
    }
  }

  private static NamespaceCommand unresolved(Send send) {
    return unresolved(send.key(), Namespaces.id(send.attempt()));
  }

  private static NamespaceCommand unresolved(int key, long attempt) {
    return new NamespaceCommand.FlushUnresolved(
        BUCKET, KEYS.get(key), attempt, ErrorCode.TIMEOUT, "", NOW);
  }

  private void log(
      FlushMoment s, int place, String name, NamespaceCommand command, Steps<FlushMoment> out) {
    out.step(name, s.sender(place, new Idle()).after(namespaces.apply(s.names(), command), KEYS));
  }

  private void takeUp(FlushMoment s, int place, int key, FlushItem item, Steps<FlushMoment> out) {
    Optional<Attempt> over = item.record().open();
    if (over.isPresent()) {
      log(s, place, "a node ends a lease that is over", unresolved(key, over.get().number()), out);
      return;
    }
    int landed = landed(item.record());
    boolean resolve = item.kind() == FlushKind.RESOLVE;
    if (resolve && landed == 0) {
      return;
    }
    if (item.headNeeded()) {
      out.step(
          "a node looks at " + item.key() + (resolve ? " to resolve" : ""),
          s.sender(place, new Saw(key, resolve, true, s.store().get(key), landed)));
      return;
    }
    begin(s, place, new Saw(key, false, true, Thing.NONE, 0), Optional.empty(), out);
  }

  private static int landed(FlushRecord record) {
    return (int) record.unresolved().stream().filter(each -> each.landsMillis() <= NOW).count();
  }

  private void decide(FlushMoment s, int place, Saw saw, Steps<FlushMoment> out) {
    StoreHead head = head(saw.head());
    if (!saw.resolve()) {
      begin(s, place, saw, Optional.of(head), out);
      return;
    }
    Optional<FlushRecord> record = facts(s.names()).keys.get(saw.key()).record;
    if (record.isPresent() && landed(record.get()) != saw.landed()) {
      // More has come since it looked, which all has the same time here: it looks again.
      out.step("a node looks again", s.sender(place, new Idle()));
      return;
    }
    Applied step =
        namespaces.apply(
            s.names(),
            new NamespaceCommand.FlushResolve(
                BUCKET, KEYS.get(saw.key()), version(saw), head, NOW));
    out.step(
        "a node resolves by what it saw",
        judged(s.sender(place, new Idle()).after(step, KEYS), s, saw.key()));
  }

  private static long version(Saw saw) {
    return saw.current() ? Namespaces.VERSION : Namespaces.STALE;
  }

  private static StoreHead head(Thing thing) {
    return thing.exists()
        ? new StoreHead.Found(
            text(thing.etag()),
            BYTES,
            thing.attempt() == 0 && thing.generation() == 0
                ? Optional.empty()
                : Optional.of(
                    new StoreHead.Stamp(
                        new Generation(Namespaces.id(thing.generation())),
                        Namespaces.id(thing.attempt()))))
        : new StoreHead.Missing();
  }

  private void begin(
      FlushMoment s, int place, Saw saw, Optional<StoreHead> head, Steps<FlushMoment> out) {
    Applied step =
        namespaces.apply(
            s.names(),
            new NamespaceCommand.FlushBegin(
                BUCKET, KEYS.get(saw.key()), NODE, version(saw), head, LEASE, LANDING));
    FlushMoment after = s.sender(place, new Idle()).after(step, KEYS);
    FlushMoment next =
        step.result() instanceof NamespaceResult.FlushStarted(var task)
            ? after.begun(new Sending(sending(saw.key(), task, step)))
            : after;
    out.step("a node begins with " + KEYS.get(saw.key()), judged(next, s, saw.key()));
  }

  private Send sending(int key, FlushTask task, Applied step) {
    Optional<StoreRef> ref = task.manifest().refs().stream().findFirst();
    return new Send(
        key,
        task.kind(),
        step.now(task.attempt()),
        step.now(task.generation().value()),
        etag(task.condition()),
        task.etag().isEmpty() ? 0 : number(task.etag()) / FlushMoment.WRITES,
        chunk(task.manifest()),
        ref.map(r -> KEYS.indexOf(r.key())).orElse(0),
        ref.map(r -> number(r.etag())).orElse(0),
        bounds.staged && task.kind() == FlushKind.PUT ? 1 : 0,
        false);
  }

  /** A HEAD has just decided: our own write is not foreign (F3). */
  private FlushMoment judged(FlushMoment s, FlushMoment before, int key) {
    boolean found = conflict(s.names(), key).isPresent() && conflict(before.names(), key).isEmpty();
    return found && (s.touched() >>> key & 1) == 0
        ? s.broken("nobody else wrote '" + KEYS.get(key) + "', and a conflict is reported")
        : s;
  }

  private Optional<FlushRecord.Conflict> conflict(int names, int key) {
    return facts(names).keys.get(key).record.flatMap(FlushRecord::conflict);
  }

  private void send(FlushMoment s, int place, Send send, Steps<FlushMoment> out) {
    if (send.over()) {
      out.step(
          "a node finds its lease over before it sends",
          s.sender(place, new Failed(send, ErrorCode.TIMEOUT)));
    } else if (needsBytes(send) && !readable(s, send)) {
      out.step(
          "a node finds the bytes of its attempt nowhere",
          s.sender(place, new Failed(send, ErrorCode.GENERATION_GONE)));
    } else {
      out.step(
          "a node sends "
              + send.kind()
              + (send.part() > 0 ? " part " + send.part() : "")
              + " of attempt "
              + send.attempt(),
          s.sender(place, new Waiting(send)).flying(send));
    }
  }

  private boolean needsBytes(Send send) {
    return send.kind() == FlushKind.PUT && (!bounds.staged || send.part() > 0);
  }

  /** Whether the bytes are in the cache, or where the manifest refers to. */
  private static boolean readable(FlushMoment s, Send send) {
    return (s.cached() >>> send.chunk() & 1) == 1
        || (send.fromEtag() != 0 && s.store().get(send.from()).etag() == send.fromEtag());
  }

  private void waits(FlushMoment s, int place, Send send, Steps<FlushMoment> out) {
    if (s.left().faults() == 0) {
      return;
    }
    FlushMoment worse = s.left(s.left().failed());
    out.fault(
        "the answer about attempt " + send.attempt() + " is late or lost",
        worse.sender(
            place, send.part() > 0 ? new Failed(send, ErrorCode.TIMEOUT) : new Unclear(send)));
    Send request = send.over(false);
    if (s.flying().contains(request)) {
      out.fault(
          "the store refuses to serve attempt " + send.attempt(),
          worse.landed(request).sender(place, new Failed(send, ErrorCode.STORE_THROTTLED)));
    }
  }

  /** Rightly or not: who is alive goes on. */
  private void abandon(FlushMoment s, Steps<FlushMoment> out) {
    if (s.left().faults() > 0) {
      Applied step = namespaces.apply(s.names(), new NamespaceCommand.FlushAbandon(NODE));
      if (step.changed()) {
        out.fault("nodes are taken for dead", s.left(s.left().failed()).after(step, KEYS));
      }
    }
  }

  // The store.

  private void store(FlushMoment s, Steps<FlushMoment> out) {
    for (int i = 0; i < s.flying().size(); i++) {
      Send request = s.flying().get(i);
      boolean awaited = s.senders().stream().anyMatch(each -> awaits(each, request));
      out.step(
          "the store gets " + request.kind() + " of attempt " + request.attempt(),
          arrived(s.landed(request), request));
      if (!awaited) {
        out.step(
            "the late " + request.kind() + " of attempt " + request.attempt() + " never arrives",
            s.landed(request));
      }
    }
  }

  private static boolean awaits(Sender sender, Send request) {
    return sender instanceof Waiting(Send send) && send.over(false).equals(request);
  }

  private FlushMoment arrived(FlushMoment s, Send request) {
    if (request.part() > 0) {
      return staged(s, request);
    }
    Thing present = s.store().get(request.key());
    if (request.kind() == FlushKind.DELETE && !present.exists()) {
      return answered(s, request, new Done(request, 0));
    }
    boolean copies = request.kind() == FlushKind.COPY;
    Thing source = copies ? s.store().get(request.from()) : Thing.NONE;
    if (present.etag() != request.condition() || (copies && source.etag() != request.fromEtag())) {
      return answered(
          s, request, copies ? new Turned(request) : new Failed(request, ErrorCode.STORE_CONFLICT));
    }
    FlushMoment next = s;
    if (present.theirs() && (s.named() >>> present.etag() & 1) == 0) {
      next = next.broken("somebody else's object was replaced, and nobody said keep");
    }
    if (request.kind() == FlushKind.DELETE) {
      return answered(next.store(request.key(), Thing.NONE), request, new Done(request, 0));
    }
    int content = copies ? source.content() : request.content();
    if (bounds.staged) {
      List<Integer> parts =
          s.parts().stream().filter(part -> isOf(part, request)).map(Part::content).toList();
      if (parts.size() < PARTS_OF_ALL) {
        return answered(s, request, new Failed(request, ErrorCode.NO_SUCH_UPLOAD));
      }
      if (parts.stream().anyMatch(each -> each != request.content())) {
        next = next.broken("parts of two attempts became one object");
      }
    }
    FlushMoment then =
        written(next, request.key(), content, request.generation(), request.attempt(), false);
    return answered(then, request, new Done(request, then.store().get(request.key()).etag()));
  }

  /** Whether the commit of an attempt names the part (F10): unless the name says whose it is. */
  private static boolean isOf(Part part, Send send) {
    return part.key() == send.key()
        && part.generation() == named(send.generation())
        && part.attempt() == named(send.attempt());
  }

  private static int named(int id) {
    return Rule.F10.holds() ? id : 0;
  }

  private FlushMoment staged(FlushMoment s, Send request) {
    var part =
        new Part(
            request.key(),
            named(request.generation()),
            named(request.attempt()),
            request.part(),
            request.content());
    var parts =
        new ArrayList<>(
            s.parts().stream()
                .filter(each -> !(isOf(each, request) && each.number() == part.number()))
                .toList());
    parts.add(part);
    return answered(
        s.parts(parts),
        request,
        new Sending(request.part((request.part() + 1) % (PARTS_OF_ALL + 1))));
  }

  /** Tells the sender, if it still waits. */
  private static FlushMoment answered(FlushMoment s, Send request, Sender answer) {
    for (int i = 0; i < s.senders().size(); i++) {
      Sender sender = s.senders().get(i);
      if (awaits(sender, request)) {
        boolean over = sender.sent().orElseThrow().over();
        return s.sender(i, over ? answer.over() : answer);
      }
    }
    return s;
  }

  private FlushMoment written(
      FlushMoment s, int key, int content, int generation, int attempt, boolean theirs) {
    int shift = content * 3;
    int count = s.written() >>> shift & (FlushMoment.WRITES - 1);
    int next = bounds.recurring ? 0 : count + 1;
    if (next == FlushMoment.WRITES) {
      throw new IllegalStateException("a content is written more often than it has ETags");
    }
    int etag = content * FlushMoment.WRITES + next;
    return s.store(key, new Thing(etag, generation, attempt, theirs))
        .written(bounds.recurring ? 0 : s.written() + (1 << shift))
        .parts(s.parts().stream().filter(part -> part.key() != key).toList());
  }

  // Moments that come.

  private void time(FlushMoment s, Facts known, int key, Steps<FlushMoment> out) {
    Optional<FlushRecord> record = known.keys.get(key).record;
    if (record.isEmpty()) {
      return;
    }
    String name = KEYS.get(key);
    Optional<Attempt> open = record.get().open().filter(each -> each.leaseMillis() > NOW);
    if (open.isPresent()) {
      int attempt = Namespaces.number(open.get().number());
      int names = namespaces.passed(s.names(), BUCKET, name, NOW + LEASE, FlushScope::leaseOver);
      String step = "the lease of attempt " + attempt + " is over";
      if (s.senders().stream().noneMatch(each -> isOf(each, attempt))) {
        out.step(step, s.names(names));
      } else if (s.left().faults() > 0) {
        out.fault(step, over(s.left(s.left().failed()), attempt).names(names));
      }
    }
    Optional<Attempt> next =
        record.get().unresolved().stream().filter(each -> each.landsMillis() > NOW).findFirst();
    if (next.isPresent()) {
      int attempt = Namespaces.number(next.get().number());
      if (s.flying().stream().noneMatch(each -> each.attempt() == attempt)) {
        int names =
            namespaces.passed(
                s.names(), BUCKET, name, NOW + LEASE + LANDING, FlushScope::oldestLanded);
        out.step("attempt " + attempt + " can no longer land", over(s, attempt).names(names));
      }
    }
  }

  private static boolean isOf(Sender sender, int attempt) {
    return sender.sent().filter(send -> send.attempt() == attempt).isPresent();
  }

  private static FlushMoment over(FlushMoment s, int attempt) {
    return s.senders(
        s.senders().stream().map(each -> isOf(each, attempt) ? each.over() : each).toList());
  }

  private static FlushRecord leaseOver(FlushRecord record) {
    return with(
        record,
        record.open().map(open -> Namespaces.at(open, NOW, open.landsMillis())),
        record.unresolved());
  }

  private static FlushRecord oldestLanded(FlushRecord record) {
    var unresolved = new ArrayList<>(record.unresolved());
    for (int i = 0; i < unresolved.size(); i++) {
      Attempt each = unresolved.get(i);
      if (each.landsMillis() > NOW) {
        unresolved.set(i, Namespaces.at(each, NOW, NOW));
        break;
      }
    }
    return with(record, record.open(), unresolved);
  }

  private static FlushRecord with(
      FlushRecord record, Optional<Attempt> open, List<Attempt> unresolved) {
    return new FlushRecord(
        record.version(),
        record.target(),
        record.dueMillis(),
        record.sinceMillis(),
        record.seen(),
        record.headNeeded(),
        open,
        unresolved,
        record.conflict(),
        record.failure());
  }

  // The cache.

  private void cache(FlushMoment s, Facts known, Steps<FlushMoment> out) {
    Applied expired = namespaces.apply(s.names(), NOW + GRACE, new NamespaceCommand.ExpireTick(1));
    if (expired.changed()) {
      out.step("the oldest superseded generation is let go", s.after(expired, KEYS));
    }
    for (int chunk = 1; chunk <= bounds.publishes; chunk++) {
      if ((s.cached() & known.free & 1 << chunk) != 0) {
        out.step("the cache drops chunk " + chunk, s.cached(s.cached() & ~(1 << chunk)));
      }
    }
  }

  // Others.

  private void others(FlushMoment s, Steps<FlushMoment> out) {
    if (s.left().others() == 0) {
      return;
    }
    FlushMoment less = s.left(s.left().disturbed());
    for (int key = 0; key < bounds.keys; key++) {
      String name = KEYS.get(key);
      int content = THEIRS + bounds.others - s.left().others();
      out.fault("somebody writes " + name, written(less.touched(key), key, content, 0, 0, true));
      if (s.store().get(key).exists()) {
        out.fault("somebody deletes " + name, less.touched(key).store(key, Thing.NONE));
      }
      Thing other = s.store().get(bounds.keys - 1 - key);
      if (bounds.keys > 1 && !bounds.recurring && other.exists()) {
        out.fault(
            "somebody copies what is at another key to " + name,
            written(
                less.touched(key),
                key,
                other.content(),
                other.generation(),
                other.attempt(),
                true));
      }
    }
  }

  // Readers.

  private void readers(FlushMoment s, Facts known, Steps<FlushMoment> out) {
    Reader reader = s.reader();
    if (reader.etag() != 0) {
      Thing thing = s.store().get(reader.key());
      boolean answered = thing.exists() && (!Rule.F9.holds() || thing.etag() == reader.etag());
      boolean right = thing.content() == reader.etag() / FlushMoment.WRITES;
      FlushMoment closed = s.reader(Reader.NOBODY);
      out.step(
          "a reader reads " + KEYS.get(reader.key()) + " in the store",
          answered && !right ? closed.broken("a reader got another generation's bytes") : closed);
      return;
    }
    for (int key = 0; key < bounds.keys && s.left().readers() > 0; key++) {
      int etag = known.keys.get(key).flushed();
      if (etag != 0) {
        out.fault(
            "a reader opens " + KEYS.get(key),
            s.left(s.left().opened()).reader(new Reader(key, etag)));
      }
    }
  }

  // What users say about conflicts.

  private void decisions(FlushMoment s, Facts known, Steps<FlushMoment> out) {
    Decision decision = s.decision();
    if (!decision.open()) {
      for (int key = 0; key < bounds.keys; key++) {
        Fact fact = known.keys.get(key);
        if (fact.record.flatMap(FlushRecord::conflict).isPresent()) {
          FlushRecord record = fact.record.get();
          out.step(
              "a user looks at the conflict of " + KEYS.get(key),
              s.decision(
                  new Decision(
                      key,
                      record.generation().map(g -> Namespaces.number(g.value())).orElse(0),
                      etag(record.conflict().get().seen()),
                      true)));
        }
      }
      return;
    }
    String name = KEYS.get(decision.key());
    FlushMoment closed = s.decision(Decision.NONE);
    Optional<Generation> generation =
        decision.generation() == 0
            ? Optional.empty()
            : Optional.of(new Generation(Namespaces.id(decision.generation())));
    StoreSight seen = sight(decision.seen());
    Applied kept =
        namespaces.apply(
            s.names(), new NamespaceCommand.ConflictKeep(BUCKET, name, generation, seen));
    FlushMoment after = closed.after(kept, KEYS);
    out.step(
        "the user keeps ours",
        kept.result() instanceof NamespaceResult.Done ? after.named(decision.seen()) : after);
    if (s.store().get(decision.key()).etag() == decision.seen()) {
      Applied taken =
          namespaces.apply(
              s.names(),
              new NamespaceCommand.ConflictTake(
                  BUCKET, name, generation, seen, BYTES, ObjectMetadata.NONE, NOW, POLICY));
      out.step("the user takes theirs", taken(closed, known, decision, taken));
    }
  }

  private static FlushMoment taken(
      FlushMoment closed, Facts before, Decision decision, Applied step) {
    FlushMoment after = closed.after(step, KEYS);
    if (!(step.result() instanceof NamespaceResult.Done)) {
      return after;
    }
    return before.keys.get(decision.key()).generation() == decision.generation()
        ? after.named(decision.seen())
        : after.broken("'take' discarded a generation that nobody had seen");
  }

  // What must hold.

  @Override
  public Optional<String> broken(FlushMoment s) {
    if (!s.broken().isEmpty()) {
      return Optional.of(s.broken());
    }
    Facts known = facts(s.names());
    for (int key = 0; key < bounds.keys; key++) {
      Optional<String> wrong = wrong(s, known.keys.get(key), key);
      if (wrong.isPresent()) {
        return Optional.of("'" + KEYS.get(key) + "': " + wrong.get());
      }
    }
    return Optional.empty();
  }

  private Optional<String> wrong(FlushMoment s, Fact fact, int key) {
    Thing thing = s.store().get(key);
    boolean touched = (s.touched() >>> key & 1) == 1;
    if (fact.record.isEmpty() && thing.exists() && !thing.theirs()) {
      return Optional.of(
          "an object of ours lies in the store, and the namespace knows nothing of it");
    }
    if (fact.head.isEmpty()) {
      return Optional.empty();
    }
    if (fact.flushed() != 0) {
      if (fact.flushed() / FlushMoment.WRITES != fact.content()) {
        return Optional.of("another generation's object is recorded as this one's");
      }
      boolean mayDiffer = bounds.recurring && !fact.record.orElseThrow().settled();
      if (thing.etag() != fact.flushed() && !touched && !mayDiffer) {
        return Optional.of("reported as flushed, and not in the store");
      }
    }
    if (!exists(s, fact.content()) && !ruined(s, fact)) {
      return Optional.of("its bytes are nowhere any more");
    }
    return Optional.empty();
  }

  private static boolean ruined(FlushMoment s, Fact fact) {
    return (s.ruined() >>> fact.content() & 1) == 1;
  }

  private boolean exists(FlushMoment s, int content) {
    if (s.store().stream().anyMatch(each -> each.exists() && each.content() == content)) {
      return true;
    }
    for (int chunk = 1; chunk <= bounds.publishes; chunk++) {
      if ((s.cached() >>> chunk & 1) == 1 && content(chunk) == content) {
        return true;
      }
    }
    return false;
  }

  @Override
  public boolean settled(FlushMoment s) {
    if (!s.flying().isEmpty()
        || !s.broken().isEmpty()
        || !s.senders().stream().allMatch(Idle.class::isInstance)) {
      return false;
    }
    Facts known = facts(s.names());
    if (lost(s, known)) {
      return true; // what others destroyed is reported, and nothing brings it back
    }
    for (int key = 0; key < bounds.keys; key++) {
      Fact fact = known.keys.get(key);
      Thing thing = s.store().get(key);
      boolean touched = (s.touched() >>> key & 1) == 1;
      boolean there =
          fact.head.isPresent()
              ? fact.flushed() != 0
                  && (thing.etag() == fact.flushed() || touched)
                  && fact.head.get().flush() == FlushState.FLUSHED
              : !thing.exists() || touched;
      if (!there || fact.record.filter(record -> !record.settled()).isPresent()) {
        return false;
      }
    }
    return true;
  }

  /** Whether somebody else ruined an object that is not where the namespace knows it any more. */
  private boolean lost(FlushMoment s, Facts known) {
    for (int key = 0; key < bounds.keys; key++) {
      Fact fact = known.keys.get(key);
      boolean there =
          fact.manifest.stream()
              .allMatch(manifest ->
                  (s.cached() >>> chunk(manifest) & 1) == 1
                      || manifest.refs().stream().anyMatch(ref -> holds(s, ref)));
      boolean flushed = fact.flushed() != 0 && s.store().get(key).etag() == fact.flushed();
      if (!there && !flushed && ruined(s, fact)) {
        return true;
      }
    }
    return false;
  }

  private static boolean holds(FlushMoment s, StoreRef ref) {
    return s.store().get(KEYS.indexOf(ref.key())).etag() == number(ref.etag());
  }

  // What the namespace says, once for each of its states.

  private Facts facts(int names) {
    while (facts.size() <= names) {
      facts.add(Optional.empty());
    }
    return facts
        .get(names)
        .orElseGet(() -> {
          Facts asked = ask(names);
          facts.set(names, Optional.of(asked));
          return asked;
        });
  }

  private Facts ask(int names) {
    var work =
        (NamespaceAnswer.Work)
            namespaces.query(names, new NamespaceQuery.FlushWork(10, NOW, List.of()));
    var keys = new ArrayList<Fact>();
    for (int key = 0; key < bounds.keys; key++) {
      String name = KEYS.get(key);
      Optional<NamespaceAnswer.Found> found =
          namespaces.query(names, new NamespaceQuery.Stat(BUCKET, name))
                  instanceof NamespaceAnswer.Found answer
              ? Optional.of(answer)
              : Optional.empty();
      var record =
          (NamespaceAnswer.OfKey) namespaces.query(names, new NamespaceQuery.FlushOf(BUCKET, name));
      keys.add(
          new Fact(
              found.map(NamespaceAnswer.Found::object),
              found.map(NamespaceAnswer.Found::manifest),
              record.record(),
              work.items().stream().filter(item -> item.key().equals(name)).findFirst()));
    }
    var chunks = new ArrayList<ChunkId>();
    for (int chunk = 1; chunk <= bounds.publishes; chunk++) {
      chunks.add(new ChunkId(session, chunk));
    }
    var states =
        (NamespaceAnswer.Chunks) namespaces.query(names, new NamespaceQuery.ChunkStates(chunks));
    int free = 0;
    for (int i = 0; i < chunks.size(); i++) {
      ChunkState state = states.states().get(i);
      free |= state == ChunkState.CLEAN || state == ChunkState.GARBAGE ? 1 << (i + 1) : 0;
    }
    return new Facts(keys, free);
  }

  private static int chunk(Manifest manifest) {
    return switch (manifest) {
      case Manifest.Extents list ->
          list.extents().isEmpty() ? 0 : (int) list.extents().getFirst().chunk().sequence();
      case Manifest.Stored(_, Manifest hint) -> chunk(hint);
      case Manifest.Inline inline -> 0;
      case Manifest.InChunk hidden -> 0;
      case Manifest.None none -> 0;
      case Manifest.Joined joined -> 0;
    };
  }

  private int content(int chunk) {
    return bounds.recurring ? 2 - chunk % 2 : chunk;
  }

  private static String text(int etag) {
    return "" + (char) ('@' + etag / FlushMoment.WRITES) + etag % FlushMoment.WRITES;
  }

  private static int number(String etag) {
    return (etag.charAt(0) - '@') * FlushMoment.WRITES + etag.charAt(1) - '0';
  }

  private static int etag(StoreSight sight) {
    return sight instanceof StoreSight.Present(var etag) ? number(etag) : 0;
  }

  private static StoreSight sight(int etag) {
    return etag == 0 ? ABSENT : new StoreSight.Present(text(etag));
  }

  @Override
  public void encode(FlushMoment s, ByteBuffer out) {
    s.encode(out);
  }

  @Override
  public String describe(FlushMoment s) {
    var text = new StringBuilder();
    for (int key = 0; key < bounds.keys; key++) {
      Fact fact = facts(s.names()).keys.get(key);
      text.append(KEYS.get(key))
          .append(": ")
          .append(fact.head)
          .append("\n   ")
          .append(fact.record)
          .append("\n   in the store ")
          .append(s.store().get(key))
          .append('\n');
    }
    return text.append("on their way ")
        .append(s.flying())
        .append("\nnodes ")
        .append(s.senders())
        .append("\ncached ")
        .append(Integer.toBinaryString(s.cached()))
        .append(", ")
        .append(s.left())
        .toString();
  }
}
