package io.forebay.node.write;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.VolumeId;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RoomQueueTest {
  private static final long LONG_NANOS = 600_000_000_000L;
  private static final long SHORT_NANOS = 300_000_000L;
  private static final Bucket STORED = bucket("memory:");
  private static final Bucket CACHE_ONLY = bucket("");

  private final TestEnv env = new TestEnv();

  @AfterEach
  void end() {
    env.close();
  }

  private static Bucket bucket(String storeUrl) {
    return new Bucket(
        new BucketId(1),
        "b",
        new Family(1, 1, Durability.REPLICATED),
        storeUrl,
        storeUrl.isEmpty() ? FlushMode.CACHE_ONLY : FlushMode.BACK,
        List.of(),
        1 << 20,
        0,
        0,
        0);
  }

  private Outcome<Boolean> wanted() {
    return new Outcome<>(env);
  }

  private static void assertFull(ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NO_SPACE));
  }

  /** Returns when it has begun. */
  private Outcome<Boolean> inBackground(Runnable task) {
    var begun = new Outcome<Boolean>(env);
    var done = new Outcome<Boolean>(env);
    env.spawn(
        "test",
        () -> {
          begun.complete(true);
          try {
            task.run();
            done.complete(true);
          } catch (ForebayException failure) {
            done.fail(failure);
          }
        });
    begun.await();
    return done;
  }

  @Test
  void whoCameFirstIsServedFirst() {
    var rooms = new RoomQueue(env, LONG_NANOS);
    RoomQueue.Place first = rooms.enter(STORED, wanted());
    RoomQueue.Place second = rooms.enter(STORED, wanted());
    Outcome<Boolean> turn = inBackground(second::awaitTurn);
    Outcome<Boolean> gate = inBackground(() -> rooms.awaitNone(STORED));
    for (int i = 0; i < 3; i++) {
      first.awaitTurn();
    }
    assertThat(turn.isDone()).isFalse();
    first.stored();
    first.close();
    assertThat(turn.await()).isTrue();
    assertThat(gate.isDone()).isFalse();
    second.stored();
    second.close();
    assertThat(gate.await()).isTrue();
    assertThat(rooms.waits(STORED.family())).isFalse();
  }

  @Test
  void whenALineStandsStillAllOfItAreRefusedAndWhoStandsAtItsGate() {
    var rooms = new RoomQueue(env, SHORT_NANOS);
    RoomQueue.Place first = rooms.enter(STORED, wanted());
    RoomQueue.Place second = rooms.enter(STORED, wanted());
    Outcome<Boolean> gate = inBackground(() -> rooms.awaitNone(STORED));
    Outcome<Boolean> other =
        inBackground(() -> {
          try (second) {
            second.awaitTurn();
          }
        });
    for (int volume = 1; volume <= 6; volume++) {
      first.full(new VolumeId(volume), "n" + volume + ": full");
    }
    assertThatThrownBy(
            () -> {
              try (first) {
                while (true) {
                  first.awaitTurn();
                }
              }
            })
        .hasMessageContaining("n1: full; n2: full; n3: full; n4: full; and 2 volumes more");
    assertFull(other::await);
    assertFull(gate::await);
    assertThat(rooms.size()).isZero();
  }

  @Test
  void oneWithoutAStoreIsRefusedWhileOthersWait() {
    var rooms = new RoomQueue(env, LONG_NANOS);
    try (RoomQueue.Place _ = rooms.enter(STORED, wanted());
        RoomQueue.Place second = rooms.enter(CACHE_ONLY, wanted())) {
      assertFull(second::awaitTurn);
      assertFull(() -> rooms.awaitNone(CACHE_ONLY));
      assertThat(rooms.size()).isEqualTo(2);
    }
  }

  @Test
  void aBodyThatIsGivenUpLeavesTheLine() {
    var rooms = new RoomQueue(env, LONG_NANOS);
    Outcome<Boolean> unwanted = wanted();
    try (RoomQueue.Place _ = rooms.enter(STORED, wanted());
        RoomQueue.Place second = rooms.enter(STORED, unwanted)) {
      Outcome<Boolean> turn = inBackground(second::awaitTurn);
      unwanted.complete(true);
      assertThatThrownBy(turn::await)
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.CANCELLED));
    }
  }
}
