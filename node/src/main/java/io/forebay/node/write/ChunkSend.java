package io.forebay.node.write;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.Group;
import io.forebay.core.env.BoundedQueue;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
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
 * hold it already, the bytes for the others. A member that makes no progress for 500 ms is
 * suspected, and the chunk is written under a new id to another group (rule R10): a writer never
 * waits for an epoch change.
 *
 * <p>A chunk that finds no room anywhere takes its place in the {@link RoomQueue}. Its tries from
 * there begin with one slice, and the others follow when every member has that: else each try would
 * leave a whole copy on the members that do have room, which is garbage only when the body is over.
 */
final class ChunkSend {
  /** A chunk that every member of its group holds. */
  record Acknowledged(ChunkId id, Group group, int lengthBytes, int crc32c) {}

  private record Slice(Bytes bytes, int crc32c) {}

  static final long STALL_NANOS = 500_000_000L;
  private static final long PROBE_NANOS = 50_000_000L;
  // Between two attempts that suspicion alone speaks against.
  private static final long SUSPECT_NANOS = 700_000_000L;
  // Re-homing goes on for so long before the write fails by name; two elections and a detection fit
  // in. A client that takes longer to bring a chunk keeps no member's buffers meanwhile: the chunk
  // is sent anew when it is whole.
  private static final long GIVE_UP_NANOS = 30_000_000_000L;
  // So many volumes without room, one after the other, are taken for all.
  private static final int MANY_FULL = 16;
  private static final long ADMITTED_NANOS = 5_000_000L;
  private static final long HAVE_NANOS = 500_000_000L;

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

  /** One try: a chunk id, a group at an epoch, and the upload to its chain. */
  private static final class Flight {
    final ChunkId id;
    final GroupChooser.Choice choice;
    final ChunkUpload upload;
    final long untilNanos;
    final BoundedQueue<Optional<Slice>> waiting; // empty: that was the last
    boolean broken;
    boolean over;

    Flight(
        Env env,
        int maxLengthBytes,
        ChunkId id,
        GroupChooser.Choice choice,
        ChunkUpload upload,
        long untilNanos) {
      this.untilNanos = untilNanos;
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
            .map(choice -> take(choice, ticket.nextChunk()));
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

  private Flight take(GroupChooser.Choice choice, ChunkId id) {
    var put =
        new ChunkPut(
            id,
            choice.group().id(),
            choice.group().epoch(),
            family.durability(),
            maxLengthBytes,
            choice.chain());
    Flight next = flight(id, choice, sender.network().upload(put, deadlineNanos));
    sender.chooser().begin(choice);
    return next;
  }

  private Flight flight(ChunkId id, GroupChooser.Choice choice, ChunkUpload upload) {
    return new Flight(sender.env(), maxLengthBytes, id, choice, upload, deadlineNanos);
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
    flight.ifPresent(open -> open.waiting.offer(Optional.empty()));
    Optional<RoomQueue.Place> place = Optional.empty();
    try {
      fed.ifPresent(Outcome::await);
      String why = "no group of this family takes writes";
      int full = 0;
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
          why = lastRefusal(open);
          full += lacksRoom(open) ? 1 : 0;
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
          sender.env().sleep(PROBE_NANOS / 2);
        }
        ChunkId id =
            flight
                .filter(_ -> !Rule.R10_ID.holds())
                .map(open -> open.id)
                .orElseGet(ticket::nextChunk);
        Flight next = take(choice.get(), id);
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
   * suspect is waited for, for a while, since the suspicion may be wrong.
   */
  private Optional<GroupChooser.Choice> choose() {
    long until = Math.min(deadlineNanos, sender.env().nanoTime() + SUSPECT_NANOS);
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
   * take a slice within the stall time is given up.
   *
   * @param carefully whether the second slice waits until every member has the first
   */
  private void feed(Flight open, boolean carefully) {
    boolean first = true;
    for (Optional<Slice> next = open.waiting.take(); next.isPresent(); next = open.waiting.take()) {
      if (unfit(open)) {
        return;
      }
      Slice slice = next.get();
      if (!open.upload.write(
          slice.bytes(), slice.crc32c(), sender.env().nanoTime() + STALL_NANOS)) {
        open.broken = true;
        suspectWhoLags(open);
        return;
      }
      if (carefully && first && !allHave(open, slice.bytes().length())) {
        return;
      }
      first = false;
    }
  }

  /** Waits until every member has so many bytes; false when that is not to be. */
  private boolean allHave(Flight open, int bytes) {
    long until = sender.env().nanoTime() + STALL_NANOS;
    while (open.upload.progressBytes().stream().anyMatch(has -> has < bytes)) {
      if (unfit(open) || open.upload.ended()) {
        return false;
      }
      if (sender.env().nanoTime() >= until) {
        open.broken = true;
        suspectWhoLags(open);
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

  private static boolean unfit(Flight open) {
    return open.upload.acknowledgedSoFar().hops().stream().anyMatch(HopAck::unfit);
  }

  private static boolean lacksRoom(Flight open) {
    return open.upload.acknowledgedSoFar().hops().stream().anyMatch(HopAck::full);
  }

  private Optional<Acknowledged> complete(Flight open) {
    ChunkAck ack;
    if (open.broken || unfit(open)) {
      // Not finished where a disk has refused it: the others would keep a copy that nobody names.
      ack = open.upload.acknowledgedSoFar();
      open.upload.abort("no progress");
      open.broken = true;
    } else {
      Outcome<ChunkAck> finished = open.upload.finish(lengthBytes, crc32c);
      ack = await(open, finished);
    }
    if (ack.allStored()) {
      return Optional.of(acknowledged(open));
    }
    if (avoidUnfit(ack) || open.broken) {
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
      if (finished.awaitUntil(sender.env().nanoTime() + PROBE_NANOS)) {
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
      if (seen != progress) {
        progress = seen;
        since = sender.env().nanoTime();
      } else if (sender.env().nanoTime() - since >= STALL_NANOS) {
        suspectWhoLags(open);
        ChunkAck ack = open.upload.acknowledgedSoFar();
        open.broken = true;
        open.upload.abort("no progress for 500 ms");
        return ack;
      }
    }
  }

  /** Rule R2 after a broken chain: the members of the same epoch, each for itself. */
  private boolean completeDirectly(Flight open, ChunkAck ack) {
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
        sender.suspects().add(hop.node());
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
                  HAVE_NANOS)
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
    ChunkUpload upload = sender.network().upload(put, deadlineNanos);
    for (Slice slice : slices) {
      if (!upload.write(slice.bytes(), slice.crc32c(), sender.env().nanoTime() + STALL_NANOS)) {
        upload.abort("no progress");
        return false;
      }
    }
    var single =
        flight(
            open.id,
            new GroupChooser.Choice(open.choice.group(), List.of(hop), false, false),
            upload);
    return await(single, upload.finish(lengthBytes, crc32c)).allStored();
  }

  private void suspectWhoLags(Flight open) {
    if (sender.env().nanoTime() >= open.untilNanos) {
      return; // its time was over, which says nothing of anybody
    }
    List<Integer> progress = open.upload.progressBytes();
    List<HopAck> hops = open.upload.acknowledgedSoFar().hops();
    // The first hop that has less than the one before it, and has not answered, is what holds
    // things up.
    int lagging = -1;
    int least = Integer.MAX_VALUE;
    for (int i = 0; i < hops.size(); i++) {
      HopAck.Status status = hops.get(i).status();
      if (status == HopAck.Status.REFUSED || status == HopAck.Status.STALE_EPOCH) {
        return; // an answer, and the reason why nothing goes on
      }
      if (status == HopAck.Status.UNREACHED && i < progress.size() && progress.get(i) < least) {
        least = progress.get(i);
        lagging = i;
      }
    }
    if (lagging >= 0 && !open.choice.chain().get(lagging).node().equals(sender.self())) {
      sender.suspects().add(open.choice.chain().get(lagging).node());
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
