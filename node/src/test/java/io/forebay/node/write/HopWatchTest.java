package io.forebay.node.write;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.StillEnv;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.Hop;
import io.forebay.core.net.HopAck;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class HopWatchTest {
  private static final int CHUNK = 1 << 20;
  private static final NodeId SELF = new NodeId("n1");
  // This node's own, then two others.
  private static final List<Hop> CHAIN =
      IntStream.rangeClosed(1, 3)
          .mapToObj(each -> new Hop(new NodeId("n" + each), new VolumeId(each)))
          .toList();

  /** A chain whose hops have what the test says. */
  private static final class Upload implements ChunkUpload {
    List<Integer> progress = new ArrayList<>(Collections.nCopies(3, 0));
    final TreeSet<Integer> answered = new TreeSet<>();

    void has(int own, int second, int third) {
      progress = List.of(own, second, third);
    }

    @Override
    public boolean write(Bytes slice, int crc32c, long deadlineNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean ended() {
      return false;
    }

    @Override
    public Outcome<ChunkAck> finish(int lengthBytes, int crc32c) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long acknowledgedBytes() {
      throw new UnsupportedOperationException();
    }

    @Override
    public List<Integer> progressBytes() {
      return progress;
    }

    @Override
    public ChunkAck acknowledgedSoFar() {
      return new ChunkAck(
          IntStream.range(0, 3)
              .mapToObj(hop -> {
                VolumeId volume = CHAIN.get(hop).volume();
                return answered.contains(hop)
                    ? HopAck.stored(volume)
                    : HopAck.unreached(volume, "");
              })
              .toList());
    }

    @Override
    public void abort(String why) {
      throw new UnsupportedOperationException();
    }
  }

  private final StillEnv env = new StillEnv();
  private final LinkRates rates = new LinkRates(env);

  /** A chunk that is all sent. */
  private HopWatch sent(Upload upload) {
    var watch = new HopWatch(env, SELF, CHAIN, upload, rates);
    watch.fed(CHUNK);
    return watch;
  }

  private void stand(HopWatch watch, int looks) {
    for (int i = 0; i < looks; i++) {
      env.pass(50);
      watch.look(CHUNK);
    }
  }

  /** Another chunk goes through at once, second is whoever this node sends it to. */
  private void goesThrough(int second) {
    List<Hop> chain = List.of(CHAIN.get(0), CHAIN.get(second - 1), CHAIN.get(4 - second));
    var upload = new Upload();
    var watch = new HopWatch(env, SELF, chain, upload, rates);
    watch.fed(CHUNK);
    env.pass(20);
    upload.has(CHUNK, CHUNK, 0);
    watch.look(CHUNK);
  }

  @Test
  void whoStandsIsSlowWhereTheOtherOneIsQuick() {
    var upload = new Upload();
    HopWatch watch = sent(upload);
    upload.has(CHUNK, 0, 0);
    stand(watch, 10);
    goesThrough(3);
    assertThat(rates.slow()).isEmpty();
    stand(watch, 10);
    assertThat(rates.slow()).containsOnlyKeys(new VolumeId(2));
    assertThat(watch.furthestBehind()).contains(CHAIN.get(1));
  }

  /** It has taken all that its window holds, and has nothing to send on with. */
  @Test
  void ofTwoThatAreAsFarBehindTheLastOneIsToBlame() {
    var upload = new Upload();
    HopWatch watch = sent(upload);
    upload.has(CHUNK, CHUNK / 2, 0);
    assertThat(watch.furthestBehind()).contains(CHAIN.get(2));
    upload.has(CHUNK, 0, 0);
    assertThat(watch.furthestBehind()).contains(CHAIN.get(1));
    upload.has(CHUNK, CHUNK, CHUNK);
    assertThat(watch.furthestBehind()).as("none is behind").isEmpty();
  }

  /** Its window is full, for the last one takes nothing. */
  @Test
  void whoIsHeldUpByTheHopBehindItIsNotSlow() {
    var upload = new Upload();
    HopWatch watch = sent(upload);
    upload.has(CHUNK, CHUNK / 2, 0);
    stand(watch, 10);
    goesThrough(2);
    stand(watch, 10);
    assertThat(rates.slow()).containsOnlyKeys(new VolumeId(3));
  }

  /** No new chunk is needed to see that: this one goes on there. */
  @Test
  void whoGoesOnTakingIsTheMeasureForWhoStands() {
    goesThrough(3);
    var standing = new Upload();
    HopWatch stands = sent(standing);
    standing.has(CHUNK, 0, 0);
    var other = new Upload();
    var goesOn =
        new HopWatch(env, SELF, List.of(CHAIN.get(0), CHAIN.get(2), CHAIN.get(1)), other, rates);
    goesOn.fed(32 * CHUNK);
    for (int i = 1; i <= 20; i++) {
      env.pass(50);
      other.has(32 * CHUNK, i * CHUNK, 0);
      goesOn.look(32 * CHUNK);
      stands.look(CHUNK);
    }
    assertThat(rates.slow()).containsOnlyKeys(new VolumeId(2));
  }

  @Test
  void whatWaitedForItsClientSaysNothingOfASpeed() {
    var upload = new Upload();
    HopWatch watch = sent(upload);
    upload.has(CHUNK, 0, 0);
    stand(watch, 10);
    var other = new Upload();
    var slowly =
        new HopWatch(env, SELF, List.of(CHAIN.get(0), CHAIN.get(2), CHAIN.get(1)), other, rates);
    slowly.fed(CHUNK / 4);
    env.pass(50);
    slowly.fed(CHUNK / 4);
    slowly.fed(CHUNK / 2);
    env.pass(5);
    other.has(CHUNK, CHUNK, CHUNK);
    slowly.look(CHUNK);
    stand(watch, 10);
    assertThat(rates.slow()).isEmpty();
    goesThrough(3);
    assertThat(rates.slow()).containsOnlyKeys(new VolumeId(2));
  }

  @Test
  void whoHasAnsweredIsNotWaitedFor() {
    var upload = new Upload();
    HopWatch watch = sent(upload);
    upload.has(CHUNK, 0, 0);
    upload.answered.addAll(List.of(1, 2));
    stand(watch, 10);
    goesThrough(3);
    stand(watch, 10);
    assertThat(rates.slow()).isEmpty();
  }

  /** Then it cannot have seen what happened. */
  @Test
  void whoLooksLateCountsLittleOfIt() {
    var upload = new Upload();
    HopWatch watch = sent(upload);
    upload.has(CHUNK, 0, 0);
    stand(watch, 1);
    env.pass(3_000);
    watch.look(CHUNK);
    goesThrough(3);
    assertThat(rates.slow()).isEmpty();
  }

  @Test
  void thisNodesOwnDiskIsNotJudgedHere() {
    var upload = new Upload();
    HopWatch watch = sent(upload);
    stand(watch, 10);
    goesThrough(3);
    stand(watch, 10);
    assertThat(rates.slow()).isEmpty();
    assertThat(watch.furthestBehind()).isEmpty();
  }
}
