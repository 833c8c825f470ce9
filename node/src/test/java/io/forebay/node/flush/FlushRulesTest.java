package io.forebay.node.flush;

import static io.forebay.node.flush.FlushWorld.BUCKET;
import static io.forebay.node.flush.FlushWorld.SETTINGS;
import static io.forebay.node.flush.FlushWorld.body;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.backing.MemoryObjectStore.Likeness;
import io.forebay.core.backing.RequestCounter.Kind;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.Generation;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.StoreSight;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The counterexample that each rule of the flush was found by. */
class FlushRulesTest {
  private static final byte[] ONE = body("one ", 500);
  private static final byte[] TWO = body("two ", 600);
  private static final byte[] BIG = body("big one ", 1900);
  private static final byte[] BIG_TOO = body("another big ", 1800);
  private static final byte[] THEIRS = body("theirs ", 100);

  private static FlushWorld world(Likeness likeness) {
    return new FlushWorld(1, 2, likeness);
  }

  private static FlushWorld world() {
    return world(Likeness.PLAIN);
  }

  /** The next request of this kind meets a fate, all others go well. */
  private static void next(FlushWorld world, Kind kind, Fate fate) {
    var left = new int[] {1};
    world.fates((each, key) -> each == kind && left[0]-- > 0 ? fate : Fate.ANSWERED);
  }

  private static void flushed(FlushWorld world, String key) {
    assertThat(world.state(key)).as("%s", world.record(key)).isEqualTo(FlushState.FLUSHED);
    assertThat(world.storedBody(key)).contains(world.contents(key).orElseThrow());
  }

  private static void over(FlushWorld world) {
    world.advance(SETTINGS.leaseMillis() + 1);
  }

  @Test
  void f1_AnEndOfAnEarlierAttemptDoesNotDecideAboutTheOpenOne() {
    FlushWorld world = world();
    world.publish("a", ONE);
    Steps.Actor late = world.lookForOne(0);
    late.stepTo("log FlushEnd");
    over(world);
    world.await(1).finish(); // its lease is over
    world.await(1).finish(); // and a HEAD shows that it landed
    flushed(world, "a");
    world.publish("a", TWO);
    Steps.Actor open = world.await(1);
    open.stepTo("store PUT");
    late.finish();
    assertThat(world.record("a").orElseThrow().open()).isPresent();
    assertThat(world.state("a")).isEqualTo(FlushState.FLUSHING);
    open.finish();
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f1_EveryObjectCarriesWhoSentIt() {
    FlushWorld world = world();
    Generation generation = world.publish("a", ONE);
    world.publish("big", BIG);
    world.settle();
    assertThat(world.stored("a").orElseThrow().metadata())
        .containsEntry(Flusher.CLUSTER, "c1")
        .containsEntry(Flusher.GENERATION, Long.toHexString(generation.value()))
        .containsKey(Flusher.ATTEMPT);
    assertThat(world.stored("big").orElseThrow().metadata()).containsKey(Flusher.ATTEMPT);
  }

  @Test
  void f2_APutThatLandsLateDoesNotResurrectADeletedObject() {
    FlushWorld world = world();
    world.publish("a", ONE);
    next(world, Kind.PUT, Fate.LATE);
    world.lookForOne(0).finish();
    world.delete("a");
    world.await(1).finish();
    assertThat(world.record("a")).as("it may still land").isPresent();
    world.land(0);
    assertThat(world.stored("a")).isPresent();
    world.settle();
    assertThat(world.stored("a")).isEmpty();
    world.checkFlushed();
  }

  @Test
  void f2_NothingIsSentOnceTheLeaseIsOver() {
    FlushWorld world = world();
    world.publish("a", ONE);
    Steps.Actor slow = world.lookForOne(0);
    slow.stepTo("logged FlushBegin");
    world.logFates(command -> FlushWorld.LogFate.LOST); // nor can it be prolonged
    over(world);
    long puts = world.store.requests().puts();
    slow.finish();
    assertThat(world.store.requests().puts()).isEqualTo(puts);
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f2_ALeaseIsProlongedWhileAnUploadIsUnderWay() {
    FlushWorld world = world();
    world.publish("a", BIG);
    Steps.Actor slow = world.lookForOne(0);
    slow.stepTo("store STAGE");
    for (int i = 0; i < 2; i++) {
      world.advance(SETTINGS.leaseMillis() * 2 / 3);
      slow.stepTo("store ");
    }
    assertThat(world.look(1)).as("the attempt is not given to anybody else").isEmpty();
    slow.finish();
    flushed(world, "a");
  }

  /** S3 refuses more than 2 KiB of names and values for good, ours among them. */
  @Test
  void metadataThatLeaveNoRoomForOursStayInTheNamespace() {
    FlushWorld world = world();
    var user = Map.of("a", "x".repeat(1_000), "b", " " + "y".repeat(900), "c", "short");
    world.publish("a", ONE, new ObjectMetadata("", Map.of(), user));
    world.lookForOne(0).finish();
    flushed(world, "a");
    Map<String, String> sent = world.stored("a").orElseThrow().metadata();
    assertThat(sent).containsEntry("a", "x".repeat(1_000)).containsEntry("c", "short");
    assertThat(sent).doesNotContainKey("b").hasSize(6);
    assertThat(
            sent.entrySet().stream()
                .mapToInt(each -> each.getKey().length() + each.getValue().length())
                .sum())
        .isLessThanOrEqualTo(2_048);
    assertThat(world.stat("a").orElseThrow().metadata().user()).isEqualTo(user);
  }

  @Test
  void f3_OurOwnWriteIsNotReportedAsForeign() {
    FlushWorld world = world();
    world.publish("a", ONE);
    next(world, Kind.PUT, Fate.ANSWER_LOST);
    world.lookForOne(0).finish();
    assertThat(world.state("a")).isEqualTo(FlushState.FAILED);
    assertThat(world.reason("a")).contains("TIMEOUT");
    world.publish("a", TWO);
    world.settle();
    assertThat(world.record("a").orElseThrow().conflict()).isEmpty();
    world.checkFlushed();
  }

  @Test
  void f3_AbsenceAfterADeletionOfOursIsNotForeign() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.delete("a");
    next(world, Kind.DELETE, Fate.ANSWER_LOST);
    world.await(0).finish();
    world.publish("a", TWO);
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f3_AStampWithoutAnUnresolvedAttemptIsAForeignCopy() {
    FlushWorld world = world();
    world.publish("b", ONE);
    world.settle();
    world.publish("a", TWO);
    world.foreignWrite("a", THEIRS, world.stored("b").orElseThrow().metadata());
    world.settle();
    assertThat(world.state("a")).isEqualTo(FlushState.CONFLICT);
    assertThat(world.reason("a")).contains("copy of one of our objects");
    assertThat(world.storedBody("a")).contains(THEIRS);
  }

  @Test
  void f4_AHeadFromBeforeAChangeDecidesNothing() {
    FlushWorld world = world();
    world.publish("a", ONE);
    next(world, Kind.PUT, Fate.UNREACHABLE);
    world.lookForOne(0).finish();
    Steps.Actor stale = world.await(0);
    stale.stepTo("log FlushBegin"); // its HEAD saw nothing
    world.await(1).finish();
    flushed(world, "a");
    world.publish("a", TWO);
    stale.finish(); // by what it saw, somebody has deleted the object
    assertThat(world.record("a").orElseThrow().conflict()).isEmpty();
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f4_AForeignChangeIsNeitherServedAsOursNorOverwritten() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.evict();
    world.foreignWrite("a", THEIRS, Map.of());
    assertThatThrownBy(() -> world.read("a"))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.GENERATION_GONE));
    world.publish("a", TWO);
    world.settle();
    assertThat(world.state("a")).isEqualTo(FlushState.CONFLICT);
    assertThat(world.storedBody("a")).contains(THEIRS);
    assertThat(world.read("a")).isEqualTo(TWO);
  }

  @Test
  void f5_WhereETagsRecurNothingIsEvictedWhileAnAttemptMayLand() {
    FlushWorld world = world(Likeness.ETAGS_RECUR);
    world.publish("a", ONE);
    world.settle();
    world.publish("a", TWO);
    next(world, Kind.PUT, Fate.LATE);
    world.await(0).finish(); // may overwrite whatever has the ETag of ONE
    world.publish("a", BIG);
    world.await(1).finish();
    world.publish("a", ONE);
    world.await(1).finish();
    assertThat(world.storedBody("a")).contains(ONE);
    world.evict();
    world.land(0);
    assertThat(world.storedBody("a")).contains(TWO);
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f5_AnUploadThatWasLeftIsDroppedBeforeTheNextAttemptBegins() {
    FlushWorld world = world();
    world.publish("a", BIG);
    Steps.Actor dead = world.lookForOne(0);
    dead.stepTo("store COMMIT");
    world.restart(0);
    assertThat(world.store.staged()).hasSize(1);
    over(world);
    world.await(1).finish();
    Steps.Actor second = world.await(1);
    second.stepTo("store HEAD");
    assertThat(world.store.staged()).isEmpty();
    second.finish();
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f5_AReCreationWaitsForADeletionThatMayStillLand() {
    FlushWorld world = world(Likeness.ETAGS_RECUR);
    world.publish("a", ONE);
    world.settle();
    world.delete("a");
    next(world, Kind.DELETE, Fate.LATE);
    world.await(0).finish();
    world.publish("a", ONE);
    world.advance(10_000);
    assertThat(world.look(1)).isEmpty();
    world.settle();
    world.checkFlushed();
    assertThat(world.storedBody("a")).contains(ONE);
  }

  @Test
  void f6_AnOverwriteWaitsForWhatHasItsOnlyBytesThere() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.evict();
    world.rename("a", "b");
    world.publish("a", TWO);
    Steps.Actor copy = world.lookForOne(0);
    copy.stepTo("store COPY");
    assertThat(world.reason("a")).contains("other objects");
    assertThat(world.look(1)).isEmpty();
    copy.finish();
    world.settle();
    world.evict();
    world.checkFlushed();
    assertThat(world.storedBody("b")).contains(ONE);
  }

  @Test
  void f6_ADeletionWaitsForACopy() {
    FlushWorld world = world();
    world.publish("a", BIG);
    world.settle();
    world.evict();
    world.copy("a", "b");
    world.delete("a");
    world.settle();
    world.evict();
    assertThat(world.read("b")).isEqualTo(BIG);
    world.checkFlushed();
  }

  @Test
  void f6_ARecordRewritesWhatReferredToTheObjectThatItReplaced() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.evict();
    world.copy("a", "a");
    next(world, Kind.COPY, Fate.ANSWER_LOST);
    world.await(0).finish(); // has replaced its own source
    world.await(1).finish(); // the HEAD shows it
    assertThat(world.record("a").orElseThrow().settled()).isFalse();
    assertThat(world.read("a")).isEqualTo(ONE);
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f7_ACopyNeverTakesWhatOthersPutInThePlaceOfItsSource() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.evict();
    world.rename("a", "b");
    Steps.Actor copy = world.lookForOne(0);
    copy.stepTo("logged FlushBegin");
    world.foreignWrite("a", THEIRS, Map.of());
    copy.finish();
    assertThat(world.stored("b")).isEmpty();
    assertThat(world.state("b")).isEqualTo(FlushState.FAILED);
    assertThat(world.reason("b")).contains("GENERATION_GONE").contains("'a' was overwritten");
  }

  @Test
  void f7_WhatTheSourceWasIsSentFromCopiesThatAreStillCached() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.rename("a", "b");
    Steps.Actor copy = world.lookForOne(0);
    copy.stepTo("store COPY");
    world.foreignWrite("a", THEIRS, Map.of());
    copy.finish();
    flushed(world, "b");
    world.settle();
    assertThat(world.storedBody("a")).as("and theirs stays").contains(THEIRS);
  }

  @Test
  void f7_ALateEndForAnOldKeyDoesNotReplaceTheReference() {
    FlushWorld world = world();
    world.publish("a", ONE);
    Steps.Actor late = world.lookForOne(0);
    late.stepTo("log FlushEnd");
    world.rename("a", "b");
    late.finish();
    world.settle();
    world.evict();
    world.checkFlushed();
    assertThat(world.read("b")).isEqualTo(ONE);
  }

  @Test
  void f8_KeepAndTakeNameWhatWasSeen() {
    FlushWorld world = world();
    Generation seen = world.publish("a", ONE);
    String etag = world.foreignWrite("a", THEIRS, Map.of());
    world.settle();
    world.publish("a", TWO);
    var take =
        new NamespaceCommand.ConflictTake(
            BUCKET,
            "a",
            Optional.of(seen),
            new StoreSight.Present(etag),
            THEIRS.length,
            ObjectMetadata.NONE,
            0,
            FlushWorld.BACK);
    assertThat(world.apply(take))
        .as("take would discard a generation that nobody saw")
        .isInstanceOfSatisfying(
            NamespaceResult.Refused.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.STORE_CONFLICT));
    String newer = world.foreignWrite("a", body("newer theirs ", 90), Map.of());
    world.keep("a"); // names the first
    world.settle();
    assertThat(world.state("a")).isEqualTo(FlushState.CONFLICT);
    assertThat(world.record("a").orElseThrow().conflict().orElseThrow().seen())
        .isEqualTo(new StoreSight.Present(newer));
    world.keep("a");
    world.settle();
    world.checkFlushed();
    assertThat(world.storedBody("a")).contains(TWO);
  }

  @Test
  void f8_TakeMakesTheirsVisible() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.foreignWrite("a", THEIRS, Map.of());
    world.settle();
    world.take("a");
    assertThat(world.state("a")).isEqualTo(FlushState.FLUSHED);
    assertThat(world.read("a")).isEqualTo(THEIRS);
  }

  @Test
  void f9_AReaderFollowsItsGenerationToWhereItsBytesWent() {
    FlushWorld world = world();
    world.publish("a", ONE);
    var pending = world.open("a");
    world.settle();
    world.evict();
    assertThat(FlushWorld.read(pending, ONE.length)).as("from the store by now").isEqualTo(ONE);
    world.rename("a", "b");
    var referring = world.open("b");
    world.settle();
    assertThat(world.stored("a")).isEmpty();
    assertThat(FlushWorld.read(referring, ONE.length)).isEqualTo(ONE);
  }

  @Test
  void f9_AChangeThatIsOurOwnUnrecordedAttemptIsWaitedFor() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.evict();
    world.copy("a", "a");
    var reader = world.open("a");
    Steps.Actor own = world.await(0);
    own.stepTo("log FlushEnd"); // its source is replaced, and nothing says so yet
    world.steps.onSleep(own::finish);
    assertThat(FlushWorld.read(reader, ONE.length)).isEqualTo(ONE);
  }

  @Test
  void f9_AnOverwrittenGenerationFailsByNameWhenReadersHadTheirTime() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.settle();
    world.evict();
    var reader = world.open("a");
    world.publish("a", TWO);
    world.settle();
    world.advance(FlushWorld.BACK.readGraceMillis() + 1);
    world.apply(new NamespaceCommand.ExpireTick(100));
    assertThatThrownBy(() -> FlushWorld.read(reader, ONE.length))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.GENERATION_GONE));
  }

  @Test
  void f10_PartsOfTwoAttemptsNeverMix() {
    FlushWorld world = world(Likeness.BLOCK_POOL);
    world.publish("a", BIG);
    Steps.Actor zombie = world.lookForOne(0);
    zombie.stepTo("store STAGE");
    zombie.stepTo("store STAGE"); // its second part is about to leave
    world.publish("a", BIG_TOO);
    over(world);
    world.await(1).finish();
    Steps.Actor newer = world.await(1);
    newer.stepTo("store COMMIT");
    zombie.step();
    newer.finish();
    flushed(world, "a");
    assertThat(world.storedBody("a")).contains(BIG_TOO);
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f10_AnUploadWhosePartsWereDiscardedBeginsAnew() {
    FlushWorld world = world(Likeness.BLOCK_POOL);
    world.publish("a", BIG);
    Steps.Actor first = world.lookForOne(0);
    first.stepTo("store COMMIT");
    world.foreignWrite("a", THEIRS, Map.of());
    world.foreignDelete("a");
    first.finish();
    assertThat(world.reason("a")).contains("NO_SUCH_UPLOAD");
    world.settle();
    world.checkFlushed();
  }

  @Test
  void f11_OneFlushIsOpenForAKeyAndTheNewestGenerationWins() {
    FlushWorld world = world();
    world.publish("a", ONE);
    List<Steps.Actor> first = world.look(0);
    List<Steps.Actor> second = world.look(1);
    first.getFirst().stepTo("store PUT");
    second.getFirst().finish();
    assertThat(world.store.requests().total()).as("only one sends").isEqualTo(1);
    world.publish("a", TWO);
    assertThat(world.look(1)).as("the overwrite waits for the open flush").isEmpty();
    first.getFirst().finish();
    assertThat(world.state("a")).isNotEqualTo(FlushState.FLUSHED);
    world.settle();
    assertThat(world.storedBody("a")).contains(TWO);
    assertThat(world.store.requests().heads()).as("nothing was unclear").isZero();
    world.checkFlushed();
  }

  @Test
  void aHeadThatFailsIsRecordedWithItsReasonAndBackedOff() {
    FlushWorld world = world();
    world.publish("a", ONE);
    next(world, Kind.PUT, Fate.ANSWER_LOST);
    world.lookForOne(0).finish();
    world.fates((kind, key) -> Fate.DENIED);
    world.await(0).finish();
    assertThat(world.state("a")).isEqualTo(FlushState.FAILED);
    assertThat(world.reason("a")).contains("STORE_DENIED");
    FlushRecord.Failure failure = world.record("a").orElseThrow().failure().orElseThrow();
    assertThat(failure.count()).isEqualTo(2);
    assertThat(failure.nextTryMillis()).isGreaterThan(world.steps.wallMillis());
    world.settle();
    world.checkFlushed();
  }

  @Test
  void anUnexpectedExceptionIsRecordedAndFlushingGoesOn() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.fates((kind, key) -> {
      throw new IllegalStateException("a bug");
    });
    world.lookForOne(0).finish();
    assertThat(world.reason("a")).contains("INTERNAL").contains("a bug");
    world.await(0).finish(); // now the HEAD
    assertThat(world.node(0).counters()).containsEntry("unexpectedFailures", 1L);
    world.settle();
    world.checkFlushed();
  }

  @Test
  void anErrorIsNotSwallowed() {
    FlushWorld world = world();
    world.publish("a", ONE);
    world.fates((kind, key) -> {
      throw new StackOverflowError("too deep");
    });
    assertThatThrownBy(() -> world.lookForOne(0).finish())
        .isInstanceOf(AssertionError.class)
        .hasRootCauseInstanceOf(StackOverflowError.class);
  }

  @Test
  void aThrottledStoreIsLeftAlone() {
    FlushWorld world = world();
    for (int i = 0; i < 60; i++) {
      world.publish("k" + i, ONE);
    }
    world.fates((kind, key) -> Fate.THROTTLED);
    for (int i = 0; i < 120; i++) {
      world.look(0).forEach(Steps.Actor::finish);
      world.advance(500);
    }
    // One burst of what was in work, then one key at a time, ever more seldom, for a minute.
    assertThat(world.store.requests().total()).isLessThan(60 + 30);
    assertThat(world.node(0).counters().get("throttledAttempts")).isPositive();
    world.settle();
    world.checkFlushed();
  }
}
