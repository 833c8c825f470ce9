package io.forebay.node.write;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.Group;
import io.forebay.core.env.BoundedQueue;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Patience;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Hop;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.Reply;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One chunk on its way to every member of one group, at one epoch (rule R2).
 *
 * <p>The slices go down the chain as they come, and are kept until the chunk is acknowledged.
 * Whoever brings them does not wait for the chain: while it is slow, the next chunk goes to another
 * group (at equal loads two of three nodes would otherwise wait for the third, turn by turn:
 * docs/benchmarks.md). A chain that breaks is completed directly: {@code have} for those that may
 * hold it already, the bytes for the others. A member that makes no progress for 500 ms, or for
 * longer where that is usual ({@link Patience}), is suspected, and the chunk is written under a new
 * id to another group (rule R10): a writer never waits for an epoch change. So it is where members
 * make progress and take many times longer than others do ({@link Paces}), twice at most.
 *
 * <p>A chunk that finds no room anywhere takes its place in the {@link RoomQueue}. Its tries from
 * there begin with one slice, and the others follow when every member has that: else each try would
 * leave a whole copy on the members that do have room, which is garbage only when the body is over.
 */
final class ChunkSend {
  /** A chunk that every member of its group holds. */
  record Acknowledged(ChunkId id, Group group, int lengthBytes, int crc32c) {}

  private record Slice(Bytes bytes, int crc32c) {}

  /** What a try still had to bring, and since when nothing more had to be waited for here. */
  private record Owed(long sinceNanos, long bytes) {}

  private static final long PROBE_NANOS = 50_000_000L;
  // From when a chunk came to stand until it is sent where suspicion alone speaks against it.
  private static final long SUSPECT_NANOS = 1_200_000_000L;
  private static final long MOST_SUSPECT_NANOS = 700_000_000L; // of it after a try
  // Re-homing goes on for so long before the write fails by name; two elections and a detection fit
  // in. A client that takes longer to bring a chunk keeps no member's buffers meanwhile: the chunk
  // is sent anew when it is whole.
  private static final long GIVE_UP_NANOS = 30_000_000_000L;
  // A try that has all bytes here may take as long as it goes on, within this.
  private static final long WHOLE_NANOS = 600_000_000_000L;
  // All may be slow: then the chunk has to go where it is.
  private static final int MOST_LATE = 2;
  // So many volumes without room, one after the other, are taken for all.
  private static final int MANY_FULL = 16;
  // Of the pause between two tries that are refused: an election takes seconds.
  private static final int MOST_DOUBLINGS = 2;
  private static final long ADMITTED_NANOS = 5_000_000L;

  private final ChunkSender sender;
  private final Session.Ticket ticket;
  private final Bucket bucket;
  private final Family family;
  private final int maxLengthBytes;
  private final Outcome<Boolean> unwanted;
  private final Optional<Outcome<Boolean>>
      fed; // of the first try, which begins with the first slice
  private final List<Slice> slices = new ArrayList<>();
  private int lengthBytes;
  private int crc32c;
  private long deadlineNanos; // unless it is for room that the chunk waits
  private Optional<Flight> flight;
  private volatile Optional<Owed> owed = Optional.empty(); // empty: the client still sends
  // Tries of which was taken leave so; of whoever feeds, and after it of the finish.
  private int silent;
  private int late;
  private volatile boolean given; // back: the body was broken off

  /** One try: a chunk id, a group at an epoch, and the upload to its chain. */
  private static final class Flight {
    final ChunkId id;
    final GroupChooser.Choice choice;
    final ChunkUpload upload;
    final int load; // chunks under way there, with this one; 0: this is not measured
    final long untilNanos;
    final long patienceNanos;
    long stoodNanos; // at most, without progress
    final HopWatch watch;
    final BoundedQueue<Optional<Slice>> waiting; // empty: that was the last
    boolean broken;
    boolean left; // by a member, which is what broke it
    boolean over;

    Flight(
        Env env,
        int maxLengthBytes,
        ChunkId id,
        GroupChooser.Choice choice,
        ChunkUpload upload,
        int load,
        long untilNanos,
        long patienceNanos,
        HopWatch watch) {
      this.load = load;
      this.untilNanos = untilNanos;
      this.patienceNanos = patienceNanos;
      this.watch = watch;
      this.waiting = new BoundedQueue<>(env, maxLengthBytes + 1); // slices have at least a byte
      this.id = id;
      this.choice = choice;
      this.upload = upload;
    }
  }

  ChunkSend(ChunkSender sender, Session.Ticket ticket, Bucket bucket, int maxLengthBytes) {
    this.sender = sender;
    this.ticket = ticket;
    this.bucket = bucket;
    this.family = bucket.family();
    this.maxLengthBytes = maxLengthBytes;
    this.unwanted = new Outcome<>(sender.env());
    this.deadlineNanos = sender.env().nanoTime() + GIVE_UP_NANOS;
    this.flight =
        sender
            .chooser()
            .choose(family)
            .filter(choice -> !choice.suspect())
            .map(choice -> take(choice, ticket.nextChunk(), deadlineNanos));
    this.fed = flight.map(this::feeding);
  }

  private Outcome<Boolean> feeding(Flight open) {
    var outcome = new Outcome<Boolean>(sender.env());
    sender
        .env()
        .spawn(
            "chunk-feed",
            () -> {
              try {
                feed(open, false);
                outcome.complete(true);
              } catch (Throwable failure) {
                outcome.fail(failure);
              }
            });
    return outcome;
  }

  private Flight take(GroupChooser.Choice choice, ChunkId id, long untilNanos) {
    var put =
        new ChunkPut(
            id,
            choice.group().id(),
            choice.group().epoch(),
            family.durability(),
            maxLengthBytes,
            choice.chain());
    ChunkUpload upload = sender.network().upload(put, untilNanos);
    return flight(id, choice, upload, sender.chooser().begin(choice), untilNanos);
  }

  private Flight flight(
      ChunkId id, GroupChooser.Choice choice, ChunkUpload upload, int load, long untilNanos) {
    return new Flight(
        sender.env(),
        maxLengthBytes,
        id,
        choice,
        upload,
        load,
        untilNanos,
        sender.patience().nanos(silent),
        new HopWatch(sender.env(), sender.self(), choice.chain(), upload, sender.paces().rates()));
  }

  /** Bytes taken so far. */
  int lengthBytes() {
    return lengthBytes;
  }

  /** Takes the next slice, to be sent on; does not wait for that. */
  void add(Bytes bytes, int crc) {
    var slice = new Slice(bytes.retain(), crc);
    slices.add(slice);
    lengthBytes += bytes.length();
    crc32c = Crc32cCombiner.combine(crc32c, crc, bytes.length());
    flight.ifPresent(open -> open.waiting.offer(Optional.of(slice)));
  }

  /**
   * Finishes the chunk; blocks until it is acknowledged. The slices are released whatever happens.
   *
   * @throws ForebayException UNAVAILABLE naming what is missing; NO_SPACE naming the full volumes;
   *     CANCELLED after {@link #giveUp}
   */
  Acknowledged finish() {
    deadlineNanos = sender.env().nanoTime() + GIVE_UP_NANOS;
    owe(flight.map(open -> open.upload.acknowledgedBytes()).orElse(0L));
    flight.ifPresent(open -> open.waiting.offer(Optional.empty()));
    Optional<RoomQueue.Place> place = Optional.empty();
    try {
      fed.ifPresent(Outcome::await);
      String why = "no group of this family takes writes";
      int full = 0;
      int refused = 0; // tries, the last ones, and not for room
      while (true) {
        if (flight.isPresent()) {
          Flight open = flight.get();
          Optional<Acknowledged> done = complete(open);
          land(open);
          if (done.isPresent()) {
            place.ifPresent(RoomQueue.Place::stored);
            ticket.kept(open.id);
            return done.get();
          }
          ticket.dropped(open.id);
          if (isOutOfTime(open) || open.left) {
            // It went on until then, which for a first try includes what the client took.
            deadlineNanos = sender.env().nanoTime() + GIVE_UP_NANOS;
          }
          why = lastRefusal(open);
          full += lacksRoom(open) ? 1 : 0;
          refused = isRefused(open) && !lacksRoom(open) ? refused + 1 : 0;
        }
        if (sender.env().nanoTime() >= deadlineNanos) {
          throw new ForebayException(
              ErrorCode.UNAVAILABLE,
              "a chunk of "
                  + lengthBytes
                  + " bytes found no "
                  + family.minInSync()
                  + " members that all take it: "
                  + why);
        }
        Optional<GroupChooser.Choice> choice = choose();
        boolean allFull =
            full >= MANY_FULL
                || (full > 0 && choice.filter(GroupChooser.Choice::unfit).isPresent());
        if (place.isEmpty() && allFull) {
          place = Optional.of(sender.rooms().enter(bucket, unwanted));
        }
        if (place.isPresent()) {
          if (flight.isPresent()) {
            tell(place.get(), flight.get());
          }
          if (!bucket.storeUrl().isEmpty()) {
            sender.haste().ask();
          }
          place.get().awaitTurn();
          deadlineNanos = sender.env().nanoTime() + GIVE_UP_NANOS;
          choice = choose();
        }
        if (choice.isEmpty()) {
          flight = Optional.empty();
          sender.awaitChange(deadlineNanos);
          continue;
        }
        if (flight.isPresent() && place.isEmpty()) {
          sender.countRehome();
          // Every group may refuse at once: then this is a loop, and must not be a hot one.
          sender.env().sleep((PROBE_NANOS / 2) << Math.clamp(refused - 1, 0, MOST_DOUBLINGS));
        }
        ChunkId id =
            flight
                .filter(_ -> !Rule.R10_ID.holds())
                .map(open -> open.id)
                .orElseGet(ticket::nextChunk);
        Flight next = take(choice.get(), id, sender.env().nanoTime() + WHOLE_NANOS);
        owe(0);
        flight = Optional.of(next);
        slices.forEach(slice -> next.waiting.offer(Optional.of(slice)));
        next.waiting.offer(Optional.empty());
        feed(next, place.isPresent());
      }
    } finally {
      place.ifPresent(RoomQueue.Place::close);
      flight.ifPresent(this::land);
      release();
    }
  }

  private void owe(long doneBytes) {
    owed = Optional.of(new Owed(sender.env().nanoTime(), lengthBytes - doneBytes));
  }

  /** The try is over, one way or the other. Idempotent. */
  private void land(Flight open) {
    if (!open.over) {
      open.over = true;
      sender.chooser().end(open.choice);
    }
  }

  /**
   * While every group has a member that is suspected, an attempt would leave copies on the others
   * and no acknowledgement, for re-sync and garbage collection to carry: the cluster's word on the
   * suspect is waited for, for a while, since the suspicion may be wrong. A try that stood for long
   * was that while: what the next one's members take may be the word that the cluster waits for.
   */
  private Optional<GroupChooser.Choice> choose() {
    long stood = flight.map(open -> open.stoodNanos).orElse(0L);
    long wait = Math.min(SUSPECT_NANOS - stood, MOST_SUSPECT_NANOS);
    long until = Math.min(deadlineNanos, sender.env().nanoTime() + wait);
    while (true) {
      Optional<GroupChooser.Choice> choice = sender.chooser().choose(family);
      if (choice.isEmpty() || !choice.get().suspect() || sender.env().nanoTime() >= until) {
        return choice;
      }
      sender.awaitChange(until);
    }
  }

  /**
   * Nobody wants the chunk any more, which another thread finishes: it need not wait for room. May
   * come from any thread.
   */
  void giveUp() {
    unwanted.complete(true);
  }

  /** Gives the chunk up; what was stored of it becomes garbage with its session. */
  void abort() {
    given = true;
    flight.ifPresent(open -> {
      open.waiting.offer(Optional.empty());
      open.upload.abort("the writer gave the body up");
      land(open);
    });
    release();
  }

  /** Once nothing sends them any more. */
  private void release() {
    List<Slice> all = List.copyOf(slices);
    slices.clear();
    Runnable release = () -> all.forEach(slice -> slice.bytes().release());
    fed.ifPresentOrElse(outcome -> outcome.whenDone(_ -> release.run()), release);
  }

  /**
   * Sends what waits, until the last, or until a member refuses the chunk. A chain that does not
   * take a slice for too long is given up.
   *
   * @param carefully whether the second slice waits until every member has the first
   */
  private void feed(Flight open, boolean carefully) {
    boolean first = true;
    for (Optional<Slice> next = open.waiting.take(); next.isPresent(); next = open.waiting.take()) {
      Slice slice = next.get();
      if (!sent(open, slice)) {
        return;
      }
      if (carefully && first && !allHave(open, slice.bytes().length())) {
        return;
      }
      first = false;
    }
  }

  /** Sends a slice; false when the try is given up, or is to be. */
  private boolean sent(Flight open, Slice slice) {
    if (isRefused(open)) {
      // The client may take long, and what the others hold meanwhile is of no use.
      open.upload.abort("a member refused the chunk");
      return false;
    }
    if (isLate(open)) {
      open.upload.abort("the chunk goes elsewhere");
      return false;
    }
    long since = sender.env().nanoTime();
    long until = since + open.patienceNanos;
    while (true) {
      long probe = Math.min(sender.env().nanoTime() + PROBE_NANOS, until);
      if (open.upload.write(slice.bytes(), slice.crc32c(), probe)) {
        open.stoodNanos = Math.max(open.stoodNanos, sender.env().nanoTime() - since);
        open.watch.fed(slice.bytes().length());
        return true;
      }
      open.watch.look(lengthBytes);
      if (isLeft(open)) {
        open.upload.abort("a member is out");
        return false;
      }
      if (open.upload.ended() || probe == until) {
        open.stoodNanos = Math.max(open.stoodNanos, sender.env().nanoTime() - since);
        giveUpSilent(open);
        return false;
      }
    }
  }

  /** Whether a member has been put out: then the others would take the chunk for nothing. */
  private boolean isLeft(Flight open) {
    if (sender.chooser().stands(open.choice)) {
      return false;
    }
    open.broken = true;
    open.left = true;
    return true;
  }

  /** Waits until every member has so many bytes; false when that is not to be. */
  private boolean allHave(Flight open, int bytes) {
    long until = sender.env().nanoTime() + open.patienceNanos;
    while (open.upload.progressBytes().stream().anyMatch(has -> has < bytes)) {
      if (isRefused(open) || open.upload.ended()) {
        return false;
      }
      if (sender.env().nanoTime() >= until) {
        giveUpSilent(open);
        return false;
      }
      sender.env().sleep(ADMITTED_NANOS);
    }
    return true;
  }

  private static void tell(RoomQueue.Place place, Flight open) {
    List<HopAck> hops = open.upload.acknowledgedSoFar().hops();
    for (int i = 0; i < hops.size(); i++) {
      if (hops.get(i).full()) {
        place.full(
            hops.get(i).volume(), open.choice.chain().get(i).node() + ": " + hops.get(i).detail());
      }
    }
  }

  /** Whether a member has said what no other can make good. */
  private static boolean isRefused(Flight open) {
    return open.upload.acknowledgedSoFar().hops().stream()
        .anyMatch(hop ->
            hop.unfit()
                || hop.status() == HopAck.Status.REFUSED
                || hop.status() == HopAck.Status.STALE_EPOCH);
  }

  private static boolean lacksRoom(Flight open) {
    return open.upload.acknowledgedSoFar().hops().stream().anyMatch(HopAck::full);
  }

  private Optional<Acknowledged> complete(Flight open) {
    ChunkAck ack;
    if (open.broken || isRefused(open)) {
      // Not finished where a disk has refused it: the others would keep a copy that nobody names.
      ack = open.upload.acknowledgedSoFar();
      open.upload.abort("no progress");
      open.broken = true;
    } else {
      Outcome<ChunkAck> finished = open.upload.finish(lengthBytes, crc32c);
      ack = await(open, finished);
    }
    if (ack.allStored()) {
      sender.patience().arrived(open.stoodNanos);
      Owed all = owed.orElseThrow();
      sender
          .paces()
          .took(
              open.choice.chain(),
              open.watch.behind(),
              sender.env().nanoTime() - all.sinceNanos(),
              all.bytes(),
              load(open));
      return Optional.of(acknowledged(open));
    }
    if (avoidUnfit(ack) || open.broken || isOutOfTime(open)) {
      // Nothing below would be quicker than another group.
      return Optional.empty();
    }
    return completeDirectly(open, ack) ? Optional.of(acknowledged(open)) : Optional.empty();
  }

  /** Full and broken disks are passed by; the nodes that have them are not to blame. */
  private boolean avoidUnfit(ChunkAck ack) {
    boolean any = false;
    for (HopAck hop : ack.hops()) {
      if (hop.unfit()) {
        sender.suspects().add(hop.volume());
        any = true;
      }
    }
    return any;
  }

  private Acknowledged acknowledged(Flight open) {
    open.choice.chain().forEach(hop -> sender.suspects().clear(hop.node()));
    return new Acknowledged(open.id, open.choice.group(), lengthBytes, crc32c);
  }

  /** Waits for the acknowledgement for as long as there is progress. */
  private ChunkAck await(Flight open, Outcome<ChunkAck> finished) {
    long progress = -1;
    long since = sender.env().nanoTime();
    while (true) {
      boolean over = finished.awaitUntil(sender.env().nanoTime() + PROBE_NANOS);
      open.watch.look(lengthBytes);
      if (over) {
        try {
          return finished.get();
        } catch (ForebayException failure) {
          return open.upload.acknowledgedSoFar();
        }
      }
      long now = open.upload.acknowledgedBytes();
      long stored =
          open.upload.acknowledgedSoFar().hops().stream()
              .filter(hop -> hop.status() == HopAck.Status.STORED)
              .count();
      long seen = now * (ChunkPut.MAX_HOPS + 1) + stored;
      long stood = sender.env().nanoTime() - since;
      open.stoodNanos = Math.max(open.stoodNanos, stood);
      if (isLate(open) || isLeft(open) || isRefused(open)) {
        open.broken = true; // those that are not refused would be sent it once more
        ChunkAck ack = open.upload.acknowledgedSoFar();
        open.upload.abort(open.left ? "a member is out" : "the chunk goes elsewhere");
        return ack;
      }
      if (seen != progress) {
        progress = seen;
        since = sender.env().nanoTime();
      } else if (stood >= open.patienceNanos) {
        giveUpSilent(open);
        ChunkAck ack = open.upload.acknowledgedSoFar();
        open.upload.abort("no progress for " + stood / 1_000_000 + " ms");
        return ack;
      }
    }
  }

  private boolean isOutOfTime(Flight open) {
    return sender.env().nanoTime() >= open.untilNanos;
  }

  /** The try has stood for too long. */
  private void giveUpSilent(Flight open) {
    open.broken = true;
    if (given) {
      return; // it was ended here, which says nothing about anybody
    }
    if (!open.upload.ended()) {
      silent++;
    }
    suspectWhoLags(open);
  }

  /** Chunks that share the way with this one, as many as there were at once as far as is known. */
  private int load(Flight open) {
    return Math.max(open.load, sender.chooser().load(open.choice));
  }

  /** Whether the try takes so long that another group is better; it is then given up. */
  private boolean isLate(Flight open) {
    Optional<Owed> all = owed;
    if (open.load == 0 || all.isEmpty()) {
      return false;
    }
    open.watch.compare(lengthBytes);
    if (late == MOST_LATE) {
      return false;
    }
    long took = sender.env().nanoTime() - all.get().sinceNanos();
    if (!sender.paces().late(open.watch.behind(), took, all.get().bytes(), load(open))) {
      return false;
    }
    late++;
    open.broken = true;
    return true;
  }

  /** Rule R2 after a broken chain: the members of the same epoch, each for itself. */
  private boolean completeDirectly(Flight open, ChunkAck ack) {
    if (isLeft(open)) {
      return false;
    }
    for (int i = 0; i < ack.hops().size(); i++) {
      HopAck hopAck = ack.hops().get(i);
      Hop hop = open.choice.chain().get(i);
      switch (hopAck.status()) {
        case STORED -> {
          continue;
        }
        case STALE_EPOCH, REFUSED -> {
          // A refusal is an answer: the node is there. It may be without a lease for as long as an
          // election
          // takes; suspecting everybody for that would leave nobody to write to.
          return false;
        }
        case FAILED, UNREACHED -> {
          if (sender.suspects().contains(hop.node())) {
            return false;
          }
        }
      }
      if (!have(open, hop) && !sendTo(open, hop)) {
        if (sender.chooser().stands(open.choice)) {
          sender.suspects().add(hop.node());
        }
        return false;
      }
    }
    return true;
  }

  private boolean have(Flight open, Hop hop) {
    try {
      Reply reply =
          sender
              .network()
              .call(
                  hop.node(),
                  new DataMessage.ChunkHave(
                      hop.volume(),
                      open.id,
                      open.choice.group().id(),
                      open.choice.group().epoch(),
                      lengthBytes,
                      crc32c),
                  Optional.empty(),
                  open.patienceNanos)
              .await();
      return reply.message() instanceof DataMessage.ChunkHaveAck(var answer)
          && answer.status() == HopAck.Status.STORED;
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      return false;
    }
  }

  private boolean sendTo(Flight open, Hop hop) {
    var put =
        new ChunkPut(
            open.id,
            open.choice.group().id(),
            open.choice.group().epoch(),
            family.durability(),
            maxLengthBytes,
            List.of(hop));
    long untilNanos = sender.env().nanoTime() + GIVE_UP_NANOS;
    ChunkUpload upload = sender.network().upload(put, untilNanos);
    var single =
        flight(
            open.id,
            new GroupChooser.Choice(open.choice.group(), List.of(hop), false, false),
            upload,
            0,
            untilNanos);
    for (Slice slice : slices) {
      if (!upload.write(
          slice.bytes(), slice.crc32c(), sender.env().nanoTime() + single.patienceNanos)) {
        upload.abort("no progress");
        return false;
      }
      single.watch.fed(slice.bytes().length());
    }
    boolean stored = await(single, upload.finish(lengthBytes, crc32c)).allStored();
    open.left |= single.left;
    return stored;
  }

  private void suspectWhoLags(Flight open) {
    if (!isOutOfTime(open)) { // which says nothing of anybody
      open.watch.furthestBehind().ifPresent(hop -> sender.suspects().add(hop.node()));
    }
  }

  private static String lastRefusal(Flight open) {
    var words = new StringBuilder();
    List<HopAck> hops = open.upload.acknowledgedSoFar().hops();
    for (int i = 0; i < hops.size(); i++) {
      if (hops.get(i).status() != HopAck.Status.STORED) {
        words
            .append(words.isEmpty() ? "" : "; ")
            .append(open.choice.chain().get(i).node())
            .append(": ")
            .append(hops.get(i).status())
            .append(' ')
            .append(hops.get(i).detail());
      }
    }
    return words.isEmpty() ? open.choice.group().id() + " did not answer" : words.toString();
  }
}
