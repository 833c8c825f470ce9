package io.forebay.core.namespace;

import static io.forebay.core.namespace.Shard.BACK;
import static io.forebay.core.namespace.Shard.BUCKET;
import static io.forebay.core.namespace.Shard.CACHE_ONLY;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectPart;
import io.forebay.core.file.PartInfo;
import io.forebay.core.id.Generation;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.UploadId;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** One test for each rule, named after the fault that it keeps out. */
final class NamespaceRulesTest {
  private final Shard shard = new Shard();

  private NamespaceCommand.Rename rename(String from, String to) {
    return new NamespaceCommand.Rename(BUCKET, from, to, BACK);
  }

  @Test
  void g1AChunkThatTwoGenerationsNameIsOwedUntilBothAreFlushed() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK);
    shard.publish(session, "b", Shard.chunks(session, 1, 2), BACK);
    shard.close(session);
    shard.flush("a", "ea");
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.OWED);
    assertThat(shard.state(session, 2)).isEqualTo(ChunkState.CLEAN);
    shard.flush("b", "eb");
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.CLEAN);
  }

  @Test
  void g1AFlushedChunkOfAnOpenSessionIsNotCleanBeforeTheSessionPassedIt() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK);
    shard.flush("a", "ea");
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.OPEN);
    shard.apply(new NamespaceCommand.SessionLowWater(session, 2, 2));
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.CLEAN);
    assertThat(shard.state(session, 2)).isEqualTo(ChunkState.OPEN);
  }

  @Test
  void g2APublishOfAnEndedSessionIsRefused() {
    SessionId session = shard.session();
    shard.close(session);
    shard.refuses(
        shard.publishing(session, "a", Shard.chunks(session, 1, 2), BACK), ErrorCode.SESSION_ENDED);
  }

  @Test
  void g2ARepeatedPublishGivesTheFirstAnswerAndNoSecondGeneration() {
    SessionId session = shard.session();
    var command = shard.publishing(session, "a", Shard.chunks(session, 1, 2), BACK);
    NamespaceResult first = shard.apply(command);
    shard.delete("a");
    assertThat(shard.apply(command)).isEqualTo(first);
    assertThat(shard.stat("a")).isEmpty();
  }

  @Test
  void g3APublishThatNamesACollectableChunkIsRefusedWithItsRange() {
    SessionId old = shard.session();
    shard.close(old);
    SessionId session = shard.session();
    var refused =
        shard.apply(
            shard.publishing(session, "a", Shard.chunks(old, 5, 8), BACK),
            NamespaceResult.NotOwed.class);
    assertThat(refused.ranges()).containsExactly(new ChunkRange(old, 5, 8));
  }

  @Test
  void g3AChunkOfAHiddenManifestIsOwedTooAndMayBeNamedAgain() {
    SessionId old = shard.session();
    Extent list = ((Manifest.Extents) Shard.chunks(old, 1, 2)).extents().getFirst();
    shard.publish(
        old, "a", new Manifest.InChunk(list, List.of(new ChunkRange(old, 100, 300)), 500), BACK);
    shard.close(old);
    assertThat(shard.state(old, 1)).isEqualTo(ChunkState.OWED);
    assertThat(shard.state(old, 299)).isEqualTo(ChunkState.OWED);
    assertThat(shard.state(old, 300)).isEqualTo(ChunkState.GARBAGE);
    SessionId session = shard.session();
    shard.publish(session, "b", Shard.chunks(old, 299, 300), BACK);
  }

  @Test
  void g3AReferenceIsNotTakenOverWhileAnAttemptMayReplaceWhatItRefersTo() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK);
    shard.flush("a", "ea");
    shard.apply(ontoItself("a"), NamespaceResult.Published.class);
    FlushTask own = shard.begin("a"); // replaces "ea", which it refers to
    shard.refuses(ontoItself("a"), ErrorCode.CONCURRENT_CHANGE);
    shard.refuses(rename("a", "b"), ErrorCode.CONCURRENT_CHANGE);
    shard.end("a", own.attempt(), "ea2");
    shard.apply(ontoItself("a"), NamespaceResult.Published.class);
    assertThat(((Manifest.Stored) shard.manifest("a")).ref())
        .isEqualTo(new StoreRef(BUCKET, "a", "ea2", 0, 20));
  }

  private static NamespaceCommand.Copy ontoItself(String key) {
    return new NamespaceCommand.Copy(
        BUCKET, key, Optional.empty(), BUCKET, key, Optional.empty(), Preconditions.NONE, BACK);
  }

  @Test
  void g4AChunkBelowTheLowWaterMarkIsNotNamedByALatePublish() {
    SessionId session = shard.session();
    shard.apply(new NamespaceCommand.SessionLowWater(session, 4, 1));
    assertThat(shard.state(session, 3)).isEqualTo(ChunkState.GARBAGE);
    shard.apply(
        shard.publishing(session, "a", Shard.chunks(session, 3, 5), BACK),
        NamespaceResult.NotOwed.class);
    shard.apply(new NamespaceCommand.SessionLowWater(session, 2, 1));
    assertThat(shard.state(session, 3)).isEqualTo(ChunkState.GARBAGE);
  }

  @Test
  void g5AnUnknownSessionIsNotAnEndedOne() {
    SessionId session = shard.session();
    var later = new SessionId(session.value() + 5);
    var otherShard = new SessionId(1L << 48 | 1);
    assertThat(shard.state(later, 1)).isEqualTo(ChunkState.OPEN);
    assertThat(shard.state(otherShard, 1)).isEqualTo(ChunkState.OPEN);
    shard.close(session);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.GARBAGE);
  }

  @Test
  void g7PartsKeepTheirChunksUntilTheUploadsLifetimeIsOver() {
    SessionId session = shard.session();
    UploadId upload = upload("a", 5000);
    part(session, upload, 1, 1, 3, 1);
    shard.close(session);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.OWED);
    shard.now += 5000;
    shard.tick();
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.GARBAGE);
  }

  @Test
  void g8ASupersededGenerationKeepsItsChunksForItsReadersAndNoLonger() {
    SessionId session = shard.session();
    ObjectHead first = shard.publish(session, "a", Shard.chunks(session, 1, 2), CACHE_ONLY);
    shard.publish(session, "a", Shard.chunks(session, 2, 3), CACHE_ONLY);
    shard.close(session);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.OWED);
    assertThat(shard.query(new NamespaceQuery.OfGeneration(first.generation())))
        .isInstanceOf(NamespaceAnswer.Found.class);
    shard.now += 1000;
    shard.tick();
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.GARBAGE);
    assertThat(shard.state(session, 2)).isEqualTo(ChunkState.OWED);
    assertThat(shard.query(new NamespaceQuery.OfGeneration(first.generation())))
        .isInstanceOf(NamespaceAnswer.Absent.class);
  }

  @Test
  void r13ARenamedCleanObjectRefersToTheStoreAndItsChunksStayClean() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK);
    shard.close(session);
    shard.flush("a", "ea");
    shard.apply(rename("a", "b"), NamespaceResult.Renamed.class);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.CLEAN);
    assertThat(shard.manifest("b"))
        .isEqualTo(
            new Manifest.Stored(
                new StoreRef(BUCKET, "a", "ea", 0, 20), Shard.chunks(session, 1, 3)));
    SessionId other = shard.session();
    shard.apply(
        shard.publishing(other, "c", Shard.chunks(session, 1, 2), BACK),
        NamespaceResult.NotOwed.class);
  }

  @Test
  void f6TheOnlyCopyBehindARenameIsNeitherDeletedNorOverwritten() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK);
    shard.flush("a", "ea");
    shard.apply(rename("a", "b"), NamespaceResult.Renamed.class);
    shard.refuses(shard.beginning("a", Optional.empty()), ErrorCode.UNAVAILABLE);
    shard.publish(session, "a", Shard.chunks(session, 3, 4), BACK);
    shard.refuses(shard.beginning("a", Optional.empty()), ErrorCode.UNAVAILABLE);
    FlushTask copy = shard.begin("b");
    assertThat(copy.kind()).isEqualTo(FlushKind.COPY);
    shard.end("b", copy.attempt(), "eb");
    FlushTask put = shard.begin("a");
    assertThat(put.kind()).isEqualTo(FlushKind.PUT);
    assertThat(put.condition()).isEqualTo(new StoreSight.Present("ea"));
    assertThat(((Manifest.Stored) shard.manifest("b")).ref())
        .isEqualTo(new StoreRef(BUCKET, "b", "eb", 0, 20));
  }

  @Test
  void f1ALateEndOfAnotherAttemptIsRefused() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK);
    long first = shard.begin("a").attempt();
    shard.unresolved("a", first);
    shard.apply(
        shard.beginning("a", Optional.of(new StoreHead.Missing())),
        NamespaceResult.FlushStarted.class);
    shard.refuses(
        new NamespaceCommand.FlushEnd(BUCKET, "a", first, "e"), ErrorCode.CONCURRENT_CHANGE);
  }

  @Test
  void f2APutThatMayStillLandKeepsTheDeletedKeyUnderWatch() {
    SessionId session = shard.session();
    Generation generation =
        shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK).generation();
    long attempt = shard.begin("a").attempt();
    shard.unresolved("a", attempt);
    shard.delete("a");
    shard.apply(
        shard.beginning("a", Optional.of(new StoreHead.Missing())),
        NamespaceResult.FlushDecided.class);
    assertThat(shard.record("a").target()).isInstanceOf(FlushRecord.Target.Gone.class);
    assertThat(shard.resolve("a", new StoreHead.Missing()))
        .isInstanceOf(NamespaceResult.Refused.class); // it can still land
    shard.now += Shard.LEASE + Shard.LANDING;
    shard.resolve("a", Shard.found("late", generation, attempt));
    FlushTask delete = shard.begin("a");
    assertThat(delete.kind()).isEqualTo(FlushKind.DELETE);
    assertThat(delete.condition()).isEqualTo(new StoreSight.Present("late"));
    shard.end("a", delete.attempt(), "");
    assertThat(shard.recordOf("a")).isEmpty();
  }

  @Test
  void f2TheLeaseOfADeadFlusherRunsOutAndItsAttemptIsUnresolved() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK);
    shard.begin("a");
    shard.refuses(shard.beginning("a", Optional.of(new StoreHead.Missing())), ErrorCode.BUSY);
    shard.now += Shard.LEASE;
    shard.refuses(shard.beginning("a", Optional.empty()), ErrorCode.CONCURRENT_CHANGE);
    shard.apply(
        shard.beginning("a", Optional.of(new StoreHead.Missing())),
        NamespaceResult.FlushStarted.class);
    assertThat(shard.record("a").unresolved()).hasSize(1);
    shard.apply(new NamespaceCommand.FlushAbandon(Shard.NODE));
    assertThat(shard.record("a").unresolved()).hasSize(2);
    assertThat(shard.record("a").open()).isEmpty();
  }

  @Test
  void f3OurOwnWriteWhoseAnswerWasLostIsNotReportedAsForeign() {
    SessionId session = shard.session();
    Generation generation =
        shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK).generation();
    long attempt = shard.begin("a").attempt();
    shard.unresolved("a", attempt);
    shard.apply(
        shard.beginning("a", Optional.of(Shard.found("ea", generation, attempt))),
        NamespaceResult.FlushDecided.class);
    assertThat(shard.stat("a").orElseThrow().flush()).isEqualTo(FlushState.FLUSHED);
    shard.close(session);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.OWED); // not settled (F5)
    shard.now += Shard.LEASE + Shard.LANDING;
    shard.resolve("a", Shard.found("ea", generation, attempt));
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.CLEAN);
  }

  @Test
  void f3AStampWithoutAnUnresolvedAttemptIsAForeignCopy() {
    SessionId session = shard.session();
    Generation generation =
        shard.publish(session, "a", Shard.chunks(session, 1, 3), BACK).generation();
    shard.apply(
        shard.beginning("a", Optional.of(Shard.found("copied", generation, 1))),
        NamespaceResult.FlushDecided.class);
    assertThat(shard.record("a").conflict()).isPresent();
    assertThat(shard.stat("a").orElseThrow().flush()).isEqualTo(FlushState.CONFLICT);
  }

  @Test
  void f3AnOlderGenerationThatLandedLateIsReplacedUnderItsEtag() {
    SessionId session = shard.session();
    Generation old = shard.publish(session, "a", Shard.chunks(session, 1, 2), BACK).generation();
    long attempt = shard.begin("a").attempt();
    shard.unresolved("a", attempt);
    shard.publish(session, "a", Shard.chunks(session, 2, 3), BACK);
    FlushTask task =
        shard
            .apply(
                shard.beginning("a", Optional.of(Shard.found("old", old, attempt))),
                NamespaceResult.FlushStarted.class)
            .task();
    assertThat(task.condition()).isEqualTo(new StoreSight.Present("old"));
  }

  @Test
  void f4ADecisionOnAHeadFromBeforeAChangeIsRefused() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 2), BACK);
    var stale = shard.beginning("a", Optional.of(new StoreHead.Missing()));
    shard.publish(session, "a", Shard.chunks(session, 2, 3), BACK);
    shard.refuses(stale, ErrorCode.CONCURRENT_CHANGE);
  }

  @Test
  void f8ConflictTakeOfAGenerationThatNobodySawIsRefused() {
    SessionId session = shard.session();
    Generation seen = shard.publish(session, "a", Shard.chunks(session, 1, 2), BACK).generation();
    conflict("a", "theirs");
    Generation newer = shard.publish(session, "a", Shard.chunks(session, 2, 3), BACK).generation();
    shard.refuses(take("a", seen, "theirs"), ErrorCode.STORE_CONFLICT);
    shard.refuses(take("a", newer, "other"), ErrorCode.STORE_CONFLICT);
    shard.apply(take("a", newer, "theirs"), NamespaceResult.Done.class);
    ObjectHead taken = shard.stat("a").orElseThrow();
    assertThat(taken.etag()).isEqualTo("theirs");
    assertThat(taken.flush()).isEqualTo(FlushState.FLUSHED);
  }

  @Test
  void f8ConflictKeepOverwritesExactlyWhatWasSeen() {
    SessionId session = shard.session();
    Generation ours = shard.publish(session, "a", Shard.chunks(session, 1, 2), BACK).generation();
    conflict("a", "theirs");
    shard.refuses(shard.beginning("a", Optional.empty()), ErrorCode.STORE_CONFLICT);
    shard.apply(
        new NamespaceCommand.ConflictKeep(
            BUCKET, "a", Optional.of(ours), new StoreSight.Present("theirs")),
        NamespaceResult.Done.class);
    assertThat(shard.begin("a").condition()).isEqualTo(new StoreSight.Present("theirs"));
  }

  @Test
  void f11AnOverwriteWhileAFlushIsOpenWaitsAndTheNewestWins() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 2), BACK);
    FlushTask first = shard.begin("a");
    Generation newest = shard.publish(session, "a", Shard.chunks(session, 2, 3), BACK).generation();
    shard.refuses(shard.beginning("a", Optional.empty()), ErrorCode.BUSY);
    shard.end("a", first.attempt(), "e1");
    assertThat(shard.stat("a").orElseThrow().flush()).isEqualTo(FlushState.PENDING);
    FlushTask second = shard.begin("a");
    assertThat(second.generation()).isEqualTo(newest);
    assertThat(second.condition()).isEqualTo(new StoreSight.Present("e1"));
  }

  @Test
  void aDeletedObjectThatWasNeverSentLeavesNothingToDo() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 2), BACK);
    shard.delete("a");
    assertThat(shard.recordOf("a")).isEmpty();
    assertThat(work()).isEmpty();
    shard.publish(session, "b", Shard.chunks(session, 2, 3), BACK);
    shard.apply(rename("b", "c"), NamespaceResult.Renamed.class);
    assertThat(work()).extracting(FlushItem::key).containsExactly("c");
  }

  @Test
  void aDirectoryOfACacheOnlyBucketMovesAsAWholeAndItsParentsVanish() {
    SessionId session = shard.session();
    shard.publish(session, "x/y/a", Shard.chunks(session, 1, 2), CACHE_ONLY);
    shard.publish(session, "x/y/z/b", Shard.chunks(session, 2, 3), CACHE_ONLY);
    var command = new NamespaceCommand.Rename(BUCKET, "x/y/", "p/q/", CACHE_ONLY);
    assertThat(shard.apply(command, NamespaceResult.Renamed.class).objects()).isZero();
    assertThat(keys()).containsExactly("p/q/a", "p/q/z/b");
    shard.refuses(
        new NamespaceCommand.Rename(BUCKET, "p/", "p/q/", CACHE_ONLY), ErrorCode.INVALID_ARGUMENT);
    shard.delete("p/q/a");
    shard.delete("p/q/z/b");
    shard.apply(new NamespaceCommand.SealBucket(BUCKET), NamespaceResult.Done.class);
    shard.refuses(
        shard.publishing(session, "n", Shard.chunks(session, 3, 4), BACK),
        ErrorCode.NO_SUCH_BUCKET);
    // Whoever asks knows the bucket that had the name before: its keys are not merely absent.
    shard.refuses(
        new NamespaceCommand.Delete(BUCKET, "n", Preconditions.NONE, BACK),
        ErrorCode.NO_SUCH_BUCKET);
    shard.refuses(new NamespaceCommand.Rename(BUCKET, "n", "m", BACK), ErrorCode.NO_SUCH_BUCKET);
    shard.refuses(new NamespaceCommand.FlushNow(BUCKET, "", "", 10), ErrorCode.NO_SUCH_BUCKET);
    for (NamespaceQuery query :
        List.of(
            new NamespaceQuery.FlushStatus(BUCKET, "", "", 10),
            new NamespaceQuery.Stat(BUCKET, "n"),
            new NamespaceQuery.ListObjects(BUCKET, "", "", "", 10))) {
      assertThat(shard.query(query))
          .isInstanceOfSatisfying(
              NamespaceAnswer.Refused.class,
              refused -> assertThat(refused.code()).isEqualTo(ErrorCode.NO_SUCH_BUCKET));
    }
  }

  @Test
  void aPrefixOfFlushedObjectsIsRenamedOneByOneAndRefersToTheStore() {
    SessionId session = shard.session();
    shard.publish(session, "x/a", Shard.chunks(session, 1, 2), BACK);
    shard.publish(session, "x/b", Shard.chunks(session, 2, 3), BACK);
    shard.flush("x/a", "ea");
    assertThat(shard.apply(rename("x/", "y/"), NamespaceResult.Renamed.class).objects())
        .isEqualTo(2);
    assertThat(keys()).containsExactly("y/a", "y/b");
    assertThat(shard.manifest("y/a")).isInstanceOf(Manifest.Stored.class);
    assertThat(shard.manifest("y/b")).isInstanceOf(Manifest.Extents.class);
    shard.refuses(new NamespaceCommand.SealBucket(BUCKET), ErrorCode.BUCKET_NOT_EMPTY);
  }

  @Test
  void aCompletionChecksItsPartsAndIsAnsweredAgainTheSame() {
    SessionId session = shard.session();
    UploadId upload = upload("a", 5000);
    String one = part(session, upload, 1, 1, 2, 6 << 20);
    String two = part(session, upload, 2, 2, 3, 1000);
    shard.refuses(complete(upload), ErrorCode.INVALID_ARGUMENT);
    shard.refuses(
        complete(upload, new CompletedPart(2, two), new CompletedPart(1, one)),
        ErrorCode.INVALID_PART_ORDER);
    shard.refuses(
        complete(upload, new CompletedPart(1, one), new CompletedPart(3, two)),
        ErrorCode.INVALID_PART);
    part(session, upload, 3, 3, 4, 1000);
    shard.refuses(
        complete(
            upload,
            new CompletedPart(2, two),
            new CompletedPart(3, part(session, upload, 3, 3, 4, 1000))),
        ErrorCode.PART_TOO_SMALL);
    var command =
        complete(upload, new CompletedPart(1, '"' + one + '"'), new CompletedPart(2, two));
    NamespaceResult first = shard.apply(command, NamespaceResult.Published.class);
    assertThat(shard.apply(command)).isEqualTo(first);
    assertThat(shard.stat("a").orElseThrow().lengthBytes()).isEqualTo((6 << 20) + 1000);
    assertThat(shard.stat("a").orElseThrow().etag()).endsWith("-2");
    assertThat(shard.manifest("a").pieces((6 << 20) - 1, 2)).hasSize(2);
    shard.close(session);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.OWED);
    assertThat(shard.state(session, 3)).isEqualTo(ChunkState.GARBAGE);
  }

  @Test
  void anObjectKeepsThePartsItWasMadeOfUntilItsReadersHadTheirTime() {
    SessionId session = shard.session();
    UploadId upload = upload("a", 5000);
    String two = part(session, upload, 2, 1, 2, 6 << 20);
    String five = part(session, upload, 5, 2, 3, 1000);
    shard.apply(
        complete(upload, new CompletedPart(2, two), new CompletedPart(5, five)),
        NamespaceResult.Published.class);
    Generation made = shard.stat("a").orElseThrow().generation();
    var first = new ObjectPart(2, 0, 6 << 20, Map.of("x-amz-of", "part 2"));
    var second = new ObjectPart(5, 6 << 20, 1000, Map.of("x-amz-of", "part 5"));
    assertThat(partsOf(made, 0, 10))
        .isEqualTo(new NamespaceAnswer.MadeParts(List.of(first, second), false));
    assertThat(partsOf(made, 0, 1)).isEqualTo(new NamespaceAnswer.MadeParts(List.of(first), true));
    assertThat(partsOf(made, 2, 1))
        .isEqualTo(new NamespaceAnswer.MadeParts(List.of(second), false));
    shard.publish(session, "a", Shard.chunks(session, 4, 5), CACHE_ONLY);
    assertThat(partsOf(made, 0, 10)).isNotEqualTo(new NamespaceAnswer.MadeParts(List.of(), false));
    shard.now += 1_000_000_000;
    shard.apply(new NamespaceCommand.ExpireTick(100), NamespaceResult.Expired.class);
    assertThat(partsOf(made, 0, 10)).isEqualTo(new NamespaceAnswer.MadeParts(List.of(), false));
  }

  private NamespaceAnswer partsOf(Generation generation, int after, int max) {
    return shard.query(new NamespaceQuery.PartsOf(generation, after, max));
  }

  @Test
  void aDoorsHeadersChangeInPlaceAndNothingIsFlushedForIt() {
    SessionId session = shard.session();
    ObjectHead before = shard.publish(session, "a", Shard.chunks(session, 1, 2), CACHE_ONLY);
    var change = new NamespaceCommand.ChangeHeaders(BUCKET, "a", Map.of("x-amz-tagging", "k=v"));
    shard.apply(change, NamespaceResult.Published.class);
    ObjectHead after = shard.stat("a").orElseThrow();
    assertThat(after.metadata().headers()).containsEntry("x-amz-tagging", "k=v");
    assertThat(after.generation()).isEqualTo(before.generation());
    assertThat(after.modifiedMillis()).isEqualTo(before.modifiedMillis());
    shard.apply(
        new NamespaceCommand.ChangeHeaders(BUCKET, "a", Map.of("x-amz-tagging", "")),
        NamespaceResult.Published.class);
    assertThat(shard.stat("a").orElseThrow()).isEqualTo(before);
    shard.refuses(
        new NamespaceCommand.ChangeHeaders(BUCKET, "a", Map.of("expires", "x")),
        ErrorCode.INVALID_ARGUMENT);
    shard.refuses(
        new NamespaceCommand.ChangeHeaders(BUCKET, "absent", Map.of()), ErrorCode.NOT_FOUND);
  }

  private void quota(long bytes) {
    shard.apply(new NamespaceCommand.SetQuota(BUCKET, bytes), NamespaceResult.Done.class);
  }

  private void expire() {
    shard.now += CACHE_ONLY.readGraceMillis();
    shard.tick();
  }

  @Test
  void whatIsDeletedOrOverwrittenIsHeldUntilItsReadGraceIsOver() {
    quota(50);
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 4), CACHE_ONLY);
    shard.publish(session, "a", Shard.chunks(session, 4, 6), CACHE_ONLY);
    assertThat(shard.use()).isEqualTo(new BucketUse(50, 50));
    shard.delete("a");
    var command = shard.publishing(session, "b", Shard.chunks(session, 6, 7), CACHE_ONLY);
    shard.refuses(command, ErrorCode.QUOTA_EXCEEDED);
    assertThat(shard.use()).isEqualTo(new BucketUse(50, 50));
    expire();
    assertThat(shard.use()).isEqualTo(new BucketUse(0, 50));
    // The refusal was no answer that is remembered.
    shard.apply(command, NamespaceResult.Published.class);
    shard.apply(command, NamespaceResult.Published.class);
    assertThat(shard.use()).isEqualTo(new BucketUse(10, 50));
  }

  @Test
  void whatIsFlushedIsNotHeld() {
    quota(30);
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 4), BACK);
    shard.refuses(
        shard.publishing(session, "b", Shard.chunks(session, 4, 5), BACK),
        ErrorCode.QUOTA_EXCEEDED);
    shard.flush("a", "ea");
    assertThat(shard.use()).isEqualTo(new BucketUse(0, 30));
    // Nor is what only refers to the store.
    shard.apply(rename("a", "c"), NamespaceResult.Renamed.class);
    assertThat(shard.use()).isEqualTo(new BucketUse(0, 30));
    shard.publish(session, "b", Shard.chunks(session, 4, 7), BACK);
    expire();
    assertThat(shard.use()).isEqualTo(new BucketUse(30, 30));
  }

  @Test
  void whatARenameOrACopyOntoItselfTakesOverIsHeldOnce() {
    quota(30);
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 4), CACHE_ONLY);
    shard.apply(
        new NamespaceCommand.Rename(BUCKET, "a", "b", CACHE_ONLY), NamespaceResult.Renamed.class);
    assertThat(shard.use().heldBytes()).isEqualTo(30);
    shard.apply(copy("b", "b"), NamespaceResult.Published.class);
    assertThat(shard.use().heldBytes()).isEqualTo(30);
    shard.refuses(copy("b", "c"), ErrorCode.QUOTA_EXCEEDED);
    expire();
    assertThat(shard.use().heldBytes()).isEqualTo(30);
    shard.delete("b");
    expire();
    assertThat(shard.use().heldBytes()).isZero();
  }

  private static NamespaceCommand.Copy copy(String from, String to) {
    return new NamespaceCommand.Copy(
        BUCKET,
        from,
        Optional.empty(),
        BUCKET,
        to,
        Optional.empty(),
        Preconditions.NONE,
        CACHE_ONLY);
  }

  @Test
  void partsAreHeldUntilTheirObjectIsOrTheirUploadIsGone() {
    SessionId session = shard.session();
    UploadId upload = upload("a", 500);
    part(session, upload, 1, 1, 2, 40);
    String etag = part(session, upload, 1, 2, 3, 30); // instead of the first
    part(session, upload, 2, 3, 4, 20); // which the completion leaves out
    assertThat(shard.use()).isEqualTo(new BucketUse(50, 0));
    quota(50);
    shard.apply(complete(upload, new CompletedPart(1, etag)), NamespaceResult.Published.class);
    assertThat(shard.use()).isEqualTo(new BucketUse(30, 50));
    UploadId other = upload("a", 500);
    part(session, other, 1, 4, 5, 20);
    expire();
    assertThat(shard.use()).isEqualTo(new BucketUse(30, 50));
    shard.flush("a", "ea");
    assertThat(shard.use()).isEqualTo(new BucketUse(0, 50));
  }

  /** What a version that did not count would have left: each row without what was counted of it. */
  private Shard uncounted() {
    var map = new MemorySortedMap();
    var batch = new Batch();
    try (SortedMap.View view = shard.map.view()) {
      view.scan(
          new byte[0],
          new byte[] {(byte) 0xff},
          (key, value) -> {
            switch (key[0]) {
              case Keys.GENERATION ->
                  batch.put(
                      key,
                      Rows.bytes(
                          Rows.GenerationRow.class,
                          RecordCodec.of(Rows.GenerationRow.class).decode(value).uncounted()));
              case Keys.PART -> {
                Rows.PartRow row = RecordCodec.of(Rows.PartRow.class).decode(value);
                batch.put(
                    key,
                    Rows.bytes(
                        Rows.PartRow.class,
                        new Rows.PartRow(
                            row.owner(),
                            row.lengthBytes(),
                            row.etag(),
                            row.modifiedMillis(),
                            row.headers(),
                            0)));
              }
              case Keys.USE -> {}
              default -> batch.put(key, value);
            }
            return true;
          });
    }
    map.write(batch);
    var other = new Shard(map);
    other.index = shard.index;
    other.now = shard.now;
    return other;
  }

  @Test
  void votersThatBeganToCountAtDifferentCommandsAnswerAlikeFromTheRaisedLevelOn() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 4), CACHE_ONLY);
    shard.publish(session, "b", Shard.chunks(session, 4, 6), CACHE_ONLY);
    shard.publish(session, "b", Shard.chunks(session, 6, 8), CACHE_ONLY);
    shard.publish(session, "flushed", Shard.chunks(session, 8, 9), BACK);
    UploadId upload = upload("a", 10_000);
    part(session, upload, 1, 9, 10, 40);
    Shard other = uncounted();
    assertThat(shard.use()).isEqualTo(new BucketUse(120, 0));
    assertThat(other.use()).isEqualTo(new BucketUse(0, 0));
    shard.raise(Level.FIRST, Level.NEWEST);
    other.raise(Level.FIRST, Level.NEWEST);
    quota(50);
    other.apply(new NamespaceCommand.SetQuota(BUCKET, 50), NamespaceResult.Done.class);
    var commands =
        List.of(
            shard.publishing(session, "c", Shard.chunks(session, 10, 12), CACHE_ONLY),
            new NamespaceCommand.Rename(BUCKET, "a", "d", CACHE_ONLY), // counts from now on
            shard.publishing(session, "e", Shard.chunks(session, 12, 13), CACHE_ONLY),
            copy("c", "c"),
            new NamespaceCommand.AbortUpload(BUCKET, "a", upload),
            new NamespaceCommand.Delete(BUCKET, "b", Preconditions.NONE, CACHE_ONLY),
            new NamespaceCommand.Delete(BUCKET, "c", Preconditions.NONE, CACHE_ONLY),
            new NamespaceCommand.SetQuota(BUCKET, 0),
            shard.publishing(session, "e", Shard.chunks(session, 13, 14), CACHE_ONLY),
            new NamespaceCommand.SetQuota(BUCKET, 50),
            shard.publishing(session, "f", Shard.chunks(session, 14, 15), CACHE_ONLY));
    var held = new ArrayList<Long>();
    for (NamespaceCommand command : commands) {
      assertThat(other.apply(command)).isEqualTo(shard.apply(command));
      assertThat(other.use()).isEqualTo(shard.use());
      held.add(shard.use().heldBytes());
    }
    assertThat(held).containsExactly(20L, 50L, 50L, 50L, 50L, 50L, 50L, 50L, 60L, 60L, 60L);
    shard.flush("flushed", "ea");
    other.flush("flushed", "ea");
    expire();
    other.now = shard.now;
    other.tick();
    assertThat(shard.use()).isEqualTo(new BucketUse(40, 50));
    assertThat(other.use()).isEqualTo(shard.use());
  }

  @Test
  void aQuotaBelowWhatIsHeldRefusesOnlyWhatAddsToIt() {
    SessionId session = shard.session();
    shard.publish(session, "a", Shard.chunks(session, 1, 4), CACHE_ONLY);
    quota(10);
    shard.publish(session, "empty", new Manifest.Inline(new byte[0]), CACHE_ONLY);
    shard.apply(
        new NamespaceCommand.Rename(BUCKET, "a", "b", CACHE_ONLY), NamespaceResult.Renamed.class);
    shard.refuses(
        shard.publishing(session, "c", new Manifest.Inline(new byte[1]), CACHE_ONLY),
        ErrorCode.QUOTA_EXCEEDED);
    shard.refuses(new NamespaceCommand.SetQuota(BUCKET, -1), ErrorCode.INVALID_ARGUMENT);
    shard.delete("b");
    shard.delete("empty");
    shard.apply(new NamespaceCommand.SealBucket(BUCKET), NamespaceResult.Done.class);
    assertThat(shard.use()).isEqualTo(new BucketUse(30, 0));
    expire();
    assertThat(shard.use()).isEqualTo(new BucketUse(0, 0));
  }

  @Test
  void aVersionOfAFlushRecordNeverRecursForItsKeyNotEvenOneOfBeforeTheRuleChanged() {
    shard.level = Level.FIRST;
    SessionId session = shard.session();
    var versions = new TreeSet<Long>();
    for (int life = 0; life < 3; life++) {
      shard.publish(session, "a", new Manifest.Inline(new byte[1]), BACK);
      for (int turn = 0; turn < 20; turn++) {
        assertThat(versions.add(shard.record("a").version())).as("life %d", life).isTrue();
        shard.index = 1; // fewer ids than versions, as where many ids were left over
        long attempt = shard.begin("a").attempt();
        assertThat(versions.add(shard.record("a").version())).as("life %d", life).isTrue();
        shard.apply(
            new NamespaceCommand.FlushFailed(
                BUCKET, "a", attempt, ErrorCode.STORE_THROTTLED, "429", shard.now),
            NamespaceResult.Done.class);
      }
      shard.delete("a");
      assertThat(shard.recordOf("a")).isEmpty();
      if (life == 0) {
        shard.raise(Level.FIRST, Level.NEWEST);
      }
    }
  }

  private Manifest copiedInParts(int count) {
    SessionId session = shard.session();
    UploadId upload = upload("a", 1_000_000);
    var parts = new CompletedPart[count];
    int bytes = (int) PartInfo.MIN_BYTES;
    for (int i = 1; i <= count; i++) {
      parts[i - 1] = new CompletedPart(i, part(session, upload, i, i, i + 1, bytes));
    }
    shard.apply(complete(upload, parts), NamespaceResult.Published.class);
    shard.flush("a", "s");
    UploadId copy = upload("a", 1_000_000);
    for (int i = 1; i <= count; i++) {
      long offset = (long) (count - i) * bytes; // the last comes first
      String etag =
          shard
              .apply(
                  new NamespaceCommand.PutPartCopy(
                      BUCKET, "a", copy, i, BUCKET, "a", Optional.empty(), offset, bytes),
                  NamespaceResult.PartLogged.class)
              .part()
              .etag();
      parts[i - 1] = new CompletedPart(i, etag);
    }
    shard.apply(complete(copy, parts), NamespaceResult.Published.class);
    return shard.manifest("a");
  }

  @Test
  void anObjectThatIsCopiedInPartsNamesEachChunkOnce() {
    int count = 100;
    Manifest manifest = copiedInParts(count);
    assertThat(RecordCodec.of(Manifest.class).encode(manifest)).hasSizeLessThan(count * 300);
    List<Manifest.Piece> pieces = manifest.pieces(0, manifest.lengthBytes());
    assertThat(pieces).hasSize(count);
    for (int i = 0; i < count; i++) {
      int number = count - i;
      var piece = (Manifest.Piece.OfStore) pieces.get(i);
      assertThat(piece.ref().offset()).isEqualTo((number - 1) * PartInfo.MIN_BYTES);
      assertThat(piece.hint().pieces(piece.hintOffset(), piece.lengthBytes()))
          .singleElement()
          .isInstanceOfSatisfying(
              Manifest.Piece.OfExtent.class,
              of -> assertThat(of.extent().crc32c()).isEqualTo(number));
    }
  }

  /** One body of many chunks, and parts that begin and end within them. */
  @Test
  void aStretchOfALongListOfChunksNamesThoseThatItTouches() {
    int chunkBytes = 3_000_000;
    SessionId session = shard.session();
    var list = new ArrayList<Extent>();
    for (Extent each : ((Manifest.Extents) Shard.chunks(session, 1, 51)).extents()) {
      list.add(
          new Extent(
              (long) list.size() * chunkBytes,
              chunkBytes,
              each.chunk(),
              each.chunkOffset(),
              each.group(),
              each.epoch(),
              each.crc32c()));
    }
    shard.publish(session, "a", new Manifest.Extents(list), BACK);
    shard.flush("a", "s");
    UploadId copy = upload("a", 1_000_000);
    long offset = 10L * chunkBytes + 7;
    long bytes = 2L * chunkBytes;
    String etag =
        shard
            .apply(
                new NamespaceCommand.PutPartCopy(
                    BUCKET, "a", copy, 1, BUCKET, "a", Optional.empty(), offset, bytes),
                NamespaceResult.PartLogged.class)
            .part()
            .etag();
    shard.apply(complete(copy, new CompletedPart(1, etag)), NamespaceResult.Published.class);
    Manifest manifest = shard.manifest("a");
    assertThat(RecordCodec.of(Manifest.class).encode(manifest)).hasSizeLessThan(400);
    var piece = (Manifest.Piece.OfStore) manifest.pieces(0, bytes).getFirst();
    assertThat(piece.ref().offset()).isEqualTo(offset);
    List<Manifest.Piece> hints = piece.hint().pieces(piece.hintOffset(), bytes);
    assertThat(hints)
        .extracting(each -> ((Manifest.Piece.OfExtent) each).extent().crc32c())
        .containsExactly(11, 12, 13);
    assertThat(hints)
        .extracting(each -> ((Manifest.Piece.OfExtent) each).offset())
        .containsExactly(7, 0, 0);
    assertThat(hints)
        .extracting(Manifest.Piece::lengthBytes)
        .containsExactly((long) chunkBytes - 7, (long) chunkBytes, 7L);
  }

  @Test
  void logsOfBeforeKeepWhatTheirPartsNamed() {
    shard.level = Level.KEPT;
    int count = 20;
    assertThat(RecordCodec.of(Manifest.class).encode(copiedInParts(count)))
        .hasSizeGreaterThan(count * count * 40);
  }

  @Test
  void anUploadWhoseListFitsIntoNoMessageIsRefusedAndStays() {
    SessionId session = shard.session();
    UploadId upload = upload("a", 1_000_000);
    int parts = 1_400;
    int extents = 70;
    int extentBytes = 100_000;
    var named = new CompletedPart[parts];
    for (int number = 1; number <= parts; number++) {
      long first = (long) number * extents;
      var list = new ArrayList<Extent>();
      for (Extent each :
          ((Manifest.Extents) Shard.chunks(session, first, first + extents)).extents()) {
        list.add(
            new Extent(
                (long) list.size() * extentBytes,
                extentBytes,
                each.chunk(),
                0,
                each.group(),
                each.epoch(),
                number));
      }
      String etag =
          shard
              .apply(
                  new NamespaceCommand.PutPart(
                      session,
                      partSequence++,
                      BUCKET,
                      "a",
                      upload,
                      number,
                      (long) extents * extentBytes,
                      Optional.empty(),
                      number,
                      new Manifest.Extents(list),
                      Map.of()),
                  NamespaceResult.PartLogged.class)
              .part()
              .etag();
      named[number - 1] = new CompletedPart(number, etag);
    }
    shard.refuses(complete(upload, named), ErrorCode.ENTITY_TOO_LARGE);
    shard.apply(complete(upload, named[0], named[1]), NamespaceResult.Published.class);
  }

  @Test
  void aKeyOfVeryManySegmentsIsRefusedWhenItIsMade() {
    SessionId session = shard.session();
    String most = "a/".repeat(Change.MAX_SEGMENTS - 1);
    shard.publish(session, most + "x", Shard.chunks(session, 1, 2), BACK);
    shard.refuses(
        shard.publishing(session, most + "a/x", Shard.chunks(session, 2, 3), BACK),
        ErrorCode.INVALID_KEY);
    assertThat(keys()).containsExactly(most + "x");
  }

  @Test
  void aPageOfKeysThatCarryMuchFitsIntoAMessage() {
    SessionId session = shard.session();
    var metadata = new ObjectMetadata("", Map.of("cache-control", "\u20ac".repeat(4000)), Map.of());
    for (int i = 0; i < 700; i++) {
      shard.apply(
          new NamespaceCommand.Publish(
              session,
              100_000 + i,
              BUCKET,
              "k%03d".formatted(i),
              0,
              Optional.empty(),
              7,
              metadata,
              new Manifest.Inline(new byte[0]),
              Preconditions.NONE,
              BACK),
          NamespaceResult.Published.class);
    }
    var keys = new ArrayList<String>();
    Optional<String> after = Optional.of("");
    while (after.isPresent()) {
      var page =
          (NamespaceAnswer.Listing)
              shard.query(new NamespaceQuery.ListObjects(BUCKET, "", "", after.get(), 1000));
      assertThat(RecordCodec.of(NamespaceAnswer.class).encode(page)).hasSizeLessThan(4 << 20);
      page.objects().forEach(object -> keys.add(object.key()));
      after = page.next();
    }
    assertThat(keys).hasSize(700).isSorted().doesNotHaveDuplicates();
  }

  private List<FlushItem> work() {
    return ((NamespaceAnswer.Work)
            shard.query(new NamespaceQuery.FlushWork(100, shard.now, List.of())))
        .items();
  }

  private List<String> keys() {
    var answer =
        (NamespaceAnswer.Listing)
            shard.query(new NamespaceQuery.ListObjects(BUCKET, "", "", "", 1000));
    return answer.objects().stream().map(ObjectHead::key).toList();
  }

  private UploadId upload(String key, long lifetimeMillis) {
    return shard
        .apply(
            new NamespaceCommand.CreateUpload(BUCKET, key, ObjectMetadata.NONE, lifetimeMillis),
            NamespaceResult.UploadCreated.class)
        .upload();
  }

  private long partSequence = 1000;

  private String part(
      SessionId session, UploadId upload, int number, long from, long to, int lengthBytes) {
    Extent shape = ((Manifest.Extents) Shard.chunks(session, from, to)).extents().getFirst();
    var manifest =
        new Manifest.Extents(
            List.of(
                new Extent(
                    0, lengthBytes, shape.chunk(), 0, shape.group(), shape.epoch(), number)));
    return shard
        .apply(
            new NamespaceCommand.PutPart(
                session,
                partSequence++,
                BUCKET,
                "a",
                upload,
                number,
                lengthBytes,
                Optional.empty(),
                number,
                manifest,
                Map.of("x-amz-of", "part " + number)),
            NamespaceResult.PartLogged.class)
        .part()
        .etag();
  }

  private static NamespaceCommand.CompleteUpload complete(UploadId upload, CompletedPart... parts) {
    return new NamespaceCommand.CompleteUpload(
        BUCKET, "a", upload, List.of(parts), Preconditions.NONE, -1, BACK, Map.of());
  }

  private void conflict(String key, String etag) {
    shard.apply(
        shard.beginning(key, Optional.of(Shard.foreign(etag))), NamespaceResult.FlushDecided.class);
  }

  private static NamespaceCommand.ConflictTake take(
      String key, Generation generation, String etag) {
    return new NamespaceCommand.ConflictTake(
        BUCKET,
        key,
        Optional.of(generation),
        new StoreSight.Present(etag),
        10,
        ObjectMetadata.NONE,
        5,
        BACK);
  }
}
