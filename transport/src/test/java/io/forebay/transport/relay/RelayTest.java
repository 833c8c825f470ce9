package io.forebay.transport.relay;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.Env;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.Hop;
import io.forebay.core.net.HopAck;
import io.forebay.core.net.HopAck.Status;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A relay between a scripted world's ports: what it says and holds after each event. */
final class RelayTest {
  private static final int WINDOW = 3;
  private static final int SLICE_BYTES = 4096;
  private static final int SLICES = 6;

  private final SlabPool pool = new SlabPool(new NoWaitingEnv(), SLICE_BYTES, 64);

  @Test
  void slicesGoToBothSidesInOrderAndTheAnswersAreMerged() {
    var world = new World(3, true);
    world.relay.begin();
    world.relay.admitted();
    world.relay.nextCredit(2, 0, List.of(0, 0));
    world.sendSlices(3);

    assertThat(world.log).containsSubsequence("open", "write 0", "write 1", "write 2");
    assertThat(world.log).containsSubsequence("send 0", "send 1").doesNotContain("send 2");
    world.relay.nextCredit(4, 0, List.of(0, 0));
    assertThat(world.log).contains("send 2");

    world.finish();
    assertThat(world.log).contains("finish next").doesNotContain("commit");
    world.writtenAndSent(0, 1, 2);
    assertThat(world.log).contains("commit");
    assertThat(world.relay.heldSlices()).isZero();

    world.relay.nextAcknowledged(
        new ChunkAck(List.of(HopAck.stored(volume(1)), HopAck.stored(volume(2)))), true);
    assertThat(world.last).isNull();
    world.relay.localCommitted(HopAck.stored(volume(0)));
    assertThat(world.requireLast().allStored()).isTrue();
    assertThat(world.requireLast().hops())
        .extracting(HopAck::volume)
        .containsExactly(volume(0), volume(1), volume(2));
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void theGrantGrowsOnlyWhenBothSidesAreDoneWithASlice() {
    var world = world(2);
    world.sendSlices(WINDOW);
    assertThat(world.granted).isEqualTo(WINDOW);
    world.relay.localWritten(0, Optional.empty());
    assertThat(world.granted).isEqualTo(WINDOW);
    world.relay.nextSent(0);
    assertThat(world.granted).isEqualTo(WINDOW + 1);
    world.relay.nextSent(1);
    assertThat(world.granted).isEqualTo(WINDOW + 1);
    world.relay.localWritten(1, Optional.empty());
    assertThat(world.granted).isEqualTo(WINDOW + 2);
    world.relay.abort("test over");
  }

  @Test
  void creditedIsTheLeastOfThisDiskAndTheHopsBehind() {
    var world = world(3);
    world.sendSlices(2);
    world.relay.localWritten(0, Optional.empty());
    assertThat(world.credited).isZero();
    world.relay.nextCredit(100, SLICE_BYTES, List.of(2 * SLICE_BYTES, SLICE_BYTES));
    assertThat(world.credited).isEqualTo(SLICE_BYTES);
    assertThat(world.progress).containsExactly(SLICE_BYTES, 2 * SLICE_BYTES, SLICE_BYTES);
    world.relay.nextCredit(100, 2 * SLICE_BYTES, List.of(2 * SLICE_BYTES, 2 * SLICE_BYTES));
    assertThat(world.credited).isEqualTo(SLICE_BYTES);
    world.relay.abort("test over");
  }

  @Test
  void aBreakOfTheNextHopLeavesTheLocalCopyToComplete() {
    var world = world(3);
    world.sendSlices(2);
    world.relay.nextSent(0);
    world.relay.nextBroken("connection reset");
    world.relay.localWritten(0, Optional.empty());
    world.relay.nextSent(1);
    world.relay.localWritten(1, Optional.empty());
    assertThat(world.granted).isEqualTo(WINDOW + 2);
    world.sendSlices(1);
    assertThat(world.log).doesNotContain("send 2");
    world.relay.localWritten(2, Optional.empty());
    world.finish();
    world.relay.localCommitted(HopAck.stored(volume(0)));

    assertThat(world.statuses()).containsExactly(Status.STORED, Status.UNREACHED, Status.UNREACHED);
    assertThat(world.requireLast().hops().get(1).detail()).isEqualTo("connection reset");
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void aRefusalEndsTheUploadAndIsNotPassedOn() {
    var world = new World(3, true);
    world.relay.begin();
    world.sendSlices(WINDOW);
    world.relay.refused(
        new HopAck(volume(0), Status.STALE_EPOCH, Optional.empty(), "knows epoch 7"));

    assertThat(world.statuses())
        .containsExactly(Status.STALE_EPOCH, Status.UNREACHED, Status.UNREACHED);
    assertThat(world.log).doesNotContain("open").doesNotContain("write 0");
    world.relay.slice(world.slab(9), 0);
    world.finish();
    assertThat(world.lasts).isEqualTo(1);
    world.releaseOwn();
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void aLocalDiskFailureLeavesTheHopsBehindToComplete() {
    var world = world(2);
    world.sendSlices(2);
    world.relay.localWritten(0, Optional.of("disk gone"));
    assertThat(world.log).contains("abort local");
    assertThat(world.relay.soFar().hops().get(0).status()).isEqualTo(Status.FAILED);
    world.relay.localWritten(1, Optional.empty());
    world.relay.nextSent(0);
    world.relay.nextSent(1);
    world.sendSlices(1);
    assertThat(world.log).contains("send 2").doesNotContain("write 2");
    world.relay.nextSent(2);
    world.finish();
    world.relay.nextAcknowledged(new ChunkAck(List.of(HopAck.stored(volume(1)))), true);

    assertThat(world.statuses()).containsExactly(Status.FAILED, Status.STORED);
    assertThat(world.log).doesNotContain("commit");
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void anAbortFreesEverythingAndTellsTheNextHopButNobodyBefore() {
    var world = world(2);
    world.sendSlices(2);
    world.relay.abort("the writer died");
    assertThat(world.log).contains("abort local", "abort next: the writer died");
    world.relay.abort("again");
    world.writtenAndSent(0, 1);
    world.relay.nextAcknowledged(new ChunkAck(List.of(HopAck.stored(volume(1)))), true);
    world.relay.localCommitted(HopAck.stored(volume(0)));
    assertThat(world.lasts).isZero();
    assertThat(Collections.frequency(world.log, "abort local")).isEqualTo(1);
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void anAbortBeforeTheAdmissionFreesWhatIsAdmittedLater() {
    var world = new World(2, true);
    world.relay.begin();
    world.sendSlices(1);
    world.relay.abort("gone");
    assertThat(world.log).doesNotContain("abort local");
    world.relay.admitted();
    assertThat(world.log).contains("abort local").doesNotContain("open");
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void aFinishThatDoesNotFitWhatArrivedFailsTheCopy() {
    var world = world(2);
    world.sendSlices(1);
    world.relay.finish(SLICE_BYTES, world.crc + 1);
    assertThat(world.statuses()).containsExactly(Status.FAILED, Status.UNREACHED);
    assertThat(world.log).contains("abort local").doesNotContain("commit");
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void aSenderBeyondItsWindowIsFailedAndNothingIsHeld() {
    var world = world(1);
    world.sendSlices(WINDOW);
    world.relay.slice(world.slab(77), 0);
    assertThat(world.statuses()).containsExactly(Status.FAILED);
    world.releaseOwn();
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void aSecondFinishAndLateAcknowledgementsChangeNothing() {
    var world = world(2);
    world.sendSlices(1);
    world.writtenAndSent(0);
    world.finish();
    world.finish();
    world.relay.localCommitted(HopAck.stored(volume(0)));
    world.relay.nextAcknowledged(new ChunkAck(List.of(HopAck.stored(volume(1)))), true);
    world.relay.nextAcknowledged(new ChunkAck(List.of(HopAck.unreached(volume(1), "late"))), true);
    world.relay.nextBroken("late");
    assertThat(world.lasts).isEqualTo(1);
    assertThat(world.requireLast().allStored()).isTrue();
    assertThat(Collections.frequency(world.log, "commit")).isEqualTo(1);
    assertThat(Collections.frequency(world.log, "finish next")).isEqualTo(1);
  }

  @Test
  void whatOneHopSaysIsPassedOnBeforeTheOthersAnswer() {
    var world = world(3);
    world.sendSlices(1);
    world.writtenAndSent(0);
    world.finish();
    world.relay.localCommitted(HopAck.stored(volume(0)));
    assertThat(world.lasts).isZero();
    assertThat(world.partial).isNotNull();
    world.relay.nextAcknowledged(
        new ChunkAck(List.of(HopAck.stored(volume(1)), HopAck.unreached(volume(2), "not yet"))),
        false);
    assertThat(world.relay.soFar().hops())
        .extracting(HopAck::status)
        .containsExactly(Status.STORED, Status.STORED, Status.UNREACHED);
    world.relay.nextBroken("silent for 1.5 s");
    assertThat(world.statuses()).containsExactly(Status.STORED, Status.STORED, Status.UNREACHED);
  }

  /** Of two hops, by the first, which therefore sends nothing on. */
  private static ChunkAck refused() {
    return new ChunkAck(
        List.of(
            new HopAck(volume(1), Status.REFUSED, Optional.empty(), "NO_SPACE: full"),
            HopAck.unreached(volume(2), "the hop before refused the chunk")));
  }

  @Test
  void aRefusalBehindIsPassedOnAtOnceAndTheLocalCopyGoesOn() {
    var world = world(3);
    world.sendSlices(1);
    world.relay.nextAcknowledged(refused(), true);
    assertThat(world.partial).isNotNull();
    assertThat(world.partial.hops())
        .extracting(HopAck::status)
        .containsExactly(Status.UNREACHED, Status.REFUSED, Status.UNREACHED);
    assertThat(world.lasts).isZero();
    world.sendSlices(1);
    assertThat(world.log).contains("write 1").doesNotContain("send 1");
    world.writtenAndSent(0);
    world.relay.localWritten(1, Optional.empty());
    world.finish();
    world.relay.localCommitted(HopAck.stored(volume(0)));
    assertThat(world.statuses()).containsExactly(Status.STORED, Status.REFUSED, Status.UNREACHED);
    assertThat(Collections.frequency(world.log, "partial")).isEqualTo(1);
    assertThat(pool.available()).isEqualTo(pool.count());
  }

  @Test
  void whoeverWaitsForAGrantLearnsOfTheRefusalFirst() {
    var world = new World(3, true);
    world.relay.begin();
    world.relay.admitted();
    world.sendSlices(WINDOW);
    for (int i = 0; i < WINDOW; i++) {
      world.relay.localWritten(i, Optional.empty());
    }
    assertThat(world.granted).as("the next hop has granted nothing").isEqualTo(WINDOW);
    world.relay.nextAcknowledged(refused(), true);
    assertThat(world.log).containsSubsequence("partial", "credit " + 2 * WINDOW);
    world.relay.abort("test over");
  }

  @Test
  void whatIsStoredBehindAndABreakWaitForThisDisksWord() {
    var stored = world(2);
    stored.sendSlices(1);
    stored.writtenAndSent(0);
    stored.finish();
    stored.relay.nextAcknowledged(new ChunkAck(List.of(HopAck.stored(volume(1)))), true);
    assertThat(stored.partial).isNull();
    stored.relay.localCommitted(HopAck.stored(volume(0)));
    assertThat(stored.requireLast().allStored()).isTrue();

    var broken = world(2);
    broken.relay.nextBroken("connection reset");
    assertThat(broken.partial).isNull();
    broken.relay.abort("test over");
  }

  @Test
  void aRefusalFurtherBehindDoesNotStopTheHopsBetween() {
    var world = world(3);
    world.relay.nextAcknowledged(
        new ChunkAck(
            List.of(
                HopAck.unreached(volume(1), "not yet"),
                new HopAck(volume(2), Status.REFUSED, Optional.empty(), "NO_SPACE: full"))),
        false);
    assertThat(world.partial).isNotNull();
    assertThat(world.partial.hops().get(2).full()).isTrue();
    world.sendSlices(1);
    assertThat(world.log).contains("write 0", "send 0");
    world.relay.abort("test over");
  }

  @Test
  void anyOrderOfEventsKeepsTheBoundsAndReleasesEachSliceOnce() {
    for (long seed = 0; seed < 20_000; seed++) {
      try {
        runRandom(new Random(seed));
      } catch (RuntimeException | AssertionError failure) {
        throw new AssertionError("seed " + seed, failure);
      }
    }
  }

  /** Picks among the events that are possible, until nothing is left to happen. */
  private void runRandom(Random random) {
    int hops = 1 + random.nextInt(4);
    boolean here = hops == 1 || random.nextInt(4) > 0;
    var world = new World(hops, here);
    boolean faulty = random.nextBoolean();
    boolean admissionDone = !here;
    boolean finished = false;
    boolean nextEnded = false;
    boolean committed = false;
    int nextGrant = 0;
    int sentSlices = 0;
    boolean aborted = false;
    world.relay.begin();
    for (int step = 0; step < 400; step++) {
      int fault = faulty ? random.nextInt(60) : 99;
      if (fault == 0 && world.opened && !nextEnded) {
        world.relay.nextBroken("broken");
        nextEnded = true;
      } else if (fault == 2 && world.opened && !nextEnded) {
        world.relay.nextAcknowledged(
            new ChunkAck(
                List.of(
                    new HopAck(
                        volume(here ? 1 : 0), Status.REFUSED, Optional.empty(), "NO_SPACE: full"))),
            true);
        nextEnded = true;
      } else if (fault == 1) {
        world.relay.abort("abort");
        aborted = true;
      } else {
        switch (random.nextInt(8)) {
          case 0, 1 -> {
            if (sentSlices < Math.min(SLICES, world.granted) && !finished) {
              world.sendSlices(1);
              sentSlices++;
            }
          }
          case 2 -> {
            if (!admissionDone) {
              admissionDone = true;
              if (faulty && random.nextInt(5) == 0) {
                world.relay.refused(
                    new HopAck(volume(0), Status.REFUSED, Optional.empty(), "full"));
              } else {
                world.relay.admitted();
              }
            }
          }
          case 3 -> {
            if (!world.writing.isEmpty()) {
              int index = world.writing.remove(/* index */ random.nextInt(world.writing.size()));
              boolean fails = faulty && random.nextInt(12) == 0;
              world.relay.localWritten(index, fails ? Optional.of("disk") : Optional.empty());
            }
          }
          case 4 -> {
            if (!world.sending.isEmpty()) {
              world.relay.nextSent(
                  world.sending.remove(/* index */ random.nextInt(world.sending.size())));
            }
          }
          case 5 -> {
            if (world.opened && !nextEnded && nextGrant < SLICES + WINDOW) {
              nextGrant += 1 + random.nextInt(2);
              world.relay.nextCredit(nextGrant, 0, List.of());
            }
          }
          case 6 -> {
            if (sentSlices == SLICES && (!finished || random.nextInt(10) == 0)) {
              world.finish();
              finished = true;
            }
          }
          default -> {
            if (world.log.contains("commit") && !committed) {
              committed = true;
              world.relay.localCommitted(HopAck.stored(volume(0)));
            }
            if (world.log.contains("finish next") && (!nextEnded || random.nextInt(10) == 0)) {
              nextEnded = true;
              world.relay.nextAcknowledged(
                  new ChunkAck(
                      IntStream.range(here ? 1 : 0, hops)
                          .mapToObj(i -> HopAck.stored(volume(i)))
                          .toList()),
                  true);
            }
          }
        }
      }
      assertThat(world.relay.heldSlices()).isLessThanOrEqualTo(WINDOW);
      assertThat(world.granted - sentSlices).isLessThanOrEqualTo(WINDOW);
      assertThat(world.lasts).isLessThanOrEqualTo(1);
    }
    if (!world.relay.ended()) {
      world.relay.abort("the dice did not end it");
      aborted = true;
    }
    assertThat(world.lasts == 1 || aborted).isTrue();
    if (!faulty && world.lasts == 1) {
      assertThat(world.requireLast().allStored()).isTrue();
    }
    if (world.lasts == 1 && world.partial != null) {
      for (HopAck said : world.partial.hops()) {
        assertThat(said.status() == Status.UNREACHED || world.requireLast().hops().contains(said))
            .isTrue();
      }
    }
    for (int i = 0; i < Math.min(world.writes.size(), SLICES); i++) {
      assertThat(world.writes.get(i)).isEqualTo(i);
    }
    for (int i = 0; i < world.sends.size(); i++) {
      assertThat(world.sends.get(i)).isEqualTo(i);
    }
    long committedOrAborted =
        world.log.stream()
            .filter(line -> line.equals("commit") || line.equals("abort local"))
            .count();
    assertThat(committedOrAborted).isLessThanOrEqualTo(1);
    assertThat(pool.available()).as("every slice is released exactly once").isEqualTo(pool.count());
  }

  private World world(int hops) {
    var world = new World(hops, true);
    world.relay.begin();
    world.relay.admitted();
    world.relay.nextCredit(100, 0, List.of());
    return world;
  }

  private static VolumeId volume(int hop) {
    return new VolumeId(100 + hop);
  }

  private static ChunkPut put(int hops) {
    return new ChunkPut(
        new ChunkId(new SessionId(1), 1),
        new GroupId(1),
        new Epoch(1),
        Durability.REPLICATED,
        1 << 20,
        IntStream.range(0, hops).mapToObj(i -> new Hop(new NodeId("n" + i), volume(i))).toList());
  }

  /** Records every effect. */
  private final class World implements Relay.Local, Relay.Next, Relay.Upstream {
    final List<String> log = new ArrayList<>();
    final List<Integer> writing = new ArrayList<>();
    final List<Integer> sending = new ArrayList<>();
    final List<Integer> writes = new ArrayList<>();
    final List<Integer> sends = new ArrayList<>();
    final List<Bytes> own = new ArrayList<>();
    final Relay relay;
    boolean opened;
    int granted;
    int credited;
    List<Integer> progress = List.of();
    ChunkAck partial;
    ChunkAck last;
    int lasts;
    int crc;
    int length;

    @SuppressWarnings("this-escape") // the relay calls back only when it is driven
    World(int hops, boolean here) {
      relay = new Relay(put(hops), here, WINDOW, this, this, this);
    }

    Bytes slab(int content) {
      Slab slab = pool.take();
      slab.buffer().putInt(0, content);
      Bytes bytes = slab.bytes(0, SLICE_BYTES);
      slab.release();
      own.add(bytes);
      return bytes;
    }

    void releaseOwn() {
      own.forEach(Bytes::release);
      own.clear();
    }

    void sendSlices(int count) {
      for (int i = 0; i < count; i++) {
        Bytes slice = slab(i);
        int sliceCrc = slice.crc32c();
        crc = length == 0 ? sliceCrc : Crc32cCombiner.combine(crc, sliceCrc, SLICE_BYTES);
        length += SLICE_BYTES;
        relay.slice(slice, sliceCrc);
        releaseOwn();
      }
    }

    void finish() {
      relay.finish(length, crc);
    }

    void writtenAndSent(int... indexes) {
      for (int index : indexes) {
        relay.localWritten(index, Optional.empty());
        relay.nextSent(index);
      }
    }

    ChunkAck requireLast() {
      assertThat(last).as("the last acknowledgement").isNotNull();
      return last;
    }

    List<Status> statuses() {
      return requireLast().hops().stream().map(HopAck::status).toList();
    }

    @Override
    public void write(int index, int offset, Bytes slice, int crc32c) {
      assertThat(offset).isEqualTo(index * SLICE_BYTES);
      log.add("write " + index);
      writing.add(index);
      writes.add(index);
    }

    @Override
    public void commit(int lengthBytes, int crc32c) {
      assertThat(lengthBytes).isEqualTo(length);
      assertThat(crc32c).isEqualTo(crc);
      log.add("commit");
    }

    @Override
    public void abort() {
      log.add("abort local");
    }

    @Override
    public void open() {
      opened = true;
      log.add("open");
    }

    @Override
    public void send(int index, int offset, Bytes slice, int crc32c) {
      assertThat(slice.crc32c()).isEqualTo(crc32c);
      log.add("send " + index);
      sending.add(index);
      sends.add(index);
    }

    @Override
    public void finish(int lengthBytes, int crc32c) {
      log.add("finish next");
    }

    @Override
    public void abort(String why) {
      log.add("abort next: " + why);
    }

    @Override
    public void credit(int grantedSlices, int creditedBytes, List<Integer> progressBytes) {
      assertThat(grantedSlices).isGreaterThanOrEqualTo(granted);
      assertThat(creditedBytes).isGreaterThanOrEqualTo(credited);
      granted = grantedSlices;
      credited = creditedBytes;
      progress = progressBytes;
      log.add("credit " + grantedSlices);
    }

    @Override
    public void acknowledge(ChunkAck ack, boolean isLast) {
      if (isLast) {
        last = ack;
        lasts++;
      } else {
        partial = ack;
        log.add("partial");
      }
    }
  }

  /** Pools want an Env for waiting; nothing here waits. */
  private static final class NoWaitingEnv implements Env {
    @Override
    public long nanoTime() {
      throw new UnsupportedOperationException();
    }

    @Override
    public long wallMillis() {
      throw new UnsupportedOperationException();
    }

    @Override
    public RandomGenerator random() {
      throw new UnsupportedOperationException();
    }

    @Override
    public Thread spawn(String name, Runnable task) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Timer schedule(long delayNanos, Runnable callback) {
      throw new UnsupportedOperationException();
    }
  }
}
